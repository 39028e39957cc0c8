package proxy_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"netserver"
)

// Silence of one side is no stall of the other.
func TestSilenceIsNoStall(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, client, backend string) {
		t.Parallel()
		const stall = 100 * time.Millisecond
		_, c, b := pair(t, client, backend, netserver.Config{Timeouts: netserver.Timeouts{Write: stall}})
		for range 2 {
			time.Sleep(5 * stall / 2)
			send(t, b, "answer")
			want(t, c, "answer")
			time.Sleep(5 * stall / 2)
			send(t, c, "question")
			want(t, b, "question")
		}
	})
}

func TestBackendThatNeverReads(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, client, backend string) {
		t.Parallel()
		f, c, b := pair(t, client, backend, netserver.Config{Timeouts: netserver.Timeouts{Write: 300 * time.Millisecond}})
		if _, err := io.Copy(c, zeros{}); err == nil {
			t.Error("the client could send without end")
		}
		r := f.record(t)
		if r.Err == nil || !strings.Contains(r.Err.Error(), "proxy_to "+b.LocalAddr().String()+": sending to it: it took no bytes") {
			t.Errorf("record: %v", r.Err)
		}
	})
}

// The limits hold when one direction has ended too, whichever it is.
func TestLimitsAfterHalfClose(t *testing.T) {
	t.Parallel()
	for why, limited := range map[error]func(time.Duration) netserver.Config{
		netserver.ErrIdle:    func(d time.Duration) netserver.Config { return timeouts(netserver.Timeouts{Idle: d}) },
		netserver.ErrMaxLife: func(d time.Duration) netserver.Config { return timeouts(netserver.Timeouts{Life: d}) },
	} {
		for _, first := range []string{"client", "backend"} {
			t.Run(why.Error()+", "+first+" ends first", func(t *testing.T) {
				t.Parallel()
				eachPairAtOnce(t, func(t *testing.T, client, backend string) {
					inTime(t, func(t testing.TB, limit time.Duration) {
						f, c, b := pair(t, client, backend, limited(limit))
						if first == "backend" {
							c, b = b, c
						}
						must(t, c.CloseWrite())
						wantEOF(t, b)
						if r := f.record(t); !errors.Is(r.Err, why) {
							t.Errorf("record: %v", r.Err)
						}
					})
				})
			})
		}
	}
}

// Neither side reads, so that no byte moves any more.
func TestIdleWhileStuck(t *testing.T) {
	t.Parallel()
	eachPairAtOnce(t, func(t *testing.T, client, backend string) {
		f, c, b := pair(t, client, backend, netserver.Config{Timeouts: netserver.Timeouts{Idle: 2 * time.Second}})
		go io.Copy(c, zeros{})
		go io.Copy(b, zeros{})
		if r := f.record(t); !errors.Is(r.Err, netserver.ErrIdle) {
			t.Errorf("record: %v", r.Err)
		}
	})
}

// readByProcess returns how many bytes this process has read by system calls;
// splice does not count.
func readByProcess(t *testing.T) (n int64) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skip(err)
	}
	if _, err := fmt.Sscanf(string(b), "rchar: %d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Between plain sockets the kernel moves the bytes: this process reads those
// that the client and the backend of the test read, and no more.
func TestSplice(t *testing.T) {
	for _, client := range []string{"tcp", "unix"} {
		for _, backend := range []string{"tcp", "unix"} {
			t.Run(client+" to "+backend, func(t *testing.T) {
				_, c, b := pair(t, client, backend, netserver.Config{})
				before := readByProcess(t)
				sent := make(chan error, 2)
				got := make(chan string, 2)
				const size = 8 << 20
				go push(c, io.LimitReader(zeros{}, size), sent)
				go push(b, io.LimitReader(zeros{}, size), sent)
				go sum(b, got)
				go sum(c, got)
				for range 2 {
					must(t, <-sent)
					<-got
				}
				if n := readByProcess(t) - before; n > 2*size*5/4 {
					t.Errorf("%d bytes went through and %d were read; without splice it would be %d", 2*size, n, 4*size)
				}
			})
		}
	}
}

// A joint that is silent holds no buffer and no pipe.
func TestIdleCost(t *testing.T) {
	if countFDs() == 0 {
		t.Skip("this system does not tell")
	}
	const clients = 200
	for _, client := range []string{"tcp", "tls"} {
		t.Run(client, func(t *testing.T) {
			l := listen(t, "tcp")
			f := serve(t, client, handlerTo(t, l), netserver.Config{})
			fds := countFDs()
			for range clients {
				c := f.dial(t)
				b := accept(t, l)
				send(t, c, "x")
				want(t, b, "x")
				send(t, b, "y")
				want(t, c, "y")
			}
			// The test's own two ends count too.
			few := func() bool {
				runtime.GC() // the pool may hold pipes that nobody uses
				return countFDs()-fds <= clients*4+4
			}
			if !settles(few) {
				t.Errorf("%d joints have %d descriptors; 2 of each are the proxy's sockets and 2 the test's",
					clients, countFDs()-fds)
			}
		})
	}
}
