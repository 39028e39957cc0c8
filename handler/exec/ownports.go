package exec

import (
	"bytes"
	"context"
	"log/slog"
	"sync/atomic"

	"netserver"
	"netserver/internal/childproc/program"
)

// ownPorts detects a program that is itself a server and opens its own ports
// for each client, such as a Net::Server program whose base class is not INET:
// the first client gets no answer, and the second one's program fails since
// the port is in use.
type ownPorts struct {
	told atomic.Bool // once per Handler: all clients have the same program
}

// look inspects one of the first lines of a program's standard error.
func (o *ownPorts) look(c *netserver.Conn, line []byte) {
	if o.told.Load() || !opensPorts(line) || o.told.Swap(true) {
		return
	}
	c.Logger().LogAttrs(context.Background(), slog.LevelWarn,
		"the program is a server that opens ports of its own, for each client, instead of serving the one on its standard input: "+
			"a program on Net::Server must have Net::Server::INET as its base class, and netserver itself must be given INET",
		slog.String("line", program.Clean(line[:min(len(line), program.MaxLine)])))
}

// opensPorts reports whether a line is the first one of Net::Server or of this
// server: "2026/11/28-18:51:32 Name (type Net::Server::Fork) starting!
// pid(8478)".
func opensPorts(line []byte) bool {
	_, kind, ok := bytes.Cut(line, []byte(" (type "))
	if !ok {
		return false
	}
	kind, rest, ok := bytes.Cut(kind, []byte(")"))
	return ok && bytes.HasPrefix(rest, []byte(" starting! pid(")) && !bytes.Equal(kind, []byte("INET")) && !bytes.HasSuffix(kind, []byte("::INET"))
}
