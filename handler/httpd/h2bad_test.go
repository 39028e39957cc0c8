package httpd_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"netserver"
	"netserver/netservertest"
	"netserver/outcome"
	"netserver/proto"
)

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Types and flags of HTTP/2 frames (RFC 9113, section 6).
const (
	frameHeaders, frameReset, frameSettings, framePing, frameContinuation = 1, 3, 4, 6, 9

	endStream, endHeaders = 1, 4
)

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	b = append(b, flags)
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

// request is a header block: GET / of host x.
var request = []byte{0x82, 0x84, 0x86, 0x41, 1, 'x'}

// dialH2 connects, and agrees on h2 over TLS.
func dialH2(t *testing.T, r *netservertest.Running, name string) net.Conn {
	t.Helper()
	var c net.Conn
	if name == "ssl" {
		cfg := r.ClientTLS()
		cfg.NextProtos = []string{"h2"}
		tc := tls.Client(r.DialRaw(t, name), cfg)
		if err := tc.Handshake(); err != nil {
			t.Fatal(err)
		}
		c = tc
	} else {
		c = r.Dial(t, name)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}

// flood writes b again and again, up to limit bytes in all, until the server has
// ended the connection.
func flood(t *testing.T, c net.Conn, limit int, next func(i int) []byte) {
	t.Helper()
	go io.Copy(io.Discard, c)
	sent := 0
	for i := 0; sent < limit; i++ {
		b := next(i)
		if _, err := c.Write(b); err != nil {
			return
		}
		sent += len(b)
	}
	t.Errorf("the server has taken %d bytes and not ended the connection", sent)
}

func eachPlainAndTLS(t *testing.T, f func(t *testing.T, name string)) {
	for _, name := range []string{"tcp", "ssl"} {
		t.Run(name, func(t *testing.T) { f(t, name) })
	}
}

// TestRapidReset: requests that are reset at once (CVE-2023-44487) do not run
// more handlers than MaxStreams, and end the connection.
func TestRapidReset(t *testing.T) {
	eachPlainAndTLS(t, func(t *testing.T, name string) {
		var running, most atomic.Int32
		free := make(chan bool)
		h := handler(func(w http.ResponseWriter, r *http.Request) {
			n := running.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			<-free // it does not look whether its client is there
			running.Add(-1)
		})
		h.MaxStreams = 10
		r := startWith(t, &netserver.Server{}, h, name)
		c := dialH2(t, r, name)
		io.WriteString(c, preface)
		c.Write(frame(frameSettings, 0, 0, nil))
		flood(t, c, 64<<20, func(i int) (b []byte) {
			for j := range uint32(100) {
				id := uint32(i)*200 + 2*j + 1
				b = append(b, frame(frameHeaders, endStream|endHeaders, id, request)...)
				b = append(b, frame(frameReset, 0, id, []byte{0, 0, 0, 8})...)
			}
			return b
		})
		netservertest.Eventually(t, "handlers", func() bool { return running.Load() > 0 })
		close(free)
		rec := r.Records(t, 1)[0]
		if rec.Outcome != outcome.BadRequest || !strings.Contains(rec.Err.Error(), "ENHANCE_YOUR_CALM") || most.Load() > 10 {
			t.Errorf("%d handlers at once; %v", most.Load(), rec)
		}
	})
}

// TestContinuationFlood: a head without an end (CVE-2023-45288) ends the
// connection.
func TestContinuationFlood(t *testing.T) {
	eachPlainAndTLS(t, func(t *testing.T, name string) {
		r := start(t, func(w http.ResponseWriter, r *http.Request) { t.Error("it reached the handler") }, name)
		c := dialH2(t, r, name)
		io.WriteString(c, preface)
		c.Write(frame(frameSettings, 0, 0, nil))
		c.Write(frame(frameHeaders, endStream, 1, request))
		field := append([]byte{0, 1, 'a', 127, 0}, bytes.Repeat([]byte("b"), 127)...)
		more := frame(frameContinuation, 0, 1, bytes.Repeat(field, 100))
		flood(t, c, 64<<20, func(int) []byte { return more })
		if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.BadRequest || rec.In > 4<<20 {
			t.Errorf("%v", rec)
		}
	})
}

// TestControlFloods: SETTINGS and PING whose answers nobody reads end the
// connection, and what they cost is bounded.
func TestControlFloods(t *testing.T) {
	for kind, f := range map[string][]byte{
		"settings": frame(frameSettings, 0, 0, []byte{0, 4, 0, 0, 255, 255}),
		"ping":     frame(framePing, 0, 0, make([]byte, 8)),
	} {
		t.Run(kind, func(t *testing.T) {
			eachPlainAndTLS(t, func(t *testing.T, name string) {
				s := &netserver.Server{}
				s.Config.Timeouts.Write = time.Second
				r := startWith(t, s, handler(func(w http.ResponseWriter, r *http.Request) {}), name)
				c := dialH2(t, r, name)
				proto.Socket(c).(*net.TCPConn).SetReadBuffer(4096)
				io.WriteString(c, preface)
				c.Write(frame(frameSettings, 0, 0, nil))
				many := bytes.Repeat(f, 1000)
				sent := 0
				for sent < 256<<20 {
					n, err := c.Write(many)
					if sent += n; err != nil {
						break
					}
				}
				if sent >= 256<<20 {
					t.Errorf("the server has taken %d bytes", sent)
				}
				rec := r.Records(t, 1)[0]
				t.Logf("%v %v after %d bytes", rec.Outcome, rec.Err, sent)
				if rec.Outcome == outcome.Panic || rec.Outcome == outcome.Cut {
					t.Errorf("%v", rec)
				}
			})
		})
	}
}

// TestBadPrefaces of clients that have agreed on h2 end them.
func TestBadPrefaces(t *testing.T) {
	for name, first := range map[string]string{
		"http/1.1":    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"half":        preface[:16] + "XX\r\n\r\nSM\r\n\r\n",
		"no settings": preface + string(frame(framePing, 0, 0, make([]byte, 8))),
		"garbage":     strings.Repeat("\xff", 100),
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(w http.ResponseWriter, r *http.Request) { t.Error("it reached the handler") }, "ssl")
			c := dialH2(t, r, "ssl")
			io.WriteString(c, first)
			io.Copy(io.Discard, c)
			if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.BadRequest {
				t.Errorf("%v", rec)
			}
		})
	}
}

// TestSilentHTTP2Clients, those that have agreed on h2 and say nothing, and those
// that begin and ask for nothing, end in time.
func TestSilentHTTP2Clients(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{"nothing": "", "half a preface": preface[:10], "begun": preface + string(frame(frameSettings, 0, 0, nil))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := handler(func(w http.ResponseWriter, r *http.Request) {})
			h.HeaderTimeout, h.IdleTimeout = 3*time.Second, time.Second
			r := startWith(t, &netserver.Server{}, h, "ssl")
			c := dialH2(t, r, "ssl")
			io.WriteString(c, first)
			io.Copy(io.Discard, c)
			rec := r.Records(t, 1)[0]
			t.Logf("%v %v", rec.Outcome, rec.Err)
			if rec.Time > 20*time.Second || (rec.Outcome == outcome.Served) != (name == "begun") {
				t.Errorf("%v", rec)
			}
		})
	}
}

// TestRequestsAfterTheEnd: requests whose goroutines begin when their client has
// ended do not end it once more, at which Serve would panic.
func TestRequestsAfterTheEnd(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // they begin late then
	var panics atomic.Int32
	h := handler(func(w http.ResponseWriter, r *http.Request) {})
	h.Log = slog.New(slog.NewTextHandler(writer(func(b []byte) {
		if bytes.Contains(b, []byte("panic")) {
			panics.Add(1)
		}
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	const clients = 100
	r := netservertest.Start(t, &netserver.Server{Handler: netserver.HandlerFunc(h.Serve)}, "tcp")
	for range clients {
		c := dialH2(t, r, "tcp")
		b := append([]byte(preface), frame(frameSettings, 0, 0, nil)...)
		for i := range uint32(60) {
			b = append(b, frame(frameHeaders, endStream|endHeaders, 2*i+1, request)...)
		}
		c.Write(append(b, frame(frameHeaders, endStream|endHeaders, 0, request)...)) // which ends all
		c.Close()
	}
	r.Records(t, clients)
	if n := panics.Load(); n > 0 {
		t.Errorf("%d panics", n)
	}
}

type writer func(b []byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }
