package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"netserver"
	"netserver/handler/proxy"
	"netserver/netservertest"
)

func parsed(t testing.TB, text string) proxy.Check {
	t.Helper()
	c, err := proxy.ParseCheck(text)
	must(t, err)
	c.Interval, c.Timeout = 10*time.Millisecond, patience
	return c
}

// script is a target that runs f for each connection.
func script(t testing.TB, f func(net.Conn)) net.Listener {
	l := listen(t, "tcp")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c)
			}()
		}
	}()
	return l
}

// answers is a script that reads want and then says text.
func answers(want, text string) func(net.Conn) {
	return func(c net.Conn) {
		b := make([]byte, len(want))
		if _, err := io.ReadFull(c, b); err == nil && string(b) == want {
			io.WriteString(c, text)
		}
		io.Copy(io.Discard, c)
	}
}

// Each kind of check finds a target up or down, and says why.
func TestKindsOfChecks(t *testing.T) {
	status := func(code int) net.Listener {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/health" && r.Method == http.MethodGet {
				w.WriteHeader(code)
				return
			}
			w.WriteHeader(http.StatusNotFound)
		}))
		t.Cleanup(s.Close)
		return s.Listener
	}
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	good := startNamed(t, "a", false)
	dead := listen(t, "tcp")
	dead.Close()
	bye := script(t, func(c net.Conn) {})
	flood := script(t, func(c net.Conn) { io.Copy(c, zeros{}) })
	for _, test := range []struct {
		name, check string
		l           net.Listener
		state, want string // the last check
	}{
		{"tcp", "tcp", good.l, "up", "ok"},
		{"refused", "tcp", dead, "down", "connection refused"},
		{"http", "http GET /health 200", status(200), "up", "ok"},
		{"any good status", "http GET /health", status(302), "up", "ok"},
		{"status", "http GET /health", status(503), "down", "status 503"},
		{"another status", "http GET /health 200-299", status(302), "down", "status 302"},
		{"with a host", "http GET http://x.example/health 200", status(200), "up", "ok"},
		{"another path", "http GET / 404", status(200), "up", "ok"},
		{"no HTTP", "http GET /", script(t, func(c net.Conn) { io.WriteString(c, "+OK ready\r\n") }), "down", "no HTTP answer: malformed HTTP"},
		{"HTTP without end", "http GET /", script(t, func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "); io.Copy(c, zeros{}) }), "down", "no HTTP answer: "},
		{"expect", "expect +OK", script(t, answers("", "+OK ready\r\n")), "up", "ok"},
		{"expect in pieces", "expect ready", script(t, func(c net.Conn) {
			for _, x := range "+OK ready" {
				io.WriteString(c, string(x))
			}
			io.Copy(io.Discard, c)
		}), "up", "ok"},
		{"send and expect", `send "PING\r\n" expect +PONG`, script(t, answers("PING\r\n", "+PONG\r\n")), "up", "ok"},
		{"another answer", "expect +OK", script(t, func(c net.Conn) { io.WriteString(c, "-ERR busy\r\n") }), "down", `it ended after "-ERR busy\r\n"`},
		{"no answer", "expect +OK", bye, "down", "it ended after nothing"},
		{"an endless answer", "expect +OK", flood, "down", "bytes without what is expected"},
		{"tls", "tls", secure.Listener, "up", "ok"},
		{"no tls", "tls", bye, "down", "the target "},
	} {
		t.Run(test.name, func(t *testing.T) {
			be := &proxy.Backend{Name: "x", Targets: []proxy.Target{{Address: targetOf(test.l)}}, Check: parsed(t, test.check)}
			running(t, be)
			netservertest.Eventually(t, "checked", func() bool { return stateOf(be, targetOf(test.l)).Checked != "" })
			s := stateOf(be, targetOf(test.l))
			if s.State != test.state || !strings.Contains(s.Checked, test.want) {
				t.Errorf("%s, checked: %s; want %s, %s", s.State, s.Checked, test.state, test.want)
			}
		})
	}
}

// A check that never ends is ended, whatever the target does or does not do.
func TestChecksThatNeverEnd(t *testing.T) {
	hole := blackHole(t, "tcp")
	silent := script(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	drip := script(t, func(c net.Conn) {
		for {
			if _, err := io.WriteString(c, "x"); err != nil {
				return
			}
			time.Sleep(time.Millisecond) // slower than any check waits for
		}
	})
	for _, check := range []string{"tcp", "tls", "http GET /", "expect +OK"} {
		for name, l := range map[string]net.Listener{"blackhole": hole, "silent": silent, "drip": drip} {
			if check == "tcp" && name != "blackhole" || check == "tls" && name == "drip" || check == "http GET /" && name == "drip" {
				continue // they end
			}
			t.Run(check+" "+name, func(t *testing.T) {
				t.Parallel()
				c := parsed(t, check)
				c.Timeout = 30 * time.Millisecond
				be := &proxy.Backend{Name: "x", Targets: []proxy.Target{{Address: targetOf(l)}}, Check: c}
				running(t, be)
				awaitState(t, be, targetOf(l), "down")
				s := stateOf(be, targetOf(l))
				if !strings.Contains(s.Checked, "within 30ms") && !strings.Contains(s.Checked, "in time it said only") {
					t.Errorf("checked: %s", s.Checked)
				}
				if !strings.HasPrefix(s.Reason, "check ") {
					t.Errorf("reason: %s", s.Reason)
				}
			})
		}
	}
}

// A client of a backend whose targets are all down by their checks is refused at
// once, and the record says why.
func TestNoTargetIsUp(t *testing.T) {
	dead := deadAddress(t)
	be := &proxy.Backend{Name: "x", Targets: []proxy.Target{{Address: dead}}, Check: parsed(t, "tcp")}
	running(t, be)
	awaitState(t, be, dead, "down")
	f := frontOf(t, be)
	wantEOF(t, f.dial(t))
	wantRecord(t, f, "no target of backend x is up: "+dead+": check tcp: connection refused")
	s := stateOf(be, dead)
	if s.Failed != 0 {
		t.Errorf("%d clients were connected to it", s.Failed)
	}
	if s.Checks == 0 || s.Faults != s.Checks {
		t.Errorf("%d of %d checks failed", s.Faults, s.Checks)
	}
}

// Rise and Fall count checks in a row; the first one of a target decides alone.
func TestRiseAndFall(t *testing.T) {
	var good atomic.Bool
	var checks atomic.Int64
	l := script(t, func(c net.Conn) {
		checks.Add(1)
		if good.Load() {
			io.WriteString(c, "+OK")
		}
	})
	c := parsed(t, "expect +OK")
	c.Rise, c.Fall = 4, 3
	var log lines
	var down, up atomic.Int64 // how many checks there had been
	log.on = func(line string) {
		switch {
		case strings.Contains(line, "target is down"):
			down.Store(checks.Load())
		case strings.Contains(line, "target is up"):
			up.Store(checks.Load())
		}
	}
	be := &proxy.Backend{Name: "x", Targets: []proxy.Target{{Address: targetOf(l)}}, Check: c, Log: log.log()}
	if s := stateOf(be, targetOf(l)); s.State != "up" || s.Checked != "" {
		t.Errorf("before any check: %+v", s)
	}
	running(t, be)
	awaitState(t, be, targetOf(l), "down")
	if n := down.Load(); n != 1 {
		t.Errorf("the first check did not decide: there were %d", n)
	}
	from := checks.Load()
	good.Store(true)
	awaitState(t, be, targetOf(l), "up")
	if n := up.Load() - from; n < 3 { // one may have begun before
		t.Errorf("up after %d checks", n)
	}
	from = checks.Load()
	good.Store(false)
	awaitState(t, be, targetOf(l), "down")
	if n := down.Load() - from; n < 2 {
		t.Errorf("down after %d checks", n)
	}
	if down, up := log.count("target is down"), log.count("target is up"); down != 2 || up != 1 {
		t.Errorf("said down %d times, up %d times", down, up)
	}
}

// A target that comes back begins with a small share.
func TestSlowStart(t *testing.T) {
	back := listen(t, "tcp")
	a := startNamed(t, "a", false)
	targets := []proxy.Target{{Address: targetOf(back)}, a.target()}
	be := &proxy.Backend{Targets: targets, Check: parsed(t, "tcp"), SlowStart: time.Hour}
	back.Close()
	running(t, be)
	awaitState(t, be, targetOf(back), "down")
	on(t, "b", targetOf(back))
	awaitState(t, be, targetOf(back), "up")
	f := frontOf(t, be)
	if got := f.names(t, 100); strings.Count(got, "b") > 2 {
		t.Errorf("of 100 clients it got %d at once", strings.Count(got, "b"))
	}
}

// Checks take the steps of clients' connections, with a header of their own.
func TestStepsToATarget(t *testing.T) {
	type seen struct{ header, dialog, tls, rest string }
	conns := make(chan seen, 100)
	cert := netservertest.CA(t).Issue(t, netservertest.Leaf{Name: "target.example"}).TLS
	l := script(t, func(c net.Conn) {
		var s seen
		b := bufio.NewReader(c)
		s.header, _ = b.ReadString('\n')
		s.dialog, _ = b.ReadString('\n')
		if s.dialog != "" {
			io.WriteString(c, "go\n")
			tc := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
			if tc.Handshake() == nil {
				s.tls = tc.ConnectionState().ServerName
				rest := make([]byte, 2)
				n, _ := io.ReadFull(tc, rest)
				s.rest = string(rest[:n])
				io.WriteString(tc, "hi")
				tc.Close()
			}
		}
		conns <- s
	})
	be := &proxy.Backend{
		Name: "x", Targets: []proxy.Target{{Address: targetOf(l)}},
		Header: func(b []byte, c *netserver.Conn) ([]byte, error) {
			if c == nil {
				return append(b, "LOCAL\n"...), nil
			}
			return fmt.Appendf(b, "FROM %s\n", c.RemoteAddr()), nil
		},
		StartTLS: func(ctx context.Context, nc net.Conn, t proxy.Target) ([]byte, error) {
			io.WriteString(nc, "starttls\n")
			b := make([]byte, 3)
			_, err := io.ReadFull(nc, b)
			return nil, err
		},
		TLS: func(ctx context.Context, nc net.Conn, t proxy.Target, _ *netserver.Conn) (net.Conn, error) {
			if t.Address != targetOf(l) {
				return nil, errors.New("another target")
			}
			c := tls.Client(nc, &tls.Config{ServerName: "target.example", InsecureSkipVerify: true})
			return c, c.HandshakeContext(ctx)
		},
		Check: parsed(t, "send ok expect hi"),
	}
	be.Check.Interval = time.Hour
	f := frontOf(t, be)
	c := f.dial(t)
	send(t, c, "ok")
	want(t, c, "hi")
	wantEOF(t, c)
	if s := <-conns; s.header != "FROM "+c.LocalAddr().String()+"\n" || s.dialog != "starttls\n" || s.tls != "target.example" || s.rest != "ok" {
		t.Errorf("a client: %+v", s)
	}
	c.Close()
	if r := f.record(t); r.Err != nil {
		t.Errorf("record: %v", r.Err)
	}
	running(t, be)
	s := <-conns
	if s.header != "LOCAL\n" || s.dialog != "starttls\n" || s.tls != "target.example" {
		t.Errorf("a check: %+v", s)
	}
}

// An error names the step.
func TestStepsThatFail(t *testing.T) {
	t.Parallel()
	ok := func(b []byte, c *netserver.Conn) ([]byte, error) { return append(b, "x"...), nil }
	closes := script(t, func(c net.Conn) { readByte(c) })
	resets := script(t, func(c net.Conn) { refuse(c) })
	silent := script(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	handshake := func(ctx context.Context, nc net.Conn, t proxy.Target, _ *netserver.Conn) (net.Conn, error) {
		c := tls.Client(nc, &tls.Config{ServerName: "x"})
		return c, c.HandshakeContext(ctx)
	}
	dialog := func(ctx context.Context, nc net.Conn, t proxy.Target) ([]byte, error) { return nil, readByte(nc) }
	plain := script(t, func(c net.Conn) { io.WriteString(c, "220 ready\r\n"); io.Copy(io.Discard, c) })
	for _, test := range []struct {
		name string
		l    net.Listener
		be   *proxy.Backend
		want string
	}{
		{"header", silent, &proxy.Backend{Header: func([]byte, *netserver.Conn) ([]byte, error) { return nil, errors.New("no addresses") }}, "PROXY header: no addresses"},
		{"dialog", closes, &proxy.Backend{Header: ok, StartTLS: dialog}, "STARTTLS: the target closed the connection"},
		{"dialog reset", resets, &proxy.Backend{Header: ok, StartTLS: dialog}, "STARTTLS: the target broke off the connection"},
		{"dialog silent", silent, &proxy.Backend{Header: ok, StartTLS: dialog}, "STARTTLS: not done within 1s"},
		{"TLS", plain, &proxy.Backend{TLS: handshake}, "TLS: tls: first record does not look like a TLS handshake"},
		{"TLS closed", closes, &proxy.Backend{TLS: handshake}, "TLS: the target "},
		{"TLS silent", silent, &proxy.Backend{TLS: handshake}, "TLS: not done within 1s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			be := test.be
			be.Name, be.Targets = "x", []proxy.Target{{Address: targetOf(test.l)}}
			be.ConnectTimeout = patience
			if strings.Contains(test.want, "within") {
				be.ConnectTimeout = time.Second
			}
			f := frontOf(t, be)
			wantEOF(t, f.dial(t))
			if r := f.record(t); r.Err == nil || !strings.Contains(r.Err.Error(), "handler: backend x: "+targetOf(test.l)+": "+test.want) {
				t.Errorf("record: %v, want %q", r.Err, test.want)
			}
		})
	}
}

func TestParseCheck(t *testing.T) {
	for text, want := range map[string]proxy.Check{
		"off":                                {},
		"tcp":                                {Kind: proxy.CheckTCP},
		"tls":                                {Kind: proxy.CheckTLS},
		"http GET /health 200":               {Kind: proxy.CheckHTTP, Method: "GET", Path: "/health", Status: [2]int{200, 200}},
		"http HEAD http://a.example/x":       {Kind: proxy.CheckHTTP, Method: "HEAD", Host: "a.example", Path: "/x"},
		"http GET / 200-299":                 {Kind: proxy.CheckHTTP, Method: "GET", Path: "/", Status: [2]int{200, 299}},
		"expect +OK":                         {Kind: proxy.CheckExpect, Expect: "+OK"},
		`expect "220 mail"`:                  {Kind: proxy.CheckExpect, Expect: "220 mail"},
		`send "PING\r\n" expect +PONG`:       {Kind: proxy.CheckExpect, Send: "PING\r\n", Expect: "+PONG"},
		`send PING expect "\"a\" b"`:         {Kind: proxy.CheckExpect, Send: "PING", Expect: `"a" b`},
		`  send "a expect b"   expect  "c" `: {Kind: proxy.CheckExpect, Send: "a expect b", Expect: "c"},
	} {
		if got, err := proxy.ParseCheck(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":                                    "write off, tcp",
		"udp":                                 "write off, tcp",
		"tcp 80":                              "nothing may follow",
		"http":                                "write off, tcp",
		"http /health":                        "write off, tcp",
		"http POST /":                         "the method is GET, HEAD or OPTIONS",
		"http GET health":                     "is not a path",
		"http GET / 700":                      "is not a status",
		"http GET / 300-200":                  "is not a status",
		"http GET / 200 x":                    "write off, tcp",
		"expect":                              "a text has 1 to 1024 bytes",
		"expect a b":                          "b stands after the text",
		`expect "a`:                           "has to end with one",
		`expect ""`:                           "a text has 1 to 1024 bytes",
		"send a":                              "write off, tcp",
		"expect " + strings.Repeat("x", 1025): "a text has 1 to 1024 bytes",
	} {
		if _, err := proxy.ParseCheck(text); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "check ") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func FuzzParseCheck(f *testing.F) {
	for _, s := range []string{"off", "tcp", "http GET / 200-299", `send "PING\r\n" expect +PONG`, `expect "`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := proxy.ParseCheck(s); err != nil && strings.ContainsAny(err.Error(), "\n\r\x1b\x00") {
			t.Errorf("%q garbles its message: %q", s, err)
		}
	})
}

func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"10.0.0.5:143 weight=2 backup max=500", "srv:_imap._tcp.example.com", "unix:/x", "a:1 weight=0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := proxy.ParseTarget(s)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x1b\x00") {
				t.Errorf("%q garbles its message: %q", s, err)
			}
			return
		}
		if again, err := proxy.ParseTarget(got.String()); err != nil || again != got {
			t.Errorf("%q is %+v, and that is %+v, %v", s, got, again, err)
		}
	})
}

func TestParseTarget(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "no target",
		"10.0.0.5":                 "missing port",
		"10.0.0.5:1 weight=0":      "weight=0: it must be a number from 1 to 256",
		"10.0.0.5:1 weight=x":      "weight=x: it must be a number",
		"10.0.0.5:1 max=-1":        "max=-1: it must be a number",
		"10.0.0.5:1 backup=yes":    "backup=yes is not known",
		"10.0.0.5:1 backup backup": "backup is given twice",
		"10.0.0.5:1 max=1 max=2":   "max is given twice",
		"10.0.0.5:1 wieght=2":      "wieght=2 is not known: after the address come weight=N, max=N and backup",
		"weight=2 10.0.0.5:1":      "missing port",
	} {
		if _, err := proxy.ParseTarget(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
