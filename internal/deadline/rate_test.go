package deadline

import (
	"errors"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A fakeClient counts what a test says, and notes that it was found too slow.
type fakeClient struct {
	in, out atomic.Uint64
	slow    atomic.Int32
	err     atomic.Value
}

func (c *fakeClient) Counts() (in, out uint64) { return c.in.Load(), c.out.Load() }
func (c *fakeClient) TooSlow(err error)        { c.slow.Add(1); c.err.Store(err) }

// ratesOf returns rates of 100 bytes a second over windows of ten seconds.
func ratesOf(t *testing.T, read, write int) (*Rates, *fakeClient) {
	c := new(fakeClient)
	nc, _ := pipe(t)
	r := NewRates(&Minimum{Read: read, Write: write, Window: 10 * time.Second}, c, nc)
	t.Cleanup(r.Stop)
	return r, c
}

// TestNoRates: nil rates do nothing.
func TestNoRates(t *testing.T) {
	r, _ := ratesOf(t, 0, 0)
	if r != nil {
		t.Fatal("there are rates")
	}
	r.BeginRead()
	r.EndRead()
	r.BeginWrite()
	r.EndWrite()
	r.Follow(nil)
	r.Stop()
}

// TestRateOfWaiting: what counts is the time that the server waits for the
// client, and nothing else.
func TestRateOfWaiting(t *testing.T) {
	const ahead = time.Millisecond
	for _, tt := range []struct {
		name  string
		bytes uint64        // with each wait
		wait  time.Duration // for the client
		busy  time.Duration // of the handler, after each wait
		slow  bool
	}{
		{"nothing comes", 0, time.Second, 0, true},
		{"too little comes", 99, time.Second, 0, true},
		{"enough comes", 100, time.Second, 0, false},
		{"enough comes, and the handler is busy", 100, time.Second, time.Minute, false},
		{"too little comes, and the handler is busy", 99, time.Second, time.Minute, true},
		{"one byte, and nobody waits for it", 1, 0, time.Hour, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, c := ratesOf(t, 100, 0)
				for range 100 {
					r.BeginRead()
					time.Sleep(max(0, tt.wait-ahead)) // of the bubble's clock
					c.in.Add(tt.bytes)
					time.Sleep(min(ahead, tt.wait))
					r.EndRead()
					time.Sleep(tt.busy)
				}
				if got := c.slow.Load(); (got == 1) != tt.slow || got > 1 {
					t.Errorf("found too slow %d times: %v", got, c.err.Load())
				}
			})
		})
	}
}

// TestOneLongWait is cut after a window, not when the read ends, and the error
// says what was asked.
func TestOneLongWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := ratesOf(t, 100, 0)
		r.BeginRead()
		c.in.Add(7)
		time.Sleep(10*time.Second - time.Nanosecond) // of the bubble's clock
		synctest.Wait()
		if c.slow.Load() > 0 {
			t.Fatal("before a window is over")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if c.slow.Load() != 1 {
			t.Fatal("not at a window's end")
		}
		err, _ := c.err.Load().(error)
		if !errors.Is(err, ErrTooSlow) || !strings.Contains(err.Error(), "7 bytes in 10s") || !strings.Contains(err.Error(), "min_read_rate is 100 a second") {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		if n := c.slow.Load(); n != 1 {
			t.Errorf("TooSlow is called %d times", n)
		}
	})
}

// TestAnswersCountForReads: nobody sends a request while its answer still comes.
func TestAnswersCountForReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := ratesOf(t, 100, 0)
		r.BeginRead()
		for range 60 {
			time.Sleep(999 * time.Millisecond) // of the bubble's clock
			c.out.Add(100)
			time.Sleep(time.Millisecond)
		}
		r.EndRead()
		if c.slow.Load() > 0 {
			t.Error(c.err.Load())
		}
	})
}

// A below is a connection that counts what comes below it.
type below struct {
	net.Conn
	n atomic.Uint64
}

func (b *below) Received() uint64 { return b.n.Load() }

// TestFollow: under TLS a record that drips in counts, and the window begins
// anew when TLS does.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := ratesOf(t, 100, 0)
		r.BeginRead()
		time.Sleep(9 * time.Second) // of the bubble's clock
		b := new(below)
		r.Follow(b)
		for range 30 {
			time.Sleep(999 * time.Millisecond)
			b.n.Add(100)
			time.Sleep(time.Millisecond)
		}
		if c.slow.Load() > 0 {
			t.Fatal(c.err.Load())
		}
		time.Sleep(21 * time.Second)
		if c.slow.Load() != 1 {
			t.Error("a record that stands still is not found out")
		}
		r.EndRead()
	})
}

// TestWriteRate: a client has what the kernel may hold on top of what it took,
// where only the kernel knows, and no more.
func TestWriteRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := ratesOf(t, 0, MaxWrite/100) // a MaxWrite each 100 seconds
		begin := time.Now()
		r.BeginWrite()
		for c.slow.Load() == 0 && time.Since(begin) < time.Hour {
			time.Sleep(time.Second) // of the bubble's clock
		}
		r.EndWrite()
		if d := time.Since(begin); d < 100*time.Second || d > 110*time.Second {
			t.Errorf("too slow after %v", d)
		}
	})
}

// TestTwoWriters are waited for once.
func TestTwoWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := ratesOf(t, 0, 1)
		r.write.slack = 0
		r.BeginWrite()
		r.BeginWrite()
		time.Sleep(6 * time.Second) // of the bubble's clock
		r.EndWrite()
		r.EndWrite()
		time.Sleep(time.Minute)
		if c.slow.Load() > 0 {
			t.Error("six seconds were taken for twelve")
		}
	})
}

// TestStop: after it nobody is found too slow.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := ratesOf(t, 100, 100)
		r.BeginRead()
		r.BeginWrite()
		r.Stop()
		time.Sleep(time.Hour) // of the bubble's clock
		r.EndRead()
		r.EndWrite()
		if c.slow.Load() > 0 {
			t.Error(c.err.Load())
		}
	})
}

// TestTakenByTCP: on Linux the kernel tells what the client has acknowledged,
// so that what stands in its buffers counts for nobody.
func TestTakenByTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cl, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	srv, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	c := new(fakeClient)
	count, slack := takenBy(c, srv)
	if runtime.GOOS != "linux" {
		if c.out.Add(5); count() != 5 || slack != slackPart {
			t.Errorf("%d bytes, %d behind", count(), slack)
		}
		return
	}
	if slack != 0 {
		t.Errorf("it may be %d behind", slack)
	}
	before := count()
	if _, err := srv.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); count() < before+1000; {
		if time.Now().After(end) {
			t.Fatalf("%d bytes are acknowledged", count()-before)
		}
		runtime.Gosched()
	}
	if d := Idle(srv); d < 0 || d > 20*time.Second {
		t.Errorf("idle for %v", d)
	}
}
