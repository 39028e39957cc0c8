package deadline

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// A countingConn counts how often a deadline is set.
type countingConn struct {
	net.Conn
	reads, writes int
}

func (c *countingConn) SetReadDeadline(t time.Time) error {
	c.reads++
	return c.Conn.SetReadDeadline(t)
}

func (c *countingConn) SetWriteDeadline(t time.Time) error {
	c.writes++
	return c.Conn.SetWriteDeadline(t)
}

// pipe returns the server's and the client's end of a connection.
func pipe(t *testing.T) (*countingConn, net.Conn) {
	srv, cl := net.Pipe()
	t.Cleanup(func() { srv.Close(); cl.Close() })
	return &countingConn{Conn: srv}, cl
}

// read reads a byte under the limits, as the engine does.
func read(l *Limits, nc net.Conn) error {
	for {
		l.ArmRead(nc)
		_, err := nc.Read(make([]byte, 1))
		switch {
		case err == nil:
			l.Got()
			return nil
		case l.Early(err):
			continue
		}
		if why := l.Expired(); why != nil {
			return why
		}
		return err
	}
}

// TestReadsEndAtTheNearestLimit of a client that sends nothing.
func TestReadsEndAtTheNearestLimit(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limits Values
		user   time.Duration // the handler's own deadline
		after  time.Duration
		want   error
	}{
		{"idle", Values{Idle: 5 * time.Second}, 0, 5 * time.Second, ErrIdle},
		{"life", Values{Life: 7 * time.Second}, 0, 7 * time.Second, ErrMaxLife},
		{"first request", Values{FirstRequest: 3 * time.Second}, 0, 3 * time.Second, ErrFirstRequestTimeout},
		{"handler", Values{}, time.Second, time.Second, os.ErrDeadlineExceeded},
		{"idle before life", Values{Idle: 5 * time.Second, Life: 7 * time.Second}, 0, 5 * time.Second, ErrIdle},
		{"life before idle", Values{Idle: 8 * time.Second, Life: 7 * time.Second}, 0, 7 * time.Second, ErrMaxLife},
		{"first request before idle", Values{Idle: 8 * time.Second, FirstRequest: time.Second}, 0, time.Second, ErrFirstRequestTimeout},
		{"handler before all", Values{Idle: 8 * time.Second, Life: 9 * time.Second}, time.Second, time.Second, os.ErrDeadlineExceeded},
		{"all before handler", Values{Idle: 4 * time.Second, Life: 9 * time.Second}, 20 * time.Second, 4 * time.Second, ErrIdle},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, _ := pipe(t)
				begin := time.Now()
				l := new(Limits)
				l.Init(&tt.limits, begin)
				l.Begin()
				if tt.user > 0 {
					l.SetRead(nc, begin.Add(tt.user))
				}
				if err := read(l, nc); !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
				if d := time.Since(begin); d != tt.after {
					t.Errorf("after %v, want %v", d, tt.after)
				}
			})
		})
	}
}

// TestNoLimits: the zero Limits sets no deadline and knows of none.
func TestNoLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, cl := pipe(t)
		var l Limits
		go func() {
			time.Sleep(1000 * time.Hour) // of the bubble's clock
			cl.Write([]byte("x"))
		}()
		if err := read(&l, nc); err != nil {
			t.Error(err)
		}
		l.ArmWrite(nc)
		if l.Any() || l.Expired() != nil || l.Passed() != nil || l.ExpiredWrite() != nil || !l.Next(time.Now()).IsZero() || nc.reads+nc.writes > 0 {
			t.Errorf("any %v, %d and %d deadlines set", l.Any(), nc.reads, nc.writes)
		}
	})
}

// TestBytesKeepAClient: a byte every three seconds, in either direction, keeps a
// client whose idle limit is five, at the price of few deadlines.
func TestBytesKeepAClient(t *testing.T) {
	for name, passes := range map[string]func(l *Limits, cl net.Conn){
		"read":    func(_ *Limits, cl net.Conn) { cl.Write([]byte("x")) },
		"written": func(l *Limits, _ net.Conn) { l.Active() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, cl := pipe(t)
				begin := time.Now()
				l := new(Limits)
				l.Init(&Values{Idle: 5 * time.Second}, begin)
				go func() {
					for range 100 {
						time.Sleep(3 * time.Second) // of the bubble's clock
						passes(l, cl)
					}
				}()
				var err error
				for err == nil {
					err = read(l, nc)
				}
				if d := time.Since(begin); !errors.Is(err, ErrIdle) || d != 305*time.Second {
					t.Errorf("%v after %v", err, d)
				}
				if nc.reads > 102 {
					t.Errorf("%d deadlines were set", nc.reads)
				}
			})
		})
	}
}

// TestArmedDeadlineStays: reads that find bytes set no deadline each.
func TestArmedDeadlineStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, cl := pipe(t)
		l := new(Limits)
		l.Init(&Values{Idle: time.Minute, Write: time.Minute, Life: time.Hour}, time.Now())
		go func() {
			for range 1000 {
				cl.Write([]byte("x"))
			}
		}()
		for range 1000 {
			if err := read(l, nc); err != nil {
				t.Fatal(err)
			}
			l.ArmWrite(nc)
		}
		if nc.reads != 1 || nc.writes != 1 {
			t.Errorf("%d deadlines for 1000 reads, %d for 1000 writes", nc.reads, nc.writes)
		}
	})
}

// TestFirstRequestIsTheClientsTime: what the server does before it reads is not
// counted, and once a byte has come the limit is gone.
func TestFirstRequestIsTheClientsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, cl := pipe(t)
		l := new(Limits)
		l.Init(&Values{FirstRequest: time.Second}, time.Now())
		l.Begin()
		time.Sleep(time.Minute) // of the bubble's clock: the server is busy
		go func() {
			time.Sleep(999 * time.Millisecond)
			cl.Write([]byte("x"))
			time.Sleep(time.Hour)
			cl.Write([]byte("x"))
		}()
		for range 2 {
			if err := read(l, nc); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestWhatHasComeIsRead although the idle limit passed while the server was busy.
func TestWhatHasComeIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, cl := pipe(t)
		l := new(Limits)
		l.Init(&Values{Idle: time.Second}, time.Now())
		go cl.Write([]byte("x"))
		time.Sleep(time.Minute) // of the bubble's clock: the server is busy
		if err := read(l, nc); err != nil {
			t.Error(err)
		}
	})
}

// TestDrain: a read that was promised to end does so once, when the server
// drains; one that was not goes on.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, cl := pipe(t)
		l := new(Limits)
		l.Drain(nc) // nobody has asked
		ended := make(chan error)
		reads := func() { ended <- read(l, nc) }
		go reads()
		synctest.Wait()
		cl.Write([]byte("x"))
		if err := <-ended; err != nil {
			t.Fatalf("without AskDrain: %v", err)
		}

		l.AskDrain()
		go reads()
		synctest.Wait()
		l.Drain(nc)
		if err := <-ended; err != ErrDraining {
			t.Fatalf("a waiting read: %v", err)
		}
		l.Drained(nc)
		l.AskDrain() // it has been told
		l.Drain(nc)
		go reads()
		time.Sleep(time.Hour) // of the bubble's clock
		cl.Write([]byte("x"))
		if err := <-ended; err != nil {
			t.Errorf("after it was told: %v", err)
		}
	})
}

// TestDrainBetweenReads: the next read that would wait ends, but one for which
// bytes have come does not, nor does the handler's deadline put it off.
func TestDrainBetweenReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, cl := pipe(t)
		l := new(Limits)
		l.AskDrain()
		l.Drain(nc)
		go cl.Write([]byte("x"))
		synctest.Wait()
		if err := read(l, nc); err != nil {
			t.Errorf("what has come is not read: %v", err)
		}
		l.SetRead(nc, time.Now().Add(time.Hour))
		begin := time.Now()
		if err := read(l, nc); err != ErrDraining || time.Since(begin) > time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

// TestWritesEnd: a client that takes nothing is ended between once and one and a
// half times the write limit, and at its life or the handler's deadline.
func TestWritesEnd(t *testing.T) {
	for _, tt := range []struct {
		name        string
		limits      Values
		user        time.Duration
		least, most time.Duration
		want        error // of ExpiredWrite; nil: the write limit itself
	}{
		{"write limit", Values{Write: 4 * time.Second}, 0, 4 * time.Second, 6 * time.Second, nil},
		{"life", Values{Life: 3 * time.Second}, 0, 3 * time.Second, 3 * time.Second, ErrMaxLife},
		{"life before write limit", Values{Write: 4 * time.Second, Life: 3 * time.Second}, 0, 3 * time.Second, 3 * time.Second, ErrMaxLife},
		{"handler", Values{Write: 4 * time.Second}, time.Second, time.Second, time.Second, os.ErrDeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, _ := pipe(t)
				begin := time.Now()
				l := new(Limits)
				l.Init(&tt.limits, begin)
				if tt.user > 0 {
					l.SetWrite(nc, begin.Add(tt.user))
				}
				l.ArmWrite(nc)
				_, err := nc.Write([]byte("x"))
				if d := time.Since(begin); !IsTimeout(err) || d < tt.least || d > tt.most {
					t.Errorf("%v after %v", err, d)
				}
				if why := l.ExpiredWrite(); !errors.Is(why, tt.want) {
					t.Errorf("%v, want %v", why, tt.want)
				}
			})
		})
	}
}

// TestOffAndRenew: during a handshake the deadlines are the caller's; after it
// the handler's hold on the new connection, and a drain is not lost.
func TestOffAndRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, _ := pipe(t)
		l := new(Limits)
		l.SetRead(old, time.Now().Add(time.Minute))
		l.SetWrite(old, time.Now().Add(time.Minute))
		l.AskDrain()
		l.Off(old)
		set := old.reads
		l.Drain(old)
		if old.reads != set {
			t.Error("a drain has set a deadline in the handshake")
		}
		nc, _ := pipe(t)
		l.Renew(nc)
		begin := time.Now()
		if err := read(l, nc); err != ErrDraining || time.Since(begin) > time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		l.Drained(nc)
		if _, err := nc.Write([]byte("x")); !IsTimeout(err) || time.Since(begin) < 59*time.Second {
			t.Errorf("the handler's deadline: %v after %v", err, time.Since(begin))
		}
	})
}

// TestNextAndPassed are what the other end of a copy is armed with.
func TestNextAndPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		l := new(Limits)
		l.Init(&Values{Idle: time.Minute, Life: 3 * time.Minute}, begin)
		if next := l.Next(begin); !next.Equal(begin.Add(time.Minute)) || l.Passed() != nil {
			t.Errorf("next %v, %v", next.Sub(begin), l.Passed())
		}
		time.Sleep(time.Minute) // of the bubble's clock
		if now := time.Now(); !l.Next(now).After(now) || l.Passed() != ErrIdle {
			t.Errorf("next %v, %v", l.Next(now).Sub(now), l.Passed())
		}
		l.Active()
		if limit, last := l.IdleLimit(); limit != time.Minute || !last.Equal(time.Now()) || l.Passed() != nil {
			t.Errorf("%v since %v, %v", limit, last, l.Passed())
		}
		time.Sleep(2 * time.Minute)
		if l.Passed() != ErrMaxLife {
			t.Error(l.Passed())
		}
	})
}

func TestNearest(t *testing.T) {
	var never time.Time
	a, b := time.Unix(10, 0), time.Unix(20, 0)
	for _, tt := range [][3]time.Time{{never, never, never}, {a, never, a}, {never, a, a}, {a, b, a}, {b, a, a}, {a, a, a}} {
		if got := Nearest(tt[0], tt[1]); !got.Equal(tt[2]) {
			t.Errorf("Nearest(%v, %v) = %v", tt[0], tt[1], got)
		}
	}
}

// TestIdleOfTheKernel is known of TCP alone.
func TestIdleOfTheKernel(t *testing.T) {
	nc, _ := pipe(t)
	if d := Idle(nc); d != -1 {
		t.Errorf("of a pipe: %v", d)
	}
}
