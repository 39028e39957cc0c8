package proxy_test

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"netserver"
	"netserver/outcome"
)

func TestClientThatNeverReads(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, client, backend string) {
		t.Parallel()
		f, _, b := pair(t, client, backend, netserver.Config{Timeouts: netserver.Timeouts{Write: 300 * time.Millisecond}})
		if _, err := io.Copy(b, zeros{}); err == nil {
			t.Error("the backend could send without end")
		}
		// Where the kernel ends a stalled connection, the waiting read may be
		// told in the write's place.
		if r := f.record(t); !errors.Is(r.Err, netserver.ErrWriteStalled) && !errors.Is(r.Err, syscall.ETIMEDOUT) {
			t.Errorf("record: %v", r.Err)
		}
	})
}

// A side that reads slowly but steadily is not stalled.
func TestSlowReader(t *testing.T) {
	eachPair(t, func(t *testing.T, client, backend string) {
		t.Parallel()
		for _, way := range []string{"up", "down"} {
			t.Run(way, func(t *testing.T) {
				t.Parallel()
				const limit = 600 * time.Millisecond
				f, from, to := pair(t, client, backend, netserver.Config{Timeouts: netserver.Timeouts{Write: limit}})
				if way == "down" {
					from, to = to, from
				}
				go io.Copy(from, zeros{})
				buf := make([]byte, 128<<10)
				last := time.Now()
				for begin := last; time.Since(begin) < 3*limit/2; time.Sleep(limit / 20) {
					if time.Since(last) > limit/2 {
						t.Skip("this machine is too busy to tell")
					}
					last = time.Now()
					if _, err := io.ReadFull(to, buf); err != nil {
						if time.Since(last) > limit/2 {
							t.Skip("this machine is too busy to tell")
						}
						t.Fatalf("%v; record: %v", err, f.record(t).Err)
					}
				}
			})
		}
	})
}

func TestIdleLimit(t *testing.T) {
	t.Parallel()
	eachPairAtOnce(t, func(t *testing.T, client, backend string) {
		inTime(t, func(t testing.TB, limit time.Duration) {
			f, c, b := pair(t, client, backend, netserver.Config{Timeouts: netserver.Timeouts{Idle: limit}})
			send(t, c, "x")
			want(t, b, "x")
			wantEOF(t, c)
			wantEOF(t, b)
			if r := f.record(t); !errors.Is(r.Err, netserver.ErrIdle) {
				t.Errorf("record: %v", r.Err)
			}
		})
	})
}

// Bytes in one direction alone keep a client from being idle.
func TestOneWayIsNotIdle(t *testing.T) {
	t.Parallel()
	eachPairAtOnce(t, func(t *testing.T, client, backend string) {
		const idle = 2 * time.Second
		f, c, b := pair(t, client, backend, netserver.Config{Timeouts: netserver.Timeouts{Idle: idle}})
		for _, way := range [][2]net.Conn{{b, c}, {c, b}} {
			last := time.Now()
			for begin := last; time.Since(begin) < 3*idle/2; time.Sleep(idle / 50) {
				if time.Since(last) > idle/2 {
					t.Skip("this machine is too busy to tell")
				}
				last = time.Now()
				send(t, way[0], "tick")
				want(t, way[1], "tick")
			}
			if time.Since(last) > idle/2 {
				t.Skip("this machine is too busy to tell")
			}
		}
		must(t, c.CloseWrite())
		must(t, b.CloseWrite())
		if r := f.record(t); r.Err != nil {
			t.Errorf("record: %v", r.Err)
		}
	})
}

func TestMaxLife(t *testing.T) {
	eachPairAtOnce(t, func(t *testing.T, client, backend string) {
		inTime(t, func(t testing.TB, limit time.Duration) {
			f, c, b := pair(t, client, backend, netserver.Config{Timeouts: netserver.Timeouts{Life: limit}})
			go io.Copy(b, b)
			for { // busy all the time
				if _, err := c.Write([]byte("x")); err != nil {
					break
				}
				if _, err := c.Read(make([]byte, 1)); err != nil {
					break
				}
			}
			if r := f.record(t); !errors.Is(r.Err, netserver.ErrMaxLife) {
				t.Errorf("record: %v", r.Err)
			}
		})
	})
}

// A client that sends or takes less than the minimum rate is cut, and its
// backend too, whichever way the bytes are copied.
func TestMinRates(t *testing.T) {
	const window = time.Second
	eachPairAtOnce(t, func(t *testing.T, client, backend string) {
		f, c, b := pair(t, client, backend, netserver.Config{Limits: netserver.Limits{MinReadRate: 100_000, MinRateWindow: window}})
		go dripTo(c, window/20)
		io.Copy(io.Discard, b)
		if r := f.record(t); !errors.Is(r.Err, netserver.ErrTooSlow) || r.Outcome != outcome.TooSlow || r.Time < window {
			t.Errorf("sending: after %v: %v", r.Time, r.Err)
		}

		f, c, b = pair(t, client, backend, netserver.Config{Limits: netserver.Limits{MinWriteRate: 50 << 20, MinRateWindow: window}})
		c.Read(make([]byte, 0))
		io.Copy(b, zeros{})
		if r := f.record(t); !errors.Is(r.Err, netserver.ErrTooSlow) || r.Time < window {
			t.Errorf("taking: after %v: %v", r.Time, r.Err)
		}

		// While the backend does not take the client's bytes, nobody waits
		// for the client.
		f, c, b = pair(t, client, backend, netserver.Config{Limits: netserver.Limits{MinReadRate: 100_000, MinRateWindow: window}})
		const size = 16 << 20 // more than all buffers on the way
		c.SetDeadline(time.Now().Add(time.Minute))
		b.SetDeadline(time.Now().Add(time.Minute))
		sent := make(chan error, 1)
		go func(c stream) {
			io.Copy(c, io.LimitReader(zeros{}, size))
			sent <- c.CloseWrite()
		}(c)
		time.Sleep(3 * window)
		n, err := io.Copy(io.Discard, b)
		must(t, <-sent)
		must(t, b.CloseWrite())
		if r := f.record(t); n != size || r.Err != nil {
			t.Errorf("stuck: %d bytes, %v; record: %v", n, err, r.Err)
		}
	})
}

// dripTo sends a byte now and then until that fails.
func dripTo(c net.Conn, every time.Duration) {
	for {
		if _, err := c.Write([]byte("x")); err != nil {
			return
		}
		time.Sleep(every)
	}
}
