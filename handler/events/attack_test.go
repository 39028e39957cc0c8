package events_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"netserver"
	"netserver/handler/events"
	"netserver/netservertest"
	"netserver/outcome"
)

// Functions may call all methods but Do, of their own client and of others.
func TestFromWithin(t *testing.T) {
	both(t, all, func(t *testing.T, kind string, parallel bool) {
		h := &events.Handler{Parallel: parallel}
		var closed atomic.Int32
		everything := func(c *events.Client) {
			for _, o := range h.Clients() {
				o.SetTimeout(time.Hour)
				o.Waiting()
			}
			h.Broadcast([]byte("."), func(o *events.Client) bool { return o.Waiting() == 0 })
			c.SetTimeout(0)
			h.After(0, func() { h.Broadcast(nil, nil) })
		}
		h.Open = func(c *events.Client) error { everything(c); return nil }
		h.Input = func(c *events.Client, in []byte) (int, error) {
			everything(c)
			if bytes.Contains(in, []byte("quit")) {
				c.Close()
				c.Close()
				if _, err := c.Write([]byte("late")); !errors.Is(err, net.ErrClosed) {
					t.Errorf("a write after Close: %v", err)
				}
			}
			return len(in), nil
		}
		h.Close = func(c *events.Client, _ error) {
			everything(c)
			if _, err := c.Write([]byte("later")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("a write in Close: %v", err)
			}
			c.Close()
			closed.Add(1)
		}
		r := netservertest.Start(t, &netserver.Server{Handler: h}, kind)
		const n = 20
		for range n {
			c := r.Dial(t, kind)
			io.WriteString(c, "hello")
			c.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			io.WriteString(c, "quit")
		}
		r.Records(t, n)
		if closed.Load() != n {
			t.Errorf("%d of %d were closed", closed.Load(), n)
		}
	})
}

// Methods are called from outside while clients come, talk, go and reset. Each
// client is opened and closed once.
func TestFromOutside(t *testing.T) {
	both(t, all, func(t *testing.T, kind string, parallel bool) {
		const n = 60
		var opened, closed atomic.Int32
		h := &events.Handler{Parallel: parallel, MaxOutput: 1 << 20}
		h.Open = func(*events.Client) error { opened.Add(1); return nil }
		h.Input = func(c *events.Client, in []byte) (int, error) { return c.Write(in) }
		h.Timeout = func(c *events.Client) error { return io.EOF }
		h.Close = func(*events.Client, error) { closed.Add(1) }
		r := netservertest.Start(t, &netserver.Server{Handler: h}, kind)
		stop := make(chan struct{})
		var outside, clients sync.WaitGroup
		for range 3 {
			outside.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					h.Do(func() { h.Broadcast([]byte("broadcast"), nil) })
					for _, c := range h.Clients() {
						switch rand.IntN(8) {
						case 0:
							c.Close()
						case 1:
							c.SetTimeout(time.Duration(rand.IntN(3)) * time.Millisecond)
						default:
							c.Write([]byte("written"))
							c.Conn().Wake()
						}
					}
				}
			})
		}
		for i := range n {
			clients.Go(func() {
				c := r.Dial(t, kind)
				defer c.Close()
				c.SetDeadline(time.Now().Add(20 * time.Second))
				io.WriteString(c, "hello")
				c.Read(make([]byte, 100))
				io.WriteString(c, strings.Repeat("x", 10000))
				if tc, ok := c.(*net.TCPConn); ok && i%2 == 0 {
					tc.SetLinger(0)
				}
			})
		}
		clients.Wait()
		r.Records(t, n)
		close(stop)
		outside.Wait()
		netservertest.Eventually(t, "as many are closed as opened", func() bool { return opened.Load() == closed.Load() })
		if opened.Load() < n/2 || len(h.Clients()) != 0 {
			t.Errorf("%d of %d opened, %d are left", opened.Load(), n, len(h.Clients()))
		}
	})
}

// A Client that somebody keeps does nothing after its end, nor after the
// server's.
func TestKeptClient(t *testing.T) {
	both(t, all, func(t *testing.T, kind string, parallel bool) {
		h := &events.Handler{Parallel: parallel, Input: lines}
		timeouts := 0
		h.Timeout = func(*events.Client) error { timeouts++; return nil }
		r := netservertest.Start(t, &netserver.Server{Handler: h}, kind)
		c := r.Dial(t, kind)
		io.WriteString(c, "one\n")
		expect(t, c, "said one\n")
		kept := h.Clients()[0]
		use := func() {
			if _, err := kept.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("a write: %v", err)
			}
			kept.SetTimeout(time.Nanosecond)
			kept.Close()
			kept.Conn().Wake()
			if kept.Waiting() != 0 || kept.RemoteAddr() == nil || kept.ID() == 0 {
				t.Error("it tells something else")
			}
		}
		kept.Close()
		r.Records(t, 1)
		use()
		fired := make(chan struct{})
		timer := h.After(time.Hour, func() { close(fired) })
		r.Stop(t)
		use()
		timer.Reset(0)
		<-fired
		if h.Broadcast([]byte("x"), nil) != 0 || timeouts != 0 {
			t.Error("something happens after the end")
		}
	})
}

// Bytes are neither lost nor doubled while somebody wakes the client all the
// time.
func TestWakesAndBytes(t *testing.T) {
	both(t, streams, func(t *testing.T, kind string, parallel bool) {
		h := &events.Handler{Parallel: parallel, MaxOutput: 1 << 20}
		h.Input = func(c *events.Client, in []byte) (int, error) { return c.Write(in) }
		r := netservertest.Start(t, &netserver.Server{Handler: h}, kind)
		c := r.Dial(t, kind)
		stop := make(chan struct{})
		var all sync.WaitGroup
		defer all.Wait()
		defer close(stop)
		for range 2 {
			all.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						for _, c := range h.Clients() {
							c.Conn().Wake()
						}
						runtime.Gosched() // the client wants a processor too
					}
				}
			})
		}
		for i := range 300 {
			word := fmt.Sprintf("%d:%s", i, strings.Repeat("x", i*20))
			io.WriteString(c, word)
			expect(t, c, word)
		}
	})
}

// A broadcast reaches who reads though some never do; these are ended.
func TestBroadcastToTheDeaf(t *testing.T) {
	both(t, streams, func(t *testing.T, kind string, parallel bool) {
		const hear, deaf = 10, 5
		h := &events.Handler{Parallel: parallel, MaxOutput: 1 << 20}
		h.Input = func(c *events.Client, in []byte) (int, error) {
			c.Value = string(in)
			return c.Write(in)
		}
		r := netservertest.Start(t, &netserver.Server{Handler: h}, kind)
		for range deaf {
			c := r.Dial(t, kind)
			io.WriteString(c, "deaf")
			expect(t, c, "deaf")
		}
		var got [hear]atomic.Int64
		var readers sync.WaitGroup
		for i := range hear {
			c := r.Dial(t, kind)
			io.WriteString(c, "hear")
			expect(t, c, "hear")
			readers.Go(func() {
				b := make([]byte, 64<<10)
				for {
					n, err := c.Read(b)
					got[i].Add(int64(n))
					if err != nil {
						return
					}
				}
			})
		}
		block := bytes.Repeat([]byte("x"), 512<<10)
		sent := int64(0)
		netservertest.Eventually(t, "the end of the deaf", func() bool {
			for i := range got { // they have it all: how fast they are is not the question
				if got[i].Load() < sent {
					return false
				}
			}
			n := h.Broadcast(block, nil)
			sent += int64(len(block))
			return n == hear
		})
		netservertest.Eventually(t, "all of it", func() bool {
			for i := range got {
				if got[i].Load() != sent {
					return false
				}
			}
			return true
		})
		for _, rec := range r.Records(t, deaf) {
			if rec.Outcome != outcome.SlowReceiver {
				t.Errorf("%v: %v", rec.Outcome, rec.Err)
			}
		}
		r.Stop(t)
		readers.Wait()
	})
}

// A told is a log whose lines somebody waits for.
type told chan string

func (l told) Write(b []byte) (int, error) { l <- string(b); return len(b), nil }

// A timer's function that panics is logged and ends nothing.
func TestPanicOfTimer(t *testing.T) {
	log := make(told, 10)
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	h := new(events.Handler)
	done := make(chan struct{})
	h.After(0, func() {
		h.After(0, func() { close(done) }) // its turn comes when this one's is over
		panic("by request")
	})
	<-done
	if line := <-log; !strings.Contains(line, "by request") || !strings.Contains(line, "TestPanicOfTimer") {
		t.Error(line)
	}
}

// A function that panics in Close, or ends its goroutine, ends its client alone.
func TestRudeFunctions(t *testing.T) {
	both(t, all, func(t *testing.T, kind string, parallel bool) {
		h := &events.Handler{Parallel: parallel}
		h.Input = func(c *events.Client, in []byte) (int, error) {
			if string(in) == "good" {
				return c.Write(in)
			}
			c.Value = string(in)
			if c.Value == "input" {
				goexit()
			}
			return 0, io.ErrNoProgress
		}
		h.Close = func(c *events.Client, _ error) {
			switch c.Value {
			case "close":
				panic("in Close")
			case "goexit":
				goexit()
			}
		}
		r := netservertest.Start(t, &netserver.Server{Handler: h}, kind)
		for i, word := range []string{"close", "goexit", "input"} {
			io.WriteString(r.Dial(t, kind), word)
			r.Records(t, i+1)
			good := r.Dial(t, kind)
			io.WriteString(good, "good")
			expect(t, good, "good")
		}
	})
}

func goexit() { runtime.Goexit() }
