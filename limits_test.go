package netserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"netserver"
	"netserver/port"
)

// A pipeListener is a listener of net.Pipe connections, so that whole servers
// run under synctest's clock.
type pipeListener struct {
	conns  chan net.Conn
	errs   chan error
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), errs: make(chan error), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case err := <-l.errs:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

func (l *pipeListener) dial() net.Conn {
	a, b := net.Pipe()
	l.conns <- b
	return a
}

// served runs f against a server under synctest's clock and returns the
// records of its clients.
func served(t *testing.T, s *netserver.Server, wrap func(net.Listener) net.Listener, f func(t *testing.T, l *pipeListener)) []netserver.Record {
	t.Helper()
	var mu sync.Mutex
	var recs []netserver.Record
	synctest.Test(t, func(t *testing.T) {
		s.Log = slog.New(slog.DiscardHandler)
		s.Hooks.Closed = func(_ *netserver.Conn, r netserver.Record) {
			mu.Lock()
			defer mu.Unlock()
			recs = append(recs, r)
		}
		pl := newPipeListener()
		var l net.Listener = pl
		if wrap != nil {
			l = wrap(l)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, l) }()
		f(t, pl)
		cancel()
		<-done
	})
	return recs
}

func oneRecord(t *testing.T, recs []netserver.Record) netserver.Record {
	t.Helper()
	if len(recs) != 1 {
		t.Fatalf("%d records: %v", len(recs), recs)
	}
	return recs[0]
}

func wantErr(t *testing.T, r netserver.Record, stage netserver.Stage, err error, after time.Duration) {
	t.Helper()
	if !errors.Is(r.Err, err) || r.Stage != stage || r.Time < after || r.Time > after+after/8+10*time.Millisecond {
		t.Errorf("record: stage %v, time %v, error %v; want %v, about %v, %v", r.Stage, r.Time, r.Err, stage, after, err)
	}
}

func TestIdleTimeout(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	s.Config.Timeouts.Idle = 10 * time.Second
	recs := served(t, s, nil, func(t *testing.T, l *pipeListener) {
		c := l.dial()
		buf := make([]byte, 100)
		for range 5 { // bytes keep it alive, in all for 40 s
			time.Sleep(8 * time.Second)
			fmt.Fprint(c, "x\n")
			if n, err := c.Read(buf); string(buf[:n]) != "said x\n" || err != nil {
				t.Errorf("got %q, %v", buf[:n], err)
			}
		}
		io.ReadAll(c)
	})
	wantErr(t, oneRecord(t, recs), netserver.StageHandler, netserver.ErrIdle, 50*time.Second)
}

func TestIdleTimeoutCountsWrites(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
		go func() {
			for range 5 {
				time.Sleep(8 * time.Second)
				c.Write([]byte("tick"))
			}
		}()
		_, err := c.Read(make([]byte, 1))
		return err
	})}
	s.Config.Timeouts.Idle = 10 * time.Second
	recs := served(t, s, nil, func(t *testing.T, l *pipeListener) { io.ReadAll(l.dial()) })
	wantErr(t, oneRecord(t, recs), netserver.StageHandler, netserver.ErrIdle, 50*time.Second)
}

func TestMaxLife(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	s.Config.Timeouts.Life = 20 * time.Second
	recs := served(t, s, nil, func(t *testing.T, l *pipeListener) {
		c := l.dial()
		go io.Copy(io.Discard, c)
		for {
			if _, err := fmt.Fprint(c, "x\n"); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	})
	wantErr(t, oneRecord(t, recs), netserver.StageHandler, netserver.ErrMaxLife, 20*time.Second)
}

func TestWriteStalled(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
		_, err := c.Write(make([]byte, 1<<20))
		return err
	})}
	s.Config.Timeouts.Write = 10 * time.Second
	recs := served(t, s, nil, func(t *testing.T, l *pipeListener) {
		c := l.dial()
		c.Read(make([]byte, 1000)) // takes some, then none
		time.Sleep(time.Minute)
	})
	r := oneRecord(t, recs)
	if !errors.Is(r.Err, netserver.ErrWriteStalled) || r.Time < 10*time.Second || r.Time > 45*time.Second {
		t.Errorf("after %v: %v", r.Time, r.Err)
	}
}

func TestSlowReaderIsNotStalled(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
		_, err := c.Write(make([]byte, 1<<20))
		return err
	})}
	s.Config.Timeouts.Write = 10 * time.Second
	recs := served(t, s, nil, func(t *testing.T, l *pipeListener) {
		c := l.dial()
		n := 0
		for n < 1<<20 {
			m, err := c.Read(make([]byte, 8<<10))
			if err != nil {
				t.Error(err)
				break
			}
			n += m
			time.Sleep(4 * time.Second)
		}
	})
	if r := oneRecord(t, recs); r.Err != nil || r.Out != 1<<20 {
		t.Errorf("record: %d bytes, %v", r.Out, r.Err)
	}
}

func TestHandlerDeadlineBesideIdle(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
		c.SetReadDeadline(time.Now().Add(3 * time.Second))
		_, err := c.Read(make([]byte, 1))
		return err
	})}
	s.Config.Timeouts.Idle = 10 * time.Second
	recs := served(t, s, nil, func(t *testing.T, l *pipeListener) { io.ReadAll(l.dial()) })
	r := oneRecord(t, recs)
	if errors.Is(r.Err, netserver.ErrIdle) || r.Err == nil || r.Time != 3*time.Second {
		t.Errorf("after %v: %v", r.Time, r.Err)
	}
}

// stallTransport shakes hands by waiting for a line.
type stallTransport struct{}

func (stallTransport) Network() string { return "tcp" }
func (stallTransport) Ready(ctx context.Context, nc net.Conn) (net.Conn, error) {
	b := make([]byte, 1)
	for b[0] != '\n' {
		if _, err := nc.Read(b); err != nil {
			return nil, err
		}
	}
	return nc, nil
}

func handshaking(l net.Listener) net.Listener {
	return netserver.NewListener(l, port.Spec{Host: "*", Port: "1", Proto: "slow", IPv: "*"}, stallTransport{})
}

func TestHandshakeDeadlineIsAbsolute(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	recs := served(t, s, handshaking, func(t *testing.T, l *pipeListener) {
		c := l.dial()
		for { // a byte a second
			if _, err := c.Write([]byte("x")); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	})
	wantErr(t, oneRecord(t, recs), netserver.StageHandshake, netserver.ErrHandshakeTimeout, 10*time.Second)
}

func TestHandshakeDeadlineEndsWithIt(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	recs := served(t, s, handshaking, func(t *testing.T, l *pipeListener) {
		c := l.dial()
		fmt.Fprint(c, "\n")
		time.Sleep(time.Minute)
		fmt.Fprint(c, "x\n")
		b := make([]byte, 20)
		if n, err := c.Read(b); string(b[:n]) != "said x\n" {
			t.Errorf("%q, %v", b[:n], err)
		}
		c.Close()
	})
	if r := oneRecord(t, recs); r.Err != nil {
		t.Error(r.Err)
	}
}

// One client that stalls in its handshake keeps nobody out, not even where
// one client is served at a time.
func TestStalledHandshakeTakesNoPlace(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	s.Config.Limits.MaxServing = 1
	served(t, s, handshaking, func(t *testing.T, l *pipeListener) {
		stalled := l.dial()
		defer stalled.Close()
		begin := time.Now()
		c := l.dial()
		fmt.Fprint(c, "\nx\n")
		b := make([]byte, 20)
		if n, err := c.Read(b); string(b[:n]) != "said x\n" || time.Since(begin) != 0 {
			t.Errorf("%q, %v, after %v", b[:n], err, time.Since(begin))
		}
		c.Close()
	})
}

func TestMaxServingOneAfterTheOther(t *testing.T) {
	var now, most atomic.Int32
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.Sleep(time.Second)
		now.Add(-1)
		return nil
	})}
	s.Config.Limits.MaxServing = 2
	recs := served(t, s, handshaking, func(t *testing.T, l *pipeListener) {
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				c := l.dial()
				fmt.Fprint(c, "\n")
				io.ReadAll(c)
			})
		}
		begin := time.Now()
		wg.Wait()
		if d := time.Since(begin); d != 5*time.Second {
			t.Errorf("ten clients, two at once, a second each, took %v", d)
		}
	})
	if len(recs) != 10 || most.Load() != 2 {
		t.Errorf("%d records, %d at once", len(recs), most.Load())
	}
}

func TestMaxConnsLeavesClientsInTheBacklog(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	s.Config.Limits.MaxConns = 2
	served(t, s, nil, func(t *testing.T, l *pipeListener) {
		a, b := l.dial(), l.dial()
		third := make(chan net.Conn)
		go func() { third <- l.dial() }()
		synctest.Wait()
		select {
		case <-third:
			t.Error("a third client was accepted")
		default:
		}
		a.Close()
		(<-third).Close()
		b.Close()
	})
}

func TestAcceptSurvivesErrors(t *testing.T) {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ECONNABORTED, syscall.ENOBUFS, errors.New("odd")} {
		t.Run(e.Error(), func(t *testing.T) {
			s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
			var log strings.Builder
			synctest.Test(t, func(t *testing.T) {
				s.Log = slog.New(slog.NewTextHandler(&log, nil))
				l := newPipeListener()
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- s.Serve(ctx, l) }()
				begin := time.Now()
				for time.Since(begin) < 10*time.Second {
					select {
					case l.errs <- e:
						if e == syscall.ECONNABORTED {
							time.Sleep(time.Millisecond)
						}
					case <-time.After(time.Minute):
						t.Fatal("no accept for a minute")
					}
				}
				c := l.dial()
				fmt.Fprint(c, "x\n")
				b := make([]byte, 20)
				if n, err := c.Read(b); string(b[:n]) != "said x\n" {
					t.Errorf("%q, %v", b[:n], err)
				}
				c.Close()
				cancel()
				<-done
			})
			lines := strings.Count(log.String(), "cannot accept")
			if e == syscall.ECONNABORTED && lines > 0 || e != syscall.ECONNABORTED && (lines < 8 || lines > 11) {
				t.Errorf("%d lines in 10 s:\n%s", lines, log.String())
			}
		})
	}
}

// A descriptor that comes back ends the back-off at once.
func TestAcceptResumesWhenADescriptorIsFreed(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	served(t, s, nil, func(t *testing.T, l *pipeListener) {
		c := l.dial()
		for range 12 {
			l.errs <- syscall.EMFILE
		}
		begin := time.Now()
		c.Close()
		l.dial().Close()
		if d := time.Since(begin); d > 100*time.Millisecond {
			t.Errorf("accepted %v after a descriptor was freed", d)
		}
	})
}

func TestDrainWaitsThenCuts(t *testing.T) {
	s := &netserver.Server{}
	s.Config.Shutdown.Grace = 5 * time.Second
	cut := make(chan time.Duration, 1)
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		s.Handler = netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
			<-c.Draining()
			if time.Since(begin) != time.Second {
				t.Errorf("draining after %v", time.Since(begin))
			}
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), netserver.ErrCut) {
				t.Errorf("cause: %v", context.Cause(ctx))
			}
			cut <- time.Since(begin)
			return ctx.Err()
		})
		s.Log = slog.New(slog.DiscardHandler)
		l := newPipeListener()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, l) }()
		c := l.dial()
		defer c.Close()
		time.Sleep(time.Second)
		cancel()
		if err := <-done; !errors.Is(err, netserver.ErrCut) {
			t.Errorf("Serve: %v", err)
		}
	})
	if d := <-cut; d != 6*time.Second {
		t.Errorf("cut after %v", d)
	}
}

// Those who are still there at the end of the grace time are cut one after the
// other.
func TestCutsAreSpread(t *testing.T) {
	const n = 100
	for _, tc := range []struct{ spread, last time.Duration }{{0, 2 * time.Second}, {10 * time.Second, 10 * time.Second}, {-1, 0}} {
		s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
		s.Config.Shutdown.Grace, s.Config.Shutdown.Spread = 20*time.Second, tc.spread
		recs := served(t, s, nil, func(t *testing.T, l *pipeListener) {
			for range n {
				l.dial()
			}
		})
		if len(recs) != n {
			t.Fatalf("%d records", len(recs))
		}
		perStep := make(map[time.Duration]int)
		for _, r := range recs {
			after := r.Time - s.Config.Shutdown.Grace
			if !errors.Is(r.Err, netserver.ErrCut) || after < 0 || after > tc.last {
				t.Errorf("after %v: %v", r.Time, r.Err)
			}
			if tc.last > 0 {
				perStep[after*10/(tc.last+1)]++
			}
		}
		for step, m := range perStep {
			if m < 8 || m > 12 {
				t.Errorf("spread %v: %d clients in the tenth number %d", tc.spread, m, step)
			}
		}
		if tc.last > 0 && len(perStep) != 10 {
			t.Errorf("spread %v: %v", tc.spread, perStep)
		}
	}
}

// A client in the middle of its handshake is drained like the others.
func TestDrainCountsHandshakes(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	s.Config.Shutdown.Grace = 5 * time.Second
	recs := served(t, s, handshaking, func(t *testing.T, l *pipeListener) {
		c := l.dial()
		go func() {
			time.Sleep(2 * time.Second)
			fmt.Fprint(c, "\nx\n")
			b := make([]byte, 20)
			if n, err := c.Read(b); string(b[:n]) != "said x\n" {
				t.Errorf("%q, %v", b[:n], err)
			}
			c.Close()
		}()
	})
	if r := oneRecord(t, recs); r.Err != nil || r.Time != 2*time.Second {
		t.Errorf("after %v: %v", r.Time, r.Err)
	}
}

func TestCloseCutsAtOnce(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	recs := served(t, s, nil, func(t *testing.T, l *pipeListener) {
		c := l.dial()
		time.Sleep(time.Second)
		s.Close()
		io.ReadAll(c)
	})
	wantErr(t, oneRecord(t, recs), netserver.StageHandler, netserver.ErrCut, time.Second)
	if err := s.Serve(t.Context(), newPipeListener()); !errors.Is(err, netserver.ErrServerClosed) {
		t.Errorf("Serve after Close: %v", err)
	}
}

func TestGoexitLosesNothing(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
		runtime.Goexit()
		return nil
	})}
	s.Config.Limits.MaxServing = 1
	recs := served(t, s, nil, func(t *testing.T, l *pipeListener) {
		for range 3 {
			io.ReadAll(l.dial())
		}
	})
	if len(recs) != 3 || recs[2].Err == nil {
		t.Errorf("records: %v", recs)
	}
}

// A hook that ends its goroutine, as a failing test does, keeps no client.
func TestGoexitInLastHooks(t *testing.T) {
	for name, h := range map[string]netserver.Hooks{
		"Handled": {Handled: func(context.Context, *netserver.Conn, error) { runtime.Goexit() }},
		"Closed":  {Closed: func(*netserver.Conn, netserver.Record) { runtime.Goexit() }},
		"Denied": {
			Allow:  func(context.Context, *netserver.Conn) error { return errors.New("no") },
			Denied: func(context.Context, *netserver.Conn, *netserver.Error) { runtime.Goexit() },
		},
	} {
		s := &netserver.Server{Hooks: h, Handler: netserver.HandlerFunc(func(context.Context, *netserver.Conn) error { return nil })}
		s.Config.Limits.MaxServing, s.Config.Limits.MaxConns = 1, 1
		l := newPipeListener()
		done := serving(t.Context(), s, l)
		for range 3 {
			io.ReadAll(l.dial())
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
		within(t, "Serve", done)
	}
}

// What a client sent while the Handler was busy is read, however long that was.
func TestBusyHandlerIsNotIdleClient(t *testing.T) {
	l := listenTCP(t)
	begun, sent := make(chan struct{}), make(chan struct{})
	const idle = time.Second
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
		if _, err := c.ReadLine(); err != nil {
			return err
		}
		close(begun)
		<-sent
		time.Sleep(idle + idle/4) // busy
		return echoLines(ctx, c)
	})}
	s.Config.Timeouts.Idle = idle
	start(t, s, l)
	c := dial(t, l)
	fmt.Fprint(c, "first\n")
	within(t, "the first line", begun)
	fmt.Fprint(c, "second\n") // in a packet of its own
	close(sent)
	if b, err := io.ReadAll(c); string(b) != "said second\n" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}
