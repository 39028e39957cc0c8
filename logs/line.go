package logs

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Options of a handler. The zero Options log at Net::Server's default level.
type Options struct {
	// Level is the lowest level that is logged; nil means Notice, which is
	// Net::Server's default log_level 2. A *slog.LevelVar can change it while
	// the server runs.
	Level slog.Leveler
}

func (o Options) level() slog.Leveler {
	if o.Level == nil {
		return Notice
	}
	return o.Level
}

// NewLine returns a handler that writes Net::Server's line format to w, one
// line per record and one Write per line:
//
//	2026/11/23-00:47:16 served client=7 port=443/ssl err="short read"
//
// The time is local. Every byte outside printable ASCII, including newlines,
// becomes % and two upper-case hex digits, so that nothing a client sends can
// start a new line or reach a terminal as a control sequence; one newline at
// the end of the message is dropped. A value that is empty or contains blanks,
// quotes or an equals sign is in double quotes, with \" for a quote and \\ for
// a backslash. A group's name and a dot precede its keys. A line is truncated
// after maxRecord bytes, and says so.
//
// The handler may be used concurrently. It calls w.Write for one line at a
// time and ignores its error, as slog does; Async counts such losses.
func NewLine(w io.Writer, o Options) slog.Handler {
	return &line{out: &output{w: w}, level: o.level()}
}

// maxRecord bounds a line, in bytes: generous for a goroutine's stack, and far
// less than a client would need to fill a disk.
const maxRecord = 64 << 10

// A line is the handler of NewLine. Handlers from WithAttrs and WithGroup
// share its output.
type line struct {
	out   *output
	level slog.Leveler
	group string // prefix of keys: each open group's name and a dot
	attrs []byte // attributes of WithAttrs, formatted
}

// An output serialises the writes of all handlers derived from one.
type output struct {
	mu sync.Mutex
	w  io.Writer
}

// Enabled reports whether a record of level l would be written.
func (h *line) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

// WithAttrs returns a handler that adds attrs to each line. They are formatted
// once, here.
func (h *line) WithAttrs(attrs []slog.Attr) slog.Handler {
	h2 := *h
	h2.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		h2.attrs = appendAttr(h2.attrs, h.group, a)
	}
	h2.attrs = slices.Clip(h2.attrs)
	return &h2
}

// WithGroup returns a handler that prefixes the keys added from then on with
// name and a dot.
func (h *line) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	h2 := *h
	h2.group += name + "."
	return &h2
}

// Handle writes r as one line.
func (h *line) Handle(_ context.Context, r slog.Record) error {
	p := buffers.Get().(*[]byte)
	b := h.append((*p)[:0], r)

	h.out.mu.Lock()
	_, err := h.out.w.Write(b)
	h.out.mu.Unlock()

	if cap(b) <= maxPooled {
		*p = b
		buffers.Put(p)
	}
	return err
}

// append adds r's line to b.
func (h *line) append(b []byte, r slog.Record) []byte {
	start := len(b)
	if !r.Time.IsZero() {
		b = appendTime(b, r.Time)
		b = append(b, ' ')
	}
	b = appendEscaped(b, cutNewline(r.Message))
	b = append(b, h.attrs...)
	for a := range r.Attrs {
		b = appendAttr(b, h.group, a)
	}
	if len(b)-start >= maxRecord {
		b = append(b[:start+maxRecord-len(cutMark)-1], cutMark...)
	}
	return append(b, '\n')
}

const cutMark = " ... cut"

// maxPooled keeps a rare huge line from holding its memory for ever.
const maxPooled = 8 << 10

var buffers = sync.Pool{New: newBuffer}

func newBuffer() any {
	b := make([]byte, 0, 512)
	return &b
}

// appendTime adds t as YYYY/MM/DD-HH:MM:SS in local time.
func appendTime(b []byte, t time.Time) []byte {
	t = t.Local()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = appendDigits(b, year, 4)
	b = append(b, '/')
	b = appendDigits(b, int(month), 2)
	b = append(b, '/')
	b = appendDigits(b, day, 2)
	b = append(b, '-')
	b = appendDigits(b, hour, 2)
	b = append(b, ':')
	b = appendDigits(b, minute, 2)
	b = append(b, ':')
	return appendDigits(b, second, 2)
}

// appendDigits adds the last n digits of v, or zeros if v is negative.
func appendDigits(b []byte, v, n int) []byte {
	v = max(v, 0)
	for i := range n {
		d := v
		for range n - 1 - i {
			d /= 10
		}
		b = append(b, byte('0'+d%10))
	}
	return b
}
