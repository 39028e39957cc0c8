package connlog

import (
	"log/slog"
	"sync"

	"netserver"
	"netserver/outcome"
)

// A Log writes the lines of connections. Its methods may be called at the same
// time by any number of them.
type Log struct {
	// Write gets each line with its end. It must not wait, and must not keep the
	// line. Required.
	Write func(line []byte)
	// Fields has each line begin with an object of all fields and a tab, for a
	// journal; the line is its message.
	Fields bool
	// Untimed has lines of text begin without their time, which who takes them
	// adds.
	Untimed bool
	// Limits are how many lines are written; the zero Limits are the defaults.
	Limits Limits
	// Log returns who is told of lines that were left out. May be nil.
	Log func() *slog.Logger

	once sync.Once
	left *counter
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// maxPooled keeps a rare long line from holding its memory for ever.
const maxPooled = 8 << 10

// Line writes the line of a connection that has ended, if the limits let it; of
// one that is Quiet never. c is
// nil for one that never became a client.
func (l *Log) Line(f *Format, c *netserver.Conn, r *netserver.Record) {
	if r.Quiet || !l.counter().allow(r.Outcome) {
		return
	}
	e := entry{c: c, r: r, untimed: l.Untimed}
	p := buffers.Get().(*[]byte)
	b := (*p)[:0]
	if l.Fields {
		b = appendJSON(b, &e)
		if f.form != JSON {
			b = f.append(append(b, '\t'), &e)
		}
	} else {
		b = f.append(b, &e)
	}
	b = append(b, '\n')
	l.Write(b)
	if cap(b) <= maxPooled {
		*p = b
		buffers.Put(p)
	}
}

// Flush tells of what was left out and not told yet. A nil Log has nothing.
func (l *Log) Flush() {
	if l != nil {
		l.counter().flush()
	}
}

func (l *Log) counter() *counter {
	l.once.Do(func() { l.left = &counter{limits: l.Limits, log: l.Log} })
	return l.left
}

// Requested reports whether a client was served as one of HTTP, of which each
// request has a line.
func Requested(r *netserver.Record) bool {
	for i := range r.Notes {
		if r.Notes[i].Key == "http" {
			return true
		}
	}
	return false
}

// classOf finds an outcome by its name, in which _ stands for a blank.
func classOf(name string) (outcome.Class, bool) {
	for n, s := range outcome.Names() {
		if s == name || underscored(s) == name {
			return outcome.Class(n), true
		}
	}
	return 0, false
}
