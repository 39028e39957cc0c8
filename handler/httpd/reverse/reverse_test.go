package reverse_test

import (
	"bufio"
	"context"
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
	"netserver/handler/httpd"
	"netserver/handler/httpd/reverse"
	"netserver/netservertest"
	"netserver/outcome"
)

// to makes a Handler whose target is srv.
func to(t testing.TB, target http.HandlerFunc, dials *atomic.Int32) *reverse.Handler {
	srv := httptest.NewServer(target)
	t.Cleanup(srv.Close)
	return &reverse.Handler{Dial: func(ctx context.Context, c *netserver.Conn) (net.Conn, error) {
		if dials != nil {
			dials.Add(1)
		}
		return new(net.Dialer).DialContext(ctx, "tcp", srv.Listener.Addr().String())
	}}
}

func start(t testing.TB, h *reverse.Handler, name string) *netservertest.Running {
	r := netservertest.Start(t, &netserver.Server{Handler: &httpd.Handler{Handler: h}}, name)
	t.Cleanup(h.Close)
	return r
}

// ask sends a request as it stands and returns the answer.
func ask(t testing.TB, c net.Conn, request string) (*http.Response, string) {
	t.Helper()
	io.WriteString(c, request)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// TestTargetsAreToldWhoAsks, and not what clients claim.
func TestTargetsAreToldWhoAsks(t *testing.T) {
	for _, name := range netservertest.Streams() {
		t.Run(name, func(t *testing.T) {
			h := to(t, func(w http.ResponseWriter, r *http.Request) {
				r.Header.Write(w)
				fmt.Fprintf(w, "host %s uri %s", r.Host, r.RequestURI)
			}, nil)
			r := start(t, h, name)
			c := r.Dial(t, name)
			_, got := ask(t, c, "GET /a%2fb?x=1;y=%zz HTTP/1.1\r\nHost: example.com\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Port: 1\r\nForwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\nX_Forwarded_For: 1.2.3.4\r\nx-forwarded_proto: gopher\r\nX_REAL-IP: 1.2.3.4\r\nConnection: X-Hop\r\nX-Hop: 1\r\nTE: gzip\r\nX-Other: stays\r\n\r\n")
			for _, want := range []string{"X-Other: stays", "X-Forwarded-Host: example.com", "host example.com uri /a%2fb?x=1;y=%zz",
				map[bool]string{true: "X-Forwarded-Proto: https", false: "X-Forwarded-Proto: http\r"}[strings.HasSuffix(name, "ssl")]} {
				if !strings.Contains(got, want) {
					t.Errorf("%q is missing in:\n%s", want, got)
				}
			}
			if strings.Contains(got, "X-Forwarded-For: 127.0.0.1") != !strings.HasPrefix(name, "unix") {
				t.Errorf("X-Forwarded-For in:\n%s", got)
			}
			for _, not := range []string{"1.2.3.4", "gopher", "X-Hop", "Port", "gzip", "User-Agent"} {
				if strings.Contains(got, not) {
					t.Errorf("%q is in:\n%s", not, got)
				}
			}
		})
	}
}

// TestConnectionsAreKept for further requests, unless each is for its client.
func TestConnectionsAreKept(t *testing.T) {
	for _, per := range []bool{false, true} {
		var dials atomic.Int32
		h := to(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }, &dials)
		h.PerClient = per
		dial := h.Dial
		h.Dial = func(ctx context.Context, c *netserver.Conn) (net.Conn, error) {
			if (c != nil) != per {
				t.Errorf("PerClient %v: client %v", per, c)
			}
			return dial(ctx, c)
		}
		r := start(t, h, "tcp")
		for range 3 {
			c := r.Dial(t, "tcp")
			if _, got := ask(t, c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"); got != "body" {
				t.Errorf("%q", got)
			}
		}
		if n, want := dials.Load(), map[bool]int32{false: 1, true: 3}[per]; n != want {
			t.Errorf("PerClient %v: %d connections, want %d", per, n, want)
		}
	}
}

// TestFailingTargets make 502 or 504, and the outcome of the client.
func TestFailingTargets(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	rude := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }))
	defer rude.Close()
	for _, tt := range []struct {
		name    string
		target  string
		err     error
		method  string
		status  int
		outcome outcome.Class
	}{
		{"nobody", "", errors.New("no such host"), "GET", 502, outcome.NoTarget},
		{"late connect", "", context.DeadlineExceeded, "GET", 504, outcome.NoTarget},
		{"breaks off", rude.Listener.Addr().String(), nil, "GET", 502, outcome.TargetFailed},
		{"silent", silent.Addr().String(), nil, "GET", 504, outcome.TargetFailed},
		{"CONNECT", "", nil, "CONNECT", 405, outcome.Served},
		{"TRACE", "", nil, "TRACE", 405, outcome.Served},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := &reverse.Handler{AnswerTimeout: 2 * time.Second, Dial: func(ctx context.Context, _ *netserver.Conn) (net.Conn, error) {
				if tt.err != nil {
					return nil, tt.err
				}
				return new(net.Dialer).DialContext(ctx, "tcp", tt.target)
			}}
			r := start(t, h, "tcp")
			c := r.Dial(t, "tcp")
			path := "/"
			if tt.method == "CONNECT" {
				path = "x:1"
			}
			res, got := ask(t, c, tt.method+" "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			if res.StatusCode != tt.status || strings.Contains(got, "127.0.0.1") {
				t.Errorf("%d %q, want %d", res.StatusCode, got, tt.status)
			}
			if rec := r.Records(t, 1)[0]; rec.Outcome != tt.outcome {
				t.Errorf("%v", rec)
			}
		})
	}
}

// TestUpgrades go through, in both directions.
func TestUpgrades(t *testing.T) {
	h := to(t, func(w http.ResponseWriter, r *http.Request) {
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		fmt.Fprint(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n")
		line, _ := rw.ReadString('\n')
		fmt.Fprint(nc, strings.ToUpper(line))
	}, nil)
	for _, name := range netservertest.Streams() {
		t.Run(name, func(t *testing.T) {
			r := start(t, h, name)
			c := r.Dial(t, name)
			fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n")
			br := bufio.NewReader(c)
			res, err := http.ReadResponse(br, nil)
			if err != nil || res.StatusCode != 101 {
				t.Fatalf("%v, %v", res, err)
			}
			fmt.Fprint(c, "hello\n")
			if line, err := br.ReadString('\n'); line != "HELLO\n" {
				t.Errorf("%q, %v", line, err)
			}
			c.Close()
			r.Records(t, 1)
		})
	}
}

// TestClientThatLeaves ends its request at the target.
func TestClientThatLeaves(t *testing.T) {
	begun, ended := make(chan bool, 1), make(chan bool, 1)
	h := to(t, func(w http.ResponseWriter, r *http.Request) {
		begun <- true
		<-r.Context().Done()
		ended <- true
	}, nil)
	r := start(t, h, "tcp")
	c := r.Dial(t, "tcp")
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-begun
	c.Close()
	<-ended
	if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.Served && rec.Outcome != outcome.Left {
		t.Errorf("%v", rec)
	}
}
