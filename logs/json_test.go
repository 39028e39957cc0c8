package logs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"netserver/logs"
	"netserver/netservertest"
)

var jsonFormats = map[string]logs.Format{
	"file": logs.NewJSON, "journal": logs.NewJournalJSON, "syslog": logs.Syslog{JSON: true}.New,
	"syslog by UDP": logs.Syslog{JSON: true, Network: true, Max: 2048}.New,
}

// object returns the one JSON object of what a handler wrote.
func object(t *testing.T, b []byte) map[string]any {
	t.Helper()
	at := bytes.IndexByte(b, '{')
	if at < 0 || bytes.Count(b, []byte("\n")) != 1 {
		t.Fatalf("not one line with an object: %.300q", b)
	}
	if err := netservertest.StrictJSON(b[at:]); err != nil {
		t.Fatalf("%v: %.300q", err, b)
	}
	var m map[string]any
	if err := json.Unmarshal(b[at:], &m); err != nil {
		t.Fatal(err)
	}
	return m
}

type valuer struct{ slog.Value }

func (v valuer) LogValue() slog.Value { return v.Value }

// No key stands twice, whoever took it first, and nothing is lost by that.
func TestJSONKeysAreUnique(t *testing.T) {
	for name, format := range jsonFormats {
		var b bytes.Buffer
		h := format(&b, logs.Options{Level: slog.LevelDebug})
		log := slog.New(h.WithAttrs([]slog.Attr{slog.Int("a", 1), slog.Int("a", 2)}))
		log.Info("m", "msg", "x", "level", "y", "time", 1500*time.Microsecond, "time", "z", "a", 3, "a_2", 4, "e", errors.New("bad"),
			slog.Group("", slog.Int("a", 5)), slog.Group("g", "a", 6, "a", 7, "time", time.Second), slog.Group("g", "b", 1), slog.Group("none"),
			"v", valuer{slog.GroupValue(slog.Int("q", 1), slog.Int("q", 2))}, slog.Attr{}, "u\xff", 1, "u\xfe", 2)
		got := object(t, b.Bytes())
		want := map[string]any{"msg": "m", "msg_2": "x", "level_2": "y", "duration_ms": 1.5, "time_2": "z", "a": 1.0, "a_2": 2.0, "a_3": 3.0, "a_2_2": 4.0, "a_4": 5.0,
			"e": "bad", "u\ufffd": 1.0, "u\ufffd_2": 2.0}
		for k, v := range want {
			if got[k] != v {
				t.Errorf("%s: %s is %v, not %v", name, k, got[k], v)
			}
		}
		if g := got["g"].(map[string]any); g["a"] != 6.0 || g["a_2"] != 7.0 || g["time"] != 1e9 {
			t.Errorf("%s: a group: %v", name, g)
		}
		if got["g_2"] == nil || got["none"] != nil || got["v"].(map[string]any)["q_2"] != 2.0 {
			t.Errorf("%s: %v", name, got)
		}
		b.Reset()
		log.WithGroup("a").With("x", 1, "x", 2).WithGroup("x").Info("m", "msg", 1, "msg", 2)
		if g := object(t, b.Bytes())["a_3"].(map[string]any); g["x_2"] != 2.0 || g["x_3"].(map[string]any)["msg_2"] != 2.0 {
			t.Errorf("%s: groups: %s", name, b.Bytes())
		}
	}
}

// What is too long is cut inside, so that the object ends.
func TestLongJSONStaysJSON(t *testing.T) {
	long := strings.Repeat("ä\x00\"", 100_000)
	many := make([]slog.Attr, 5000)
	for i := range many {
		many[i] = slog.String(fmt.Sprintf("key%d", i), "value")
	}
	for name, format := range jsonFormats {
		for what, attrs := range map[string][]slog.Attr{
			"value": {slog.String("k", long), slog.Int("n", 7)}, "key": {slog.Int(long, 1), slog.Int("n", 7)}, "error": {slog.Any("err", errors.New(long)), slog.Int("n", 7)},
			"bytes": {slog.Any("b", []byte(long)), slog.Int("n", 7)}, "group": {slog.Group("g", slog.String("k", long)), slog.Int("n", 7)}, "many": many,
		} {
			var b bytes.Buffer
			h := format(&b, logs.Options{Level: slog.LevelDebug})
			slog.New(h).LogAttrs(context.Background(), slog.LevelInfo, long, attrs...)
			got := object(t, b.Bytes())
			if got["cut"] != true || what != "many" && got["n"] != 7.0 || b.Len() > 64<<10+1 {
				t.Errorf("%s, %s: %d bytes: %.200s", name, what, b.Len(), b.Bytes())
			}
			b.Reset()
			slog.New(h.WithAttrs(attrs)).Info("m")
			object(t, b.Bytes())
		}
	}
}

func FuzzJSONIsStrict(f *testing.F) {
	f.Add("time", "a", "b", "v", uint8(3))
	f.Add("msg", "msg_2", "msg", strings.Repeat("x", 3000), uint8(255))
	f.Fuzz(func(t *testing.T, k1, k2, k3, v string, how uint8) {
		for _, format := range jsonFormats {
			var b bytes.Buffer
			h := format(&b, logs.Options{Level: slog.LevelDebug})
			if how&1 != 0 {
				h = h.WithAttrs([]slog.Attr{slog.String(k1, v)})
			}
			if how&2 != 0 {
				h = h.WithGroup(k2)
			}
			attrs := []slog.Attr{slog.String(k1, v), slog.String(k2, v), slog.Duration(k3, time.Second), slog.Group(k3, slog.String(k1, v), slog.String(k2, k3))}
			slog.New(h).LogAttrs(context.Background(), slog.LevelInfo, v, attrs...)
			object(t, b.Bytes())
		}
	})
}
