package logs

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// A framed handler puts a header before another handler's output. Handlers
// from WithAttrs and WithGroup share its frame.
type framed struct {
	inner slog.Handler // writes into frame.msg
	frame *frame
}

// A frame is the output of framed records.
type frame struct {
	head func(b []byte, level slog.Level, t time.Time) []byte
	max  int  // bytes of a record without its newline
	json bool // the message is JSON

	mu  sync.Mutex // of what follows
	w   io.Writer
	msg bytes.Buffer
	buf []byte
}

// newFramed returns a handler that writes to w: a header, the message in Line
// format without its time, or in JSON, and a newline.
func newFramed(w io.Writer, o Options, json bool, f *frame) slog.Handler {
	f.w, f.json = w, json
	if json {
		return &framed{inner: newJSON(nil, o), frame: f} // only its buffer is used
	}
	return &framed{inner: NewLine(&f.msg, o), frame: f}
}

// Enabled reports whether a record of level l would be written.
func (h *framed) Enabled(ctx context.Context, l slog.Level) bool { return h.inner.Enabled(ctx, l) }

// WithAttrs returns a handler that adds attrs to each record.
func (h *framed) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &framed{inner: h.inner.WithAttrs(attrs), frame: h.frame}
}

// WithGroup returns a handler that prefixes the keys added from then on with
// name.
func (h *framed) WithGroup(name string) slog.Handler {
	return &framed{inner: h.inner.WithGroup(name), frame: h.frame}
}

// Handle writes r as one line.
func (h *framed) Handle(ctx context.Context, r slog.Record) error {
	f := h.frame
	at := r.Time
	if !f.json {
		r.Time = time.Time{} // the header has it, or the reader of the line adds it
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	b, err := h.message(ctx, r, f.head(f.buf[:0], r.Level, at))
	if err != nil {
		return err
	}
	b = append(b, '\n')
	_, err = f.w.Write(b)
	if cap(b) <= maxPooled {
		f.buf = b
	}
	if f.msg.Cap() > maxPooled {
		f.msg = bytes.Buffer{}
	}
	return err
}

// message appends the message to b, which holds the header.
func (h *framed) message(ctx context.Context, r slog.Record, b []byte) ([]byte, error) {
	f := h.frame
	if j, ok := h.inner.(*jsonHandler); ok {
		j.out.mu.Lock()
		defer j.out.mu.Unlock()
		head := len(b)
		return j.encode(ctx, r, f.max, func(msg []byte) []byte {
			b = appendASCII(b[:head], bytes.TrimSuffix(msg, newline), true)
			return b
		})
	}
	f.msg.Reset()
	if err := h.inner.Handle(ctx, r); err != nil {
		return b, err
	}
	b = appendASCII(b, bytes.TrimSuffix(f.msg.Bytes(), newline), false)
	if len(b) > f.max {
		b = append(b[:f.max-len(cutMark)], cutMark...)
	}
	return b, nil
}

// severity returns syslog's number for a level: 3, error, to 7, debug.
func severity(l slog.Level) int {
	switch {
	case l >= slog.LevelError:
		return 3
	case l >= slog.LevelWarn:
		return 4
	case l >= Notice:
		return 5
	case l >= slog.LevelInfo:
		return 6
	default:
		return 7
	}
}

// appendASCII adds a message with everything outside printable ASCII escaped:
// as \uHHHH in JSON, where it occurs only in strings, and as %HH in a line.
func appendASCII(b, msg []byte, json bool) []byte {
	for len(msg) > 0 {
		c := msg[0]
		if printable(c) {
			b = append(b, c)
			msg = msg[1:]
			continue
		}
		if !json {
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
			msg = msg[1:]
			continue
		}
		r, n := utf8.DecodeRune(msg)
		msg = msg[n:]
		if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
			b = appendU(b, hi)
			r = lo
		}
		b = appendU(b, r)
	}
	return b
}

// appendU adds \uHHHH.
func appendU(b []byte, r rune) []byte {
	b = append(b, '\\', 'u')
	for shift := 12; shift >= 0; shift -= 4 {
		b = append(b, hexDigits[r>>shift&15])
	}
	return b
}
