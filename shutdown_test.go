package netserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver"
	"netserver/netservertest"
	"netserver/outcome"
	"netserver/port"
)

// serving runs s.Serve and returns what it will return.
func serving(ctx context.Context, s *netserver.Server, ls ...net.Listener) <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ls...) }()
	return done
}

// within fails the test if nothing comes of c in half a minute.
func within[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s: not in half a minute", what)
	}
	return v
}

// echoed reports whether the client is still served.
func echoed(t *testing.T, c net.Conn, r *bufio.Reader, word string) bool {
	t.Helper()
	fmt.Fprintln(c, word)
	line, err := r.ReadString('\n')
	return err == nil && line == "said "+word+"\n"
}

func TestShutdown(t *testing.T) {
	closed := make(chan netserver.Record, 2)
	draining := make(chan struct{})
	s := &netserver.Server{
		Config: netserver.Config{Shutdown: netserver.Shutdown{Grace: time.Nanosecond}}, // which holds for the end of a context alone
		Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
			go func() { <-c.Draining(); close(draining) }()
			return echoLines(ctx, c)
		}),
		Hooks: netserver.Hooks{Closed: func(_ *netserver.Conn, r netserver.Record) { closed <- r }},
	}
	l := listenTCP(t)
	done := serving(t.Context(), s, l)
	c := dial(t, l)
	r := bufio.NewReader(c)
	if !echoed(t, c, r, "one") {
		t.Fatal("no echo")
	}

	ctx, cancel := context.WithCancel(t.Context())
	shut := make(chan error, 1)
	go func() { shut <- s.Shutdown(ctx) }()
	if err := within(t, "Serve", done); err != netserver.ErrServerClosed {
		t.Errorf("Serve: %v", err)
	}
	within(t, "Draining", draining)
	if nc, err := net.Dial("tcp", l.Addr().String()); err == nil {
		nc.Close()
		t.Error("connected after Serve had returned")
	}
	if !echoed(t, c, r, "two") {
		t.Error("the client is not served any more")
	}
	if st := s.Monitor().Stats(); st.Clients != 1 || st.Serving != 1 {
		t.Errorf("%+v", st)
	}
	cancel()
	if err := within(t, "Shutdown", shut); err != context.Canceled {
		t.Errorf("Shutdown: %v", err)
	}
	if !echoed(t, c, r, "three") {
		t.Error("the client did not stay when Shutdown's context ended")
	}
	go func() { shut <- s.Shutdown(context.Background()) }()
	c.Close()
	if err := within(t, "the second Shutdown", shut); err != nil {
		t.Errorf("the second Shutdown: %v", err)
	}
	if rec := within(t, "a record", closed); rec.Outcome != outcome.Served {
		t.Errorf("%+v", rec)
	}
	if st := s.Monitor().Stats(); st.Clients != 0 || st.Served != 1 || st.Ports[0].Outcomes[outcome.Served] != 1 {
		t.Errorf("afterwards: %+v", st)
	}
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown with nobody there, and a context that has ended: %v", err)
	}
}

func TestCloseDoesNotWait(t *testing.T) {
	begun, hold := make(chan struct{}), make(chan struct{})
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
		close(begun)
		<-ctx.Done()
		<-hold
		return context.Cause(ctx)
	})}
	l := listenTCP(t)
	done := serving(t.Context(), s, l)
	dial(t, l)
	<-begun
	s.Close()
	if err := within(t, "Serve", done); err != netserver.ErrServerClosed {
		t.Errorf("Serve: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
	short, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(short); err != context.Canceled {
		t.Errorf("Shutdown while the handler runs: %v", err)
	}
	close(hold)
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if n := s.Monitor().Stats().Ports[0].Outcomes[outcome.Cut]; n != 1 {
		t.Errorf("clients cut: %d", n)
	}
}

// Close cuts a Shutdown short.
func TestShutdownThenClose(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	l := listenTCP(t)
	done := serving(t.Context(), s, l)
	c := dial(t, l)
	echoed(t, c, bufio.NewReader(c), "one")
	shut := make(chan error, 1)
	go func() { shut <- s.Shutdown(context.Background()) }()
	within(t, "Serve", done)
	s.Close()
	if err := within(t, "Shutdown", shut); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if _, err := io.ReadAll(c); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
}

// The end of the context came first: its grace time holds, Serve returns as
// that has it, and Shutdown waits for it.
func TestShutdownAfterTheContext(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	l := listenTCP(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := serving(ctx, s, l)
	c := dial(t, l)
	r := bufio.NewReader(c)
	echoed(t, c, r, "one")
	cancel()
	netservertest.Eventually(t, "the port is closed", func() bool {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			nc.Close()
		}
		return err != nil
	})
	short, stop := context.WithTimeout(t.Context(), time.Millisecond)
	defer stop()
	if err := s.Shutdown(short); err != context.DeadlineExceeded {
		t.Errorf("Shutdown while a client is there: %v", err)
	}
	if !echoed(t, c, r, "two") {
		t.Error("the client is not served any more")
	}
	c.Close()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := within(t, "Serve", done); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestStoppedBeforeServe(t *testing.T) {
	for name, stop := range map[string]func(*netserver.Server) error{
		"Shutdown": func(s *netserver.Server) error { return s.Shutdown(context.Background()) },
		"Close":    (*netserver.Server).Close,
	} {
		t.Run(name, func(t *testing.T) {
			s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
			s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "no such service", Proto: "tcp", IPv: "4"}}
			if err := stop(s); err != nil {
				t.Error(err)
			}
			l := listenTCP(t)
			if err := s.Serve(t.Context(), l); err != netserver.ErrServerClosed {
				t.Errorf("Serve: %v", err)
			}
			if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the listener: %v", err)
			}
			if err := s.ListenAndServe(t.Context()); err != netserver.ErrServerClosed {
				t.Errorf("ListenAndServe: %v", err) // or it looked up the service
			}
			if err := stop(s); err != nil {
				t.Error(err)
			}
		})
	}
}

// Serve, Shutdown and Close at the same moment: each returns, and nothing is
// left.
func TestStopsAtOnce(t *testing.T) {
	for range 200 {
		s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
		l := listenTCP(t)
		var wg sync.WaitGroup
		errs := make(chan error, 8)
		for range 2 {
			wg.Go(func() { errs <- s.Shutdown(t.Context()) })
			wg.Go(func() { errs <- s.Close() })
			wg.Go(func() { s.Monitor().Stats(); s.Monitor().Kill(1) })
		}
		wg.Go(func() {
			if nc, err := net.Dial("tcp", l.Addr().String()); err == nil {
				nc.Close()
			}
		})
		if err := s.Serve(t.Context(), l); err != netserver.ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			if err != nil {
				t.Error(err)
			}
		}
	}
}

func TestServeWithoutWhatItNeeds(t *testing.T) {
	handler := netserver.HandlerFunc(echoLines)
	plain := port.Spec{Host: "127.0.0.1", Port: "1", Proto: "tcp", IPv: "4"}
	for name, c := range map[string]struct {
		handler netserver.Handler
		ls      []net.Listener
		want    string
	}{
		"no handler":          {nil, []net.Listener{newPipeListener()}, "no Handler"},
		"a nil HandlerFunc":   {netserver.HandlerFunc(nil), []net.Listener{newPipeListener()}, "no Handler"},
		"StartsTLS of nil":    {netserver.StartsTLS(nil), []net.Listener{newPipeListener()}, "no Handler"},
		"no listener":         {handler, nil, "needs a listener"},
		"a nil listener":      {handler, []net.Listener{newPipeListener(), nil}, "listener 1 is nil"},
		"NewListener of nil":  {handler, []net.Listener{netserver.NewListener(nil, plain, nil)}, "listener 0 is nil"},
		"one and the same":    {handler, same(newPipeListener()), "given to Serve twice"},
		"one and the same, 2": {handler, same(netserver.NewListener(newPipeListener(), plain, nil)), "given to Serve twice"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &netserver.Server{Handler: c.handler}
			if err := s.Serve(t.Context(), c.ls...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Serve: %v", err)
			}
			for _, l := range c.ls {
				if p, ok := l.(*pipeListener); ok {
					within(t, "the end of the listener", p.closed)
				}
			}
		})
	}
	s := &netserver.Server{Config: netserver.Config{Ports: []port.Spec{{Host: "127.0.0.1", Port: "no such service", Proto: "tcp", IPv: "4"}}}}
	if err := s.ListenAndServe(t.Context()); err == nil || !strings.Contains(err.Error(), "no Handler") {
		t.Errorf("ListenAndServe without a handler: %v", err)
	}
}

func same(l net.Listener) []net.Listener { return []net.Listener{l, l} }

// A second Serve of the same listener is refused, and the first goes on.
func TestServeTwice(t *testing.T) {
	for name, wrap := range map[string]func(net.Listener) net.Listener{
		"a listener of the program": func(l net.Listener) net.Listener { return l },
		"one of ours": func(l net.Listener) net.Listener {
			return netserver.NewListener(l, port.Spec{Host: "127.0.0.1", Port: "1", Proto: "tcp", IPv: "4"}, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
			l := wrap(listenTCP(t))
			start(t, s, l)
			c := dial(t, l)
			r := bufio.NewReader(c)
			echoed(t, c, r, "one")
			if err := s.Serve(t.Context(), l); err == nil || !strings.Contains(err.Error(), "listener") {
				t.Errorf("the second Serve: %v", err)
			}
			d := dial(t, l)
			if !echoed(t, c, r, "two") || !echoed(t, d, bufio.NewReader(d), "three") {
				t.Error("the first Serve does not go on")
			}
		})
	}
}

func TestListenerClosedFromOutside(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: "tcp", IPv: "4"}, {Host: "127.0.0.1", Port: "0", Proto: "tcp", IPv: "4"}}
	var log lockedBuffer
	s.Log = slog.New(slog.NewTextHandler(&log, nil))
	ls, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stop := start(t, s, ls...)
	c := dial(t, ls[0])
	in := bufio.NewReader(c)
	echoed(t, c, in, "one")
	ls[0].Close()
	netservertest.Eventually(t, "the log tells", func() bool {
		return strings.Contains(log.String(), "nothing more is accepted on this port")
	})
	if !echoed(t, c, in, "two") {
		t.Error("the port's client is not served any more")
	}
	u := dial(t, ls[1])
	if !echoed(t, u, bufio.NewReader(u), "three") {
		t.Error("the other port does not go on")
	}
	c.Close()
	u.Close()
	err = stop()
	var e *netserver.Error
	if !errors.Is(err, net.ErrClosed) || !errors.As(err, &e) || e.Stage != netserver.StageAccept || !strings.HasSuffix(ls[0].Addr().String(), ":"+e.Port.Port) {
		t.Errorf("Serve: %v", err)
	}

	// With no other port, Serve ends when its clients have.
	s = &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	l := listenTCP(t)
	done := serving(t.Context(), s, l)
	c = dial(t, l)
	in = bufio.NewReader(c)
	echoed(t, c, in, "one")
	l.Close()
	if !echoed(t, c, in, "two") {
		t.Error("the client is not served any more")
	}
	c.Close()
	if err := within(t, "Serve", done); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
}

// A lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
