package program

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// MaxLine bounds a line of a program's standard error in the log.
const MaxLine = 1024

// firstLines is the number of lines in which a program says what it is.
const firstLines = 5

// A Rate allows a number of events per second, and bursts of as many.
type Rate struct {
	mu     sync.Mutex
	perSec float64
	burst  float64
	left   float64
	last   time.Time
}

func (r *Rate) Init(perSec, burst float64) {
	r.perSec, r.burst, r.left, r.last = perSec, burst, burst, time.Now()
}

func (r *Rate) Allow() bool {
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

// A Lines logs what a program writes to its standard error, line by line.
type Lines struct {
	Emit  func(line string)
	Allow func() bool
	Look  func(line []byte) // called for the first lines, unless nil
	seen  int               // number of lines passed to it

	line []byte // the start of a line whose end has not come
	long bool   // the line is longer than MaxLine; the rest is skipped
	lost int    // lines over the limit
}

// Write handles the next bytes of the standard error. It never fails.
func (l *Lines) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		line, rest, whole := cutLine(b)
		room := MaxLine - len(l.line)
		if len(line) > room {
			line, l.long = line[:room], true
		}
		l.line = append(l.line, line...)
		if whole {
			l.end()
		}
		b = rest
	}
	return n, nil
}

func cutLine(b []byte) (line, rest []byte, whole bool) {
	for i, c := range b {
		if c == '\n' {
			return b[:i], b[i+1:], true
		}
	}
	return b, nil, false
}

// Flush logs an unfinished last line.
func (l *Lines) Flush() {
	if len(l.line) > 0 {
		l.end()
	}
}

// end logs the completed line.
func (l *Lines) end() {
	line, long := l.line, l.long
	l.line, l.long = l.line[:0], false
	if l.Look != nil && l.seen < firstLines {
		l.seen++
		l.Look(line)
	}
	if !l.Allow() {
		l.lost++
		return
	}
	text := Clean(line)
	if long {
		text += "..."
	}
	l.Emit(text)
}

// Dropped returns how many lines were not logged. Call it when Write and Flush
// are done.
func (l *Lines) Dropped() int {
	if l == nil {
		return 0
	}
	return l.lost
}

// Clean makes a program's line safe for a terminal, since the client may
// influence it: unprintable bytes become \xNN.
func Clean(b []byte) string {
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
