package httpd_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/handler/httpd"
	"netserver/netservertest"
	"netserver/outcome"
)

// within returns what comes from c, or fails.
func within[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(time.Minute):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// TestIdleConnectionsEndAtDrain, those that have had an answer and those that
// have not said anything.
func TestIdleConnectionsEndAtDrain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, name, version string) {
		r := start(t, func(w http.ResponseWriter, r *http.Request) {}, name)
		c := client(t, r, name, version)
		get(t, c, url(name, "/"))
		silent := r.Dial(t, name)
		r.Accepted(t, 2)
		r.Drain()
		if b, err := io.ReadAll(silent); len(b) > 0 || err != nil {
			t.Errorf("who was silent: %q, %v", b, err)
		}
		for _, rec := range r.Records(t, 2) {
			if rec.Outcome != outcome.Served && rec.Outcome != outcome.Probe {
				t.Errorf("%v", rec)
			}
		}
	})
}

// TestRequestsInFlightFinishAtDrain and their connections end after them.
func TestRequestsInFlightFinishAtDrain(t *testing.T) {
	each(t, func(t *testing.T, name, version string) {
		begun, end := make(chan (<-chan struct{})), make(chan bool)
		r := start(t, func(w http.ResponseWriter, r *http.Request) {
			begun <- httpd.Conn(r.Context()).Draining()
			b, err := io.ReadAll(r.Body)
			<-end
			fmt.Fprintf(w, "%s %v", b, err)
		}, name)
		c := client(t, r, name, version)
		body, more := io.Pipe()
		answer := make(chan string)
		go func() {
			res, err := c.Post(url(name, "/"), "text/plain", body)
			if err != nil {
				answer <- err.Error()
				return
			}
			b, _ := io.ReadAll(res.Body)
			answer <- fmt.Sprint(string(b), res.Close)
		}()
		io.WriteString(more, "before ")
		draining := within(t, "the request", begun)
		r.Drain()
		within(t, "drain", draining)
		io.WriteString(more, "after")
		more.Close()
		close(end)
		if got, want := within(t, "the answer", answer), fmt.Sprint("before after <nil>", version == "http/1.1"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.Served {
			t.Errorf("%v", rec)
		}
	})
}

// TestAnswerAtDrainIsTheLast of its connection, and says so, however soon after
// the drain it is given: what waits for the drain may not have run yet.
func TestAnswerAtDrainIsTheLast(t *testing.T) {
	for _, name := range netservertest.Streams() {
		t.Run(name, func(t *testing.T) {
			begun := make(chan (<-chan struct{}))
			h := handler(func(w http.ResponseWriter, r *http.Request) {
				draining := httpd.Conn(r.Context()).Draining()
				begun <- draining
				<-draining
			})
			r := netservertest.Start(t, &netserver.Server{Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
				h.EnterUnwatched(c.Draining())
				return h.Serve(ctx, c)
			})}, name)
			c := client(t, r, name, "http/1.1")
			last := make(chan bool, 1)
			go func() {
				res, err := c.Get(url(name, "/"))
				last <- err == nil && res.Close
			}()
			within(t, "the request", begun)
			r.Drain()
			if !within(t, "the answer", last) {
				t.Error("the answer does not say that it is the last")
			}
			if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.Served {
				t.Errorf("%v", rec)
			}
		})
	}
}

// TestRequestThatComesAsIdleOnesAreClosed at the drain is answered: net/http looks
// whether a connection is idle, and closes it a moment later. One that net/http
// itself ends in that moment does end.
func TestRequestThatComesAsIdleOnesAreClosed(t *testing.T) {
	for _, name := range netservertest.Streams() {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(w http.ResponseWriter, r *http.Request) {
				httpd.BeginSparing(r.Context())()
				w.Header().Set("Connection", "close")
			}, name)
			c := r.Dial(t, name)
			fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			b, err := io.ReadAll(c)
			if err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200 OK\r\n") {
				t.Errorf("%q, %v", b, err)
			}
			if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.Served {
				t.Errorf("%v", rec)
			}
		})
	}
}

// TestRequestThatHasComeIsAnsweredAtDrain although net/http closes connections
// that are idle.
func TestRequestThatHasComeIsAnsweredAtDrain(t *testing.T) {
	for _, name := range netservertest.Streams() {
		t.Run(name, func(t *testing.T) {
			first := make(chan context.Context, 1)
			r := start(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/first" {
					first <- r.Context()
				}
			}, name)
			var waiting []net.Conn
			var readers []*bufio.Reader
			for range 20 {
				c := r.Dial(t, name)
				fmt.Fprint(c, "GET /first HTTP/1.1\r\nHost: x\r\n\r\n")
				br := bufio.NewReader(c)
				if _, err := http.ReadResponse(br, nil); err != nil {
					t.Fatal(err)
				}
				ctx := <-first
				netservertest.Eventually(t, "idle", func() bool { return httpd.IsWaiting(ctx) })
				waiting, readers = append(waiting, c), append(readers, br)
			}
			for _, c := range waiting {
				fmt.Fprint(c, "GET /second HTTP/1.1\r\nHost: x\r\n\r\n")
			}
			r.Drain()
			for i, br := range readers {
				if _, err := http.ReadResponse(br, nil); err != nil {
					t.Errorf("the second answer of %d: %v", i, err)
				}
			}
		})
	}
}

// TestAnswersThatHaveBegunEndAtDrain, and their connections with them, although
// they did not tell so.
func TestAnswersThatHaveBegunEndAtDrain(t *testing.T) {
	each(t, func(t *testing.T, name, version string) {
		begun := make(chan (<-chan struct{}))
		r := start(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5")
			w.WriteHeader(200)
			http.NewResponseController(w).Flush()
			begun <- httpd.Conn(r.Context()).Draining()
			<-httpd.Conn(r.Context()).Draining()
			io.WriteString(w, "whole")
		}, name)
		c := client(t, r, name, version)
		answer := make(chan string)
		go func() {
			res, err := c.Get(url(name, "/"))
			if err != nil {
				answer <- err.Error()
				return
			}
			b, _ := io.ReadAll(res.Body)
			answer <- string(b)
		}()
		within(t, "the request", begun)
		r.Drain()
		if got := within(t, "the answer", answer); got != "whole" {
			t.Errorf("%q", got)
		}
		if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.Served || rec.Time > 10*time.Second {
			t.Errorf("%v", rec)
		}
	})
}

// TestKillEndsRequests in flight, and their contexts.
func TestKillEndsRequests(t *testing.T) {
	each(t, func(t *testing.T, name, version string) {
		begun, ended := make(chan bool, 1), make(chan error, 1)
		s := &netserver.Server{}
		r := startWith(t, s, handler(func(w http.ResponseWriter, r *http.Request) {
			begun <- true
			<-r.Context().Done()
			ended <- context.Cause(r.Context())
		}), name)
		c := client(t, r, name, version)
		go func() {
			if res, err := c.Get(url(name, "/")); err == nil {
				res.Body.Close()
			}
		}()
		within(t, "the request", begun)
		if !s.Monitor().Kill(1) {
			t.Error("Kill found nobody")
		}
		within(t, "the end of the context", ended)
		if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.Killed {
			t.Errorf("%v", rec)
		}
	})
}

// TestHijack gives the connection to the handler; the client stays until it is
// closed.
func TestHijack(t *testing.T) {
	for _, name := range netservertest.Streams() {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(w http.ResponseWriter, r *http.Request) {
				nc, rw, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				go func() {
					fmt.Fprint(nc, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
					line, err := rw.ReadString('\n')
					fmt.Fprintf(nc, "%s%v", line, err)
					nc.Close()
				}()
			}, name)
			c := r.Dial(t, name)
			fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			br := bufio.NewReader(c)
			if line, err := br.ReadString('\n'); !strings.Contains(line, "101") {
				t.Fatalf("%q, %v", line, err)
			}
			br.ReadString('\n')
			r.Drain() // who has hijacked stays
			fmt.Fprint(c, "hello\n")
			if b, err := io.ReadAll(br); string(b) != "hello\n<nil>" || err != nil {
				t.Errorf("%q, %v", b, err)
			}
			if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.Served {
				t.Errorf("%v", rec)
			}
		})
	}
}
