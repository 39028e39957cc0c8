package connlog_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netserver"
	"netserver/daemon/internal/connlog"
	"netserver/logs"
	"netserver/outcome"
	"netserver/port"
)

// record is one of which everything is known.
func record(text string) *netserver.Record {
	r := &netserver.Record{
		ID: 7, Port: port.Spec{Host: "127.0.0.1", Port: "443", Proto: "ssl", IPv: "4"},
		Peer:  &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1234},
		Via:   &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 80},
		Host:  text,
		Stage: netserver.StageHandler, Begin: time.Date(2026, 11, 29, 7, 0, 0, 5000, time.UTC), Time: 1500 * time.Microsecond,
		In: 12, Out: 34, Truncated: true, Verdict: text, Outcome: outcome.HandlerError,
		Err: &netserver.Error{Stage: netserver.StageHandler, Err: errors.New(text)},
		TLS: &tls.ConnectionState{HandshakeComplete: true, Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, CurveID: tls.X25519MLKEM768,
			DidResume: true, ServerName: text, NegotiatedProtocol: text, PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{CommonName: text}, Raw: []byte("x")}}},
		Notes: []slog.Attr{slog.String("route", text), slog.String("backend", text), slog.String("target", text), slog.Duration("connect", time.Millisecond),
			slog.Int("tries", 2), slog.Int("pid", 3), slog.Int("exit", 4), slog.String("signal", "KILL"), slog.String(text, text), slog.String("outcome", text), slog.String(text, "again")},
		Trace: &netserver.Trace{JA4: "t13d1516h2_8daaf6152771_e5627efa2ab1", Hello: 30 * time.Millisecond, Turn: 40 * time.Millisecond, Placed: 70 * time.Millisecond},
	}
	for s := range r.Trace.Entered {
		r.Trace.Entered[s] = time.Duration(s) * 10 * time.Millisecond
	}
	r.Trace.Hello, r.Trace.Turn = 32*time.Millisecond, 35*time.Millisecond
	r.Trace.Placed, r.Trace.Entered[netserver.StageClose] = 51*time.Millisecond, 90*time.Millisecond
	return r
}

// line returns the line of a record.
func line(t testing.TB, format string, r *netserver.Record) string {
	t.Helper()
	f, err := connlog.Parse(format)
	if err != nil {
		t.Fatal(err)
	}
	var got string
	l := &connlog.Log{Write: func(b []byte) { got = string(b) }}
	l.Line(f, nil, r)
	if !strings.HasSuffix(got, "\n") {
		t.Fatalf("%q", got)
	}
	return strings.TrimSuffix(got, "\n")
}

// keys returns the keys of an object in order, and fails for one that is there
// twice.
func keys(t testing.TB, text string) (list []string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	var objects []map[string]bool
	key := false
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		switch v := tok.(type) {
		case json.Delim:
			if v == '{' {
				objects, key = append(objects, map[string]bool{}), true
			} else {
				objects, key = objects[:len(objects)-1], true
			}
			continue
		case string:
			if key {
				if objects[len(objects)-1][v] {
					t.Errorf("%q is there twice in %s", v, text)
				}
				objects[len(objects)-1][v] = true
				list, key = append(list, v), false
				continue
			}
		}
		key = true
	}
}

// Each field is in JSON, as a directive, and most in a line of text.
func TestEachField(t *testing.T) {
	r := record("x.example")
	object := line(t, "json", r)
	var got map[string]any
	if err := json.Unmarshal([]byte(object), &got); err != nil {
		t.Fatal(err)
	}
	keys(t, object)
	for _, f := range connlog.Fields() {
		one := line(t, "<%{"+f.Name+"}>", r)
		v, ok := got[f.Name]
		switch f.Name {
		case "id", "local", "uid": // of a Conn
			if one != "<->" || ok {
				t.Errorf("%s: %s, %v", f.Name, one, v)
			}
			continue
		case "resumed":
			if v != true || one != "<1>" {
				t.Errorf("%s: %s, %v", f.Name, one, v)
			}
			continue
		}
		if want := fmt.Sprintf("<%v>", v); !ok || one != want {
			t.Errorf("%s: %s, in JSON %s", f.Name, one, want)
		}
	}
	for name, want := range map[string]any{"peer": "192.0.2.1:1234", "via": "192.0.2.2:80", "duration_ms": 1.5, "header_ms": 10.0, "admit_ms": 10.0, "hello_ms": 2.0, "turn_ms": 3.0,
		"handshake_ms": 5.0, "access_ms": 10.0, "place_ms": 1.0, "handler_ms": 39.0, "exit": 4.0, "group": "X25519MLKEM768", "outcome": "handler error", "time": "2026-11-29T07:00:00.000005Z"} {
		if got[name] != want {
			t.Errorf("%s: %v, want %v", name, got[name], want)
		}
	}
	text := line(t, "text", r)
	for _, want := range []string{" peer=192.0.2.1:1234 ", ` outcome="handler error" `, " in=12 out=34 duration_ms=1.5 ", " sni=x.example ", " exit=4 "} {
		if !strings.Contains(text, want) {
			t.Errorf("%s has no %s", text, want)
		}
	}
}

// Nothing that a client chooses ends a value or a line, or reaches a terminal.
func TestHostileValues(t *testing.T) {
	for _, bad := range []string{"a\nb", "\r\n{\"x\":1}", "\x1b[2J", `"`, `\"`, `\`, "\x00", "\u202e", "\u2028", "\x9b", "\xff\xfe", "\U0001f4a9", "%s%{peer}", "=", strings.Repeat("\x01", 100_000), strings.Repeat("\"", 100_000)} {
		for _, format := range []string{"text", "json", `"%{sni}" %{host}`} {
			got := line(t, format, record(bad))
			for i := range len(got) {
				if got[i] < ' ' || got[i] > '~' {
					t.Fatalf("%s of %.20q: byte %#x in %.200q", format, bad, got[i], got)
				}
			}
			if len(got) > 60<<10 {
				t.Errorf("%s of %.20q: %d bytes", format, bad, len(got))
			}
			switch format {
			case "json":
				keys(t, got)
				var v map[string]any
				json.Unmarshal([]byte(got), &v)
				if want := strings.ToValidUTF8(bad, "\ufffd"); len(bad) < 100 && strings.ToValidUTF8(fmt.Sprint(v["sni"]), "") != want && bad != "\xff\xfe" {
					t.Errorf("%q, want %q", v["sni"], want)
				}
			case "text":
			default:
				if n := strings.Count(got, `"`); n != 2 {
					t.Errorf("%d quotation marks in %.100s", n, got)
				}
			}
		}
	}
}

// What is not known is left out, - or null.
func TestUnknownBytes(t *testing.T) {
	r := &netserver.Record{Unseen: true, Peer: &net.UnixAddr{Net: "unix"}}
	if got := line(t, "%{in} %{out} %{peer} 100%%", r); got != "- - - 100%" {
		t.Error(got)
	}
	if got := line(t, "json", r); !strings.Contains(got, `"in":null,"out":null`) {
		t.Error(got)
	}
	if got := line(t, "text", r); !strings.Contains(got, " in=- out=- ") {
		t.Error(got)
	}
}

func TestParse(t *testing.T) {
	for _, bad := range []string{"%h", "%{nothing}", "%{peer", "%", "%{}", `%{peer}i`[:1], strings.Repeat("x", 10_000)} {
		if _, err := connlog.Parse(bad); err == nil {
			t.Errorf("%.30q is no error", bad)
		}
	}
	for text, want := range map[string]bool{"text": true, "json": true, "%{peer}": true, "%h %l %u": false, `%{Referer}i`: false, "%{peer}i": false, "%{host}i %{route}n %{time}t": false, "%{peer}i %{sni}": true, "%{peer}%{sni}": true, "plain": false, "": false} {
		if got := connlog.Is(text); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if got := line(t, `a\tb\"%{stage}\\%%`, record("x")); got != "a\tb\"handler\\%" {
		t.Errorf("%q", got)
	}
}

// What a format does not tell is not noted of clients.
func TestNeeds(t *testing.T) {
	for format, want := range map[string]netserver.Tracing{
		"text": 0, "%{peer} %{sni}": 0, "%{ja4}": netserver.TraceHello, "%{handshake_ms}": netserver.TraceTimes, "json": netserver.TraceHello | netserver.TraceTimes,
	} {
		f, err := connlog.Parse(format)
		if err != nil || f.Needs(false) != want {
			t.Errorf("%s: %v %v", format, f.Needs(false), err)
		}
	}
}

// Limits hold by outcome, and what is left out is told.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		n := 0
		l := &connlog.Log{Write: func([]byte) { n++ }, Log: func() *slog.Logger { return slog.New(logs.NewLine(&log, logs.Options{})) }}
		if err := l.Limits.Set("failed=3 not_tls=1/10 killed=all"); err != nil {
			t.Fatal(err)
		}
		if err := l.Limits.Set("reset=none"); err != nil {
			t.Fatal(err)
		}
		f, _ := connlog.Parse("")
		lines := func(o outcome.Class) int {
			before := n
			for range 2000 {
				l.Line(f, nil, &netserver.Record{Outcome: o})
			}
			return n - before
		}
		for o, want := range map[outcome.Class]int{outcome.Served: 2000, outcome.Denied: 3, outcome.NotTLS: 200, outcome.Killed: 2000, outcome.Reset: 0, outcome.Probe: 0} {
			if got := lines(o); got != want {
				t.Errorf("%v: %d lines, want %d", o, got, want)
			}
		}
		time.Sleep(61 * time.Second)
		synctest.Wait() // for who tells
		if got := log.String(); !strings.Contains(got, `lines left out of the access log, by outcome denied=1997 "not tls"=1800 reset=2000`) || strings.Contains(got, "probe") {
			t.Error(got)
		}
		if got := lines(outcome.Denied); got != 3 {
			t.Errorf("%d lines in the next minute", got)
		}
		l.Flush()
		if got := log.String(); !strings.Contains(got, "by outcome denied=1997\n") {
			t.Error(got)
		}
		var standard connlog.Log
		standard.Write = l.Write
		before := n
		for range 2000 {
			standard.Line(f, nil, &netserver.Record{Outcome: outcome.Hello})
		}
		if n-before != 1000 {
			t.Errorf("%d lines by default", n-before)
		}
		standard.Flush()
	})
	for _, bad := range []string{"x", "served", "served=", "served=x", "served=1/0", "nobody=1", "=1"} {
		if err := new(connlog.Limits).Set(bad); err == nil {
			t.Errorf("%q is no error", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("%{peer} x", "sni")
	f.Fuzz(func(t *testing.T, format, text string) {
		p, err := connlog.Parse(format)
		if err != nil {
			return
		}
		l := &connlog.Log{Write: func([]byte) {}}
		l.Line(p, nil, record(text))
		keys(t, line(t, "json", record(text)))
	})
}

func BenchmarkLine(b *testing.B) {
	r := record("x.example")
	for _, format := range []string{"text", "json", "%{peer} %{outcome} %{in} %{out} %{duration_ms}"} {
		b.Run(format, func(b *testing.B) {
			f, _ := connlog.Parse(format)
			l := &connlog.Log{Write: func([]byte) {}}
			r := *r
			r.Outcome = outcome.Served
			b.ReportAllocs()
			for b.Loop() {
				l.Line(f, nil, &r)
			}
		})
	}
}
