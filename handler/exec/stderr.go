package exec

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"netserver"
	"netserver/logs"
)

// Bounds of what clients can make programs write to the log: the length of a
// line, the lines per second of a client, and those of all clients of a
// Handler.
const (
	maxLine      = 1024
	clientLines  = 20
	handlerLines = 200
)

// firstLines is the number of lines in which a program says what it is.
const firstLines = 5

// A rate allows a number of events per second, and bursts of as many.
type rate struct {
	mu     sync.Mutex
	perSec float64
	burst  float64
	left   float64
	last   time.Time
}

func (r *rate) init(perSec, burst float64) {
	r.perSec, r.burst, r.left, r.last = perSec, burst, burst, time.Now()
}

func (r *rate) allow() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.left = min(r.burst, r.left+now.Sub(r.last).Seconds()*r.perSec)
	r.last = now
	if r.left < 1 {
		return false
	}
	r.left--
	return true
}

// A lineLog logs what a program writes to its standard error, line by line.
type lineLog struct {
	emit  func(line string)
	allow func() bool
	look  func(line []byte) // called for the first lines, unless nil
	seen  int               // number of lines passed to it

	line []byte // the start of a line whose end has not come
	long bool   // the line is longer than maxLine; the rest is skipped
	lost int    // lines over the limit
}

func newLineLog(c *netserver.Conn, all *rate) *lineLog {
	var own rate
	own.init(clientLines, clientLines)
	log := c.Logger()
	return &lineLog{
		emit: func(line string) {
			log.LogAttrs(context.Background(), logs.Notice, "stderr", slog.String("line", line))
		},
		allow: func() bool { return own.allow() && all.allow() },
	}
}

// write handles the next bytes of the standard error. It never fails.
func (l *lineLog) write(b []byte) error {
	for len(b) > 0 {
		line, rest, whole := cutLine(b)
		room := maxLine - len(l.line)
		if len(line) > room {
			line, l.long = line[:room], true
		}
		l.line = append(l.line, line...)
		if whole {
			l.end()
		}
		b = rest
	}
	return nil
}

func cutLine(b []byte) (line, rest []byte, whole bool) {
	for i, c := range b {
		if c == '\n' {
			return b[:i], b[i+1:], true
		}
	}
	return b, nil, false
}

// flush logs an unfinished last line.
func (l *lineLog) flush() {
	if len(l.line) > 0 {
		l.end()
	}
}

// end logs the completed line.
func (l *lineLog) end() {
	line, long := l.line, l.long
	l.line, l.long = l.line[:0], false
	if l.look != nil && l.seen < firstLines {
		l.seen++
		l.look(line)
	}
	if !l.allow() {
		l.lost++
		return
	}
	text := clean(line)
	if long {
		text += "..."
	}
	l.emit(text)
}

// dropped returns how many lines were not logged. Call it when write and flush
// are done.
func (l *lineLog) dropped() int {
	if l == nil {
		return 0
	}
	return l.lost
}

// clean makes a program's line safe for a terminal, since the client may
// influence it: unprintable bytes become \xNN.
func clean(b []byte) string {
	b = trimCR(b)
	var s strings.Builder
	s.Grow(len(b))
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == '\t' || r != utf8.RuneError && unicode.IsPrint(r):
			s.Write(b[:n])
		default:
			for _, c := range b[:n] {
				fmt.Fprintf(&s, `\x%02x`, c)
			}
		}
		b = b[n:]
	}
	return s.String()
}

func trimCR(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\r' {
		return b[:n-1]
	}
	return b
}
