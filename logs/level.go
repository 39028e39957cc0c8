package logs

import (
	"fmt"
	"log/slog"
	"math"
	"strings"
)

// Notice is the level between warning and info: Net::Server's log level 2, for
// what an operator should look at now and then.
const Notice = slog.Level(2)

// Off is above every level: nothing is logged.
const Off = slog.Level(math.MaxInt32)

// Level returns the lowest level logged under Net::Server's log_level n: 1
// errors and warnings, 2 also notices, 3 also information, 4 and above
// everything. 0 and below log nothing at all, not even fatal errors, as in
// Net::Server.
//
// Net::Server has no number for errors alone; slog.LevelError is that level,
// and ParseLevel accepts it by name.
func Level(n int) slog.Level {
	switch {
	case n <= 0:
		return Off
	case n == 1:
		return slog.LevelWarn
	case n == 2:
		return Notice
	case n == 3:
		return slog.LevelInfo
	default:
		return slog.LevelDebug
	}
}

// ParseLevel parses the value of the key log_level: a number as for Level, or
// the name of the lowest level to log: err, warning, notice, info or debug, in
// any case. The error names the text and the valid values.
func ParseLevel(text string) (slog.Level, error) {
	switch strings.ToLower(text) {
	case "err", "error":
		return slog.LevelError, nil
	case "warning", "warn":
		return slog.LevelWarn, nil
	case "notice":
		return Notice, nil
	case "info":
		return slog.LevelInfo, nil
	case "debug":
		return slog.LevelDebug, nil
	case "":
		return 0, badLevel(text)
	}
	n := 0
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, badLevel(text)
		}
		n = min(10*n+int(c-'0'), 10) // above 4 counts as 4
	}
	return Level(n), nil
}

func badLevel(text string) error {
	return fmt.Errorf("log_level %q: want a number from 0 (nothing) to 4 (everything), or err, warning, notice, info or debug", text)
}

// LevelName returns the syslog word for a level: "err", "warning", "notice",
// "info" or "debug". A level between two of these has the name of the lower.
func LevelName(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "err"
	case l >= slog.LevelWarn:
		return "warning"
	case l >= Notice:
		return "notice"
	case l >= slog.LevelInfo:
		return "info"
	default:
		return "debug"
	}
}
