package logs

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// NewJSON returns a handler that writes one JSON object per line, like slog's
// own, with the level's name from LevelName. It has NewLine's signature, so
// that either can be chosen at run time.
//
// Strict parsers accept every object: its keys are unique, and it is complete,
// though at most maxRecord bytes long. A duplicate key gets a number (msg_2);
// a client's time, how long it was connected, is the number duration_ms. If
// the object is too long, its values are truncated, and it contains "cut":
// true.
func NewJSON(w io.Writer, o Options) slog.Handler { return newJSON(w, o) }

func newJSON(w io.Writer, o Options) *jsonHandler {
	out := &jsonOut{w: w}
	inner := slog.NewJSONHandler(&out.buf, &slog.HandlerOptions{Level: o.level(), ReplaceAttr: nameLevel})
	return &jsonHandler{inner: inner, bare: inner, used: []string{slog.TimeKey, slog.LevelKey, slog.MessageKey}, top: true, out: out}
}

// A jsonHandler passes records to slog's handler with unique keys. Handlers
// from WithAttrs and WithGroup share its output.
type jsonHandler struct {
	inner slog.Handler // writes into out.buf
	bare  slog.Handler // the same without what WithAttrs gave
	used  []string     // keys of the current object
	top   bool         // the current object is the outermost
	out   *jsonOut
}

type jsonOut struct {
	mu  sync.Mutex // of what follows
	buf bytes.Buffer
	w   io.Writer
}

// Enabled reports whether a record of level l would be written.
func (h *jsonHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.inner.Enabled(ctx, l)
}

// WithAttrs returns a handler that adds attrs to each record.
func (h *jsonHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h2 := *h
	n := naming{used: slices.Clone(h.used), top: h.top}
	h2.inner, h2.used = h.inner.WithAttrs(n.all(nil, attrs)), n.used
	return &h2
}

// WithGroup returns a handler that puts attributes added from then on into an
// object of that name.
func (h *jsonHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	h2 := *h
	n := naming{used: h.used}
	h2.inner, h2.used, h2.top = h.inner.WithGroup(n.unique(name)), nil, false
	return &h2
}

// Handle writes r as one line.
func (h *jsonHandler) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	b, err := h.encode(ctx, r, maxRecord, escapeUnprintable)
	if err == nil {
		_, err = h.out.w.Write(b)
	}
	if h.out.buf.Cap() > maxPooled {
		h.out.buf = bytes.Buffer{}
	}
	return err
}

// cuts are the string lengths tried in turn.
var cuts = [...]int{0, 4096, 512, 64}

// encode returns a record's line, at most most bytes long after finish, which
// may be nil, has processed it. The caller holds the lock.
func (h *jsonHandler) encode(ctx context.Context, r slog.Record, most int, finish func([]byte) []byte) ([]byte, error) {
	try := func(to slog.Handler, r slog.Record) ([]byte, error) {
		h.out.buf.Reset()
		err := to.Handle(ctx, r)
		b := h.out.buf.Bytes()
		if finish != nil {
			b = finish(b)
		}
		return b, err
	}
	for _, cut := range cuts {
		var keys [32]string
		n := naming{used: append(keys[:0], h.used...), top: h.top, cut: cut}
		named := slog.NewRecord(r.Time, r.Level, n.short(r.Message), r.PC)
		for a := range r.Attrs {
			named.AddAttrs(n.one(a)...)
		}
		if cut > 0 {
			named.AddAttrs(slog.Bool(n.unique("cut"), true))
		}
		if b, err := try(h.inner, named); err != nil || len(b) <= most {
			return b, err
		}
	}
	// There are too many attributes, or those of WithAttrs are too long.
	n := naming{cut: 64}
	least := slog.NewRecord(r.Time, r.Level, n.short(r.Message), r.PC)
	least.AddAttrs(slog.Bool("cut", true))
	return try(h.bare, least)
}

// A naming assigns unique keys to the attributes of one object.
type naming struct {
	used []string
	top  bool
	cut  int // maximum length of a string in bytes; 0 is unlimited
}

// all adds attrs to list under unique keys.
func (n *naming) all(list, attrs []slog.Attr) []slog.Attr {
	for _, a := range attrs {
		list = append(list, n.one(a)...)
	}
	return list
}

// one returns the attributes to write for one attribute: for a group without a
// name, its members.
func (n *naming) one(a slog.Attr) []slog.Attr {
	a.Value = a.Value.Resolve()
	switch a.Value.Kind() {
	case slog.KindGroup:
		if a.Key == "" {
			return n.all(nil, a.Value.Group())
		}
		inner := naming{cut: n.cut}
		a.Value = slog.GroupValue(inner.all(nil, a.Value.Group())...)
		if len(a.Value.Group()) == 0 {
			return nil
		}
	case slog.KindDuration:
		if n.top && a.Key == slog.TimeKey {
			a = slog.Float64("duration_ms", float64(a.Value.Duration())/float64(time.Millisecond))
		}
	case slog.KindString:
		a.Value = slog.StringValue(n.short(a.Value.String()))
	case slog.KindAny:
		if n.cut > 0 {
			a.Value = slog.StringValue(n.short(textOf(a.Value.Any())))
		}
		if a.Key == "" && a.Value.Any() == nil {
			return nil // the empty Attr
		}
	}
	a.Key = n.unique(a.Key)
	return []slog.Attr{a}
}

// unique reserves and returns key, with a number appended if it is taken.
func (n *naming) unique(key string) string {
	// Bytes that are not UTF-8 are written as U+FFFD, so different keys may
	// become equal.
	key = n.short(strings.ToValidUTF8(key, "\ufffd"))
	name := key
	for i := 2; slices.Contains(n.used, name); i++ {
		name = key + "_" + strconv.Itoa(i)
	}
	n.used = append(n.used, name)
	return name
}

func (n *naming) short(s string) string {
	if n.cut == 0 || len(s) <= n.cut {
		return s
	}
	at := n.cut
	for at > 0 && !utf8.RuneStart(s[at]) {
		at--
	}
	return s[:at] + cutMark
}

// escapeUnprintable writes as \uHHHH what slog leaves unescaped but a terminal
// would obey: DEL, the control characters U+0080 to U+009F, and those that
// change the writing direction. They occur only in strings.
func escapeUnprintable(b []byte) []byte {
	bad := func(r rune) bool { return r >= 0x7f && !unicode.IsPrint(r) }
	if bytes.IndexFunc(b, bad) < 0 {
		return b
	}
	to := make([]byte, 0, len(b)+64)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if hi, lo := utf16.EncodeRune(r); bad(r) && hi != utf8.RuneError {
			to = appendU(appendU(to, hi), lo)
		} else if bad(r) {
			to = appendU(to, r)
		} else {
			to = append(to, b[:n]...)
		}
		b = b[n:]
	}
	return to
}

func nameLevel(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 || a.Key != slog.LevelKey {
		return a
	}
	if l, ok := a.Value.Any().(slog.Level); ok {
		a.Value = slog.StringValue(LevelName(l))
	}
	return a
}
