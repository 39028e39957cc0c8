package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"
)

// at returns a record of a fixed local time.
func at(msg string, args ...any) slog.Record {
	r := slog.NewRecord(time.Date(2026, 1, 2, 3, 4, 5, 678, time.Local), slog.LevelInfo, msg, 0)
	r.Add(args...)
	return r
}

const stamp = "2026/01/02-03:04:05 "

func lineOf(t testing.TB, h func(slog.Handler) slog.Handler, r slog.Record) string {
	t.Helper()
	var b bytes.Buffer
	hd := NewLine(&b, Options{})
	if h != nil {
		hd = h(hd)
	}
	if err := hd.Handle(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

type hidden struct{ secret string }

func (hidden) LogValue() slog.Value { return slog.StringValue("[hidden]") }

type broken struct{}

func (*broken) Error() string { panic("cannot say") }

type nilPanics struct{ text string }

func (n *nilPanics) String() string { return n.text }

type badText struct{}

func (badText) MarshalText() ([]byte, error) { return nil, errors.New("no text") }

func TestLine(t *testing.T) {
	tests := []struct {
		name string
		args []any
		msg  string
		want string
	}{
		{"Message", nil, "Server closing!", `Server closing!`},
		{"Empty", nil, "", ``},
		{"TrailingNewlineIsCut", nil, "bye\n", `bye`},
		{"OnlyOneNewlineIsCut", nil, "bye\n\n", `bye%0A`},
		{"InnerNewlineIsEscaped", nil, "one\ntwo", `one%0Atwo`},
		{"BytesAreEscaped", nil, "\t\r\x00\x1b\x7f\xff\u00e9", `%09%0D%00%1B%7F%FF%C3%A9`},
		{"PercentStays", nil, "100% %41", `100% %41`},
		{"Quotes", nil, `CONNECT TCP Peer: "[127.0.0.1]:5"`, `CONNECT TCP Peer: "[127.0.0.1]:5"`},
		{"String", []any{"a", "b"}, "m", `m a=b`},
		{"EmptyValue", []any{"a", ""}, "m", `m a=""`},
		{"BlankValue", []any{"a", "b c"}, "m", `m a="b c"`},
		{"EqualsValue", []any{"a", "b=c"}, "m", `m a="b=c"`},
		{"QuoteValue", []any{"a", `say "x\y"`}, "m", `m a="say \"x\\y\""`},
		{"BackslashValue", []any{"a", `c:\x`}, "m", `m a=c:\x`},
		{"NewlineValue", []any{"a", "b\n2026/01/02-03:04:05 forged"}, "m", `m a="b%0A2026/01/02-03:04:05 forged"`},
		{"OddKey", []any{"a b", 1, "x=\ny", 2}, "m", `m "a b"=1 "x=%0Ay"=2`},
		{"EmptyKey", []any{"", 1}, "m", `m ""=1`},
		{"Numbers", []any{"i", -5, "u", uint64(1 << 63), "f", 0.25, "b", true}, "m", `m i=-5 u=9223372036854775808 f=0.25 b=true`},
		{"Duration", []any{"d", 1500 * time.Microsecond}, "m", `m d=1.5ms`},
		{"MicroDuration", []any{"d", 15 * time.Microsecond}, "m", `m d=15us`},
		{"Time", []any{"t", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, "m", `m t=2026-01-02T03:04:05Z`},
		{"Error", []any{"err", errors.New("no way")}, "m", `m err="no way"`},
		{"NilError", []any{"err", nil}, "m", `m err=<nil>`},
		{"TextMarshaler", []any{"a", netip.MustParseAddr("::1")}, "m", `m a=::1`},
		{"BadTextMarshaler", []any{"a", badText{}}, "m", `m a="!ERROR: no text"`},
		{"Bytes", []any{"a", []byte("x\x01")}, "m", `m a=x%01`},
		{"Struct", []any{"a", struct{ X, Y int }{1, 2}}, "m", `m a="{X:1 Y:2}"`},
		{"LogValuer", []any{"a", hidden{"s3cret"}}, "m", `m a=[hidden]`},
		{"PanickingValue", []any{"a", &broken{}}, "m", `m a="!PANIC: cannot say"`},
		{"NilPointer", []any{"a", (*nilPanics)(nil)}, "m", `m a=<nil>`},
		{"Group", []any{slog.Group("g", "a", 1, slog.Group("h", "b", 2)), "c", 3}, "m", `m g.a=1 g.h.b=2 c=3`},
		{"InlineGroup", []any{slog.Group("", "a", 1)}, "m", `m a=1`},
		{"EmptyGroup", []any{slog.Group("g"), "a", 1}, "m", `m a=1`},
		{"OddGroup", []any{slog.Group("g h", "a", 1)}, "m", `m "g h.a"=1`},
		{"EmptyAttr", []any{slog.Attr{}, "a", 1}, "m", `m a=1`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, want := lineOf(t, nil, at(tt.msg, tt.args...)), stamp+tt.want+"\n"; got != want {
				t.Errorf("got  %swant %s", got, want)
			}
		})
	}
}

func TestLineWithAttrsAndGroups(t *testing.T) {
	with := func(h slog.Handler) slog.Handler {
		h = h.WithAttrs([]slog.Attr{slog.Int("a", 1), slog.String("s", "x y")})
		h = h.WithGroup("g").WithGroup("")
		h = h.WithAttrs([]slog.Attr{slog.Int("b", 2)}).WithGroup("h")
		h.WithAttrs([]slog.Attr{slog.Int("sibling", 9)}) // must not show in h
		return h
	}
	got := lineOf(t, with, at("m", "c", 3))
	if want := stamp + `m a=1 s="x y" g.b=2 g.h.c=3` + "\n"; got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

// Two handlers made from one must not write over each other's attributes.
func TestLineSiblings(t *testing.T) {
	var b bytes.Buffer
	h := NewLine(&b, Options{}).WithAttrs([]slog.Attr{slog.String("a", strings.Repeat("x", 100))})
	h1 := h.WithAttrs([]slog.Attr{slog.Int("n", 1)})
	h2 := h.WithAttrs([]slog.Attr{slog.Int("n", 2)})
	h1.Handle(context.Background(), at("m"))
	h2.Handle(context.Background(), at("m"))
	if l := strings.Split(b.String(), "\n"); !strings.HasSuffix(l[0], "n=1") || !strings.HasSuffix(l[1], "n=2") {
		t.Errorf("got %q", b.String())
	}
}

func TestLineWithoutTime(t *testing.T) {
	if got := lineOf(t, nil, slog.NewRecord(time.Time{}, 0, "m", 0)); got != "m\n" {
		t.Errorf("got %q", got)
	}
}

func TestLineTimeIsLocal(t *testing.T) {
	r := at("m")
	local := r.Time
	r.Time = r.Time.In(time.FixedZone("far", 13*3600+1800))
	if got, want := lineOf(t, nil, r), local.Format("2006/01/02-15:04:05")+" m\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHugeRecordIsCut(t *testing.T) {
	big := strings.Repeat("x\n", 1<<20)
	for name, r := range map[string]slog.Record{
		"Message": at(big),
		"Value":   at("m", "a", big),
		"Values":  at("m", "a", strings.Repeat("y", maxRecord/2), "b", strings.Repeat("z", maxRecord/2)),
		"Key":     at("m", big, 1),
	} {
		got := lineOf(t, nil, r)
		if len(got) > maxRecord || strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, cutMark+"\n") {
			t.Errorf("%s: %d bytes, %d lines, ends %q", name, len(got), strings.Count(got, "\n"), got[len(got)-20:])
		}
	}
	if got := lineOf(t, nil, at("m", "a", strings.Repeat("y", maxRecord-100))); strings.Contains(got, cutMark) {
		t.Error("a record below the limit was cut")
	}
}

func TestLevels(t *testing.T) {
	ctx := context.Background()
	all := []slog.Level{slog.LevelError, slog.LevelWarn, Notice, slog.LevelInfo, slog.LevelDebug}
	for n := -1; n <= 6; n++ {
		// Net::Server writes messages of level 0 to n, and none at all for 0.
		want := min(max(n+1, 0), 5)
		if n <= 0 {
			want = 0
		}
		for _, format := range []Format{NewLine, NewJSON} {
			h := format(new(bytes.Buffer), Options{Level: Level(n)})
			got := 0
			for _, l := range all {
				if h.Enabled(ctx, l) {
					got++
				}
			}
			if got != want {
				t.Errorf("log_level %d: %d of the levels enabled, want %d", n, got, want)
			}
		}
	}
	h := NewLine(new(bytes.Buffer), Options{})
	if !h.Enabled(ctx, Notice) || h.Enabled(ctx, slog.LevelInfo) {
		t.Error("the default is not log_level 2")
	}
}

func TestParseLevel(t *testing.T) {
	for text, want := range map[string]slog.Level{
		"0": Off, "1": slog.LevelWarn, "2": Notice, "3": slog.LevelInfo, "4": slog.LevelDebug,
		"5": slog.LevelDebug, "99999999999999999999999": slog.LevelDebug, "00": Off, "03": slog.LevelInfo,
		"err": slog.LevelError, "Warning": slog.LevelWarn, "notice": Notice, "INFO": slog.LevelInfo, "debug": slog.LevelDebug,
	} {
		if got, err := ParseLevel(text); got != want || err != nil {
			t.Errorf("%q: got %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "+2", "2 ", "two", "1.5", "0x2"} {
		if got, err := ParseLevel(text); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", text)) {
			t.Errorf("%q: got %v, %v; want an error that names it", text, got, err)
		}
	}
}

func TestJSONNamesLevels(t *testing.T) {
	var b bytes.Buffer
	h := NewJSON(&b, Options{Level: slog.LevelDebug})
	for l, want := range map[slog.Level]string{
		slog.LevelError + 4: "err", slog.LevelError: "err", slog.LevelWarn: "warning", Notice + 1: "notice",
		Notice: "notice", slog.LevelInfo: "info", slog.LevelDebug: "debug", slog.LevelDebug - 4: "debug",
	} {
		b.Reset()
		h.Handle(context.Background(), slog.NewRecord(time.Now(), l, "a\nb", 0))
		if got := b.String(); !strings.Contains(got, `"level":"`+want+`"`) || strings.Count(got, "\n") != 1 {
			t.Errorf("level %d: got %s", l, got)
		}
	}
}

// fields reads a line back, as a program that reads logs would.
func fields(t *testing.T, s string) map[string]any {
	m := map[string]any{slog.LevelKey: "not in the line"}
	if len(s) > len(stamp) && s[4] == '/' {
		m[slog.TimeKey] = s[:len(stamp)-1]
		s = s[len(stamp):]
	}
	words := strings.Fields(s)
	m[slog.MessageKey] = words[0]
	for _, w := range words[1:] {
		key, val, ok := strings.Cut(w, "=")
		if !ok {
			t.Fatalf("no = in %q", w)
		}
		at := m
		path := strings.Split(key, ".")
		for _, g := range path[:len(path)-1] {
			if at[g] == nil {
				at[g] = map[string]any{}
			}
			at = at[g].(map[string]any)
		}
		at[path[len(path)-1]] = val
	}
	return m
}

func TestLineIsAHandler(t *testing.T) {
	var b bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		b.Reset()
		return NewLine(&b, Options{Level: slog.LevelInfo})
	}, func(t *testing.T) map[string]any { return fields(t, b.String()) })
}

// FuzzLine looks for a client's text that makes a second line, leaves bytes
// that a terminal would act on, or takes more than its place in a line.
func FuzzLine(f *testing.F) {
	for _, s := range []string{"", "a", "\n", "a\n\nb", "\x00\xff\u2028", `"`, `\`, `a b="c`, "%0A"} {
		f.Add(s, s, s)
	}
	f.Fuzz(func(t *testing.T, msg, key, val string) {
		got := lineOf(t, func(h slog.Handler) slog.Handler {
			return h.WithGroup(key).WithAttrs([]slog.Attr{slog.String(key, val)})
		}, at(msg, key, val, "err", errors.New(val)))
		body, ok := strings.CutSuffix(got, "\n")
		if !ok || len(got) > maxRecord {
			t.Fatalf("%d bytes, ends with newline: %v", len(got), ok)
		}
		for i := range len(body) {
			if !printable(body[i]) {
				t.Fatalf("byte %#x at %d of %q", body[i], i, got)
			}
		}
		if strings.HasSuffix(body, cutMark) {
			return
		}
		// The value is the last thing in the line, so it must be there to read.
		want := string(appendText(nil, val))
		if !strings.HasSuffix(body, " "+string(appendText(nil, groupKey(key, "err")))+"="+want) {
			t.Fatalf("%q does not end with err=%s", body, want)
		}
		if unquote(want) != string(appendEscaped(nil, val)) {
			t.Fatalf("%q reads back as %q", val, unquote(want))
		}
	})
}

func groupKey(group, key string) string {
	if group == "" {
		return key
	}
	return group + "." + key
}

func unquote(s string) string {
	in, ok := strings.CutPrefix(s, `"`)
	if !ok {
		return s
	}
	in = strings.TrimSuffix(in, `"`)
	var b strings.Builder
	for i := 0; i < len(in); i++ {
		if in[i] == '\\' {
			i++
		}
		b.WriteByte(in[i])
	}
	return b.String()
}

// writes notes each Write, to see that a record is one of them.
type writes struct {
	mu sync.Mutex
	n  int
	b  bytes.Buffer
}

func (w *writes) Write(b []byte) (int, error) {
	if !w.mu.TryLock() {
		panic("two writes at once")
	}
	defer w.mu.Unlock()
	w.n++
	return w.b.Write(b)
}

func TestLinesOfManyGoroutinesStayWhole(t *testing.T) {
	w := new(writes)
	root := NewLine(w, Options{})
	var wg sync.WaitGroup
	const each, workers = 200, 8
	for i := range workers {
		h := root.WithAttrs([]slog.Attr{slog.Int("worker", i)})
		wg.Go(func() {
			for j := range each {
				h.Handle(context.Background(), at("m", "j", j))
			}
		})
	}
	wg.Wait()
	lines := strings.Split(strings.TrimSuffix(w.b.String(), "\n"), "\n")
	if w.n != each*workers || len(lines) != w.n {
		t.Fatalf("%d writes, %d lines, want %d", w.n, len(lines), each*workers)
	}
	for _, l := range lines {
		if !strings.HasPrefix(l, stamp+"m worker=") || strings.Count(l, "m worker=") != 1 {
			t.Fatalf("line %q", l)
		}
	}
}

// A client's record, as the engine logs it.
func clientAttrs(err error) []slog.Attr {
	return []slog.Attr{
		slog.Uint64("client", 123456), slog.String("port", "443/ssl"), slog.String("peer", "192.0.2.1:54321"),
		slog.String("stage", "handler"), slog.String("tls", "TLS 1.3"), slog.String("cipher", "TLS_AES_128_GCM_SHA256"),
		slog.Uint64("in", 1234), slog.Uint64("out", 5678), slog.Duration("time", 1234567*time.Microsecond), slog.Any("err", err),
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func TestLineAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools at random")
	}
	h := NewLine(discard{}, Options{}).WithAttrs([]slog.Attr{slog.String("server", "x")})
	r := at("served")
	r.AddAttrs(clientAttrs(errors.New("no way"))...)
	if n := testing.AllocsPerRun(1000, func() { h.Handle(context.Background(), r) }); n > 0 {
		t.Errorf("%v allocations for a line, want none", n)
	}
}

func BenchmarkLine(b *testing.B) {
	benchmarkHandler(b, NewLine(discard{}, Options{Level: slog.LevelInfo}))
}
func BenchmarkJSON(b *testing.B) {
	benchmarkHandler(b, NewJSON(discard{}, Options{Level: slog.LevelInfo}))
}
func BenchmarkSlogText(b *testing.B) {
	benchmarkHandler(b, slog.NewTextHandler(discard{}, nil))
}

func BenchmarkLineAsync(b *testing.B) {
	a := NewAsync(discard{}, 64<<20, nil)
	defer a.Close(context.Background())
	benchmarkHandler(b, NewLine(a, Options{Level: slog.LevelInfo}))
}

func benchmarkHandler(b *testing.B, h slog.Handler) {
	log := slog.New(h)
	attrs := clientAttrs(errors.New("no way"))
	b.ReportAllocs()
	for b.Loop() {
		log.LogAttrs(context.Background(), slog.LevelInfo, "served", attrs...)
	}
}
