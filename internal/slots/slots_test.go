package slots

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A fakeListener remembers the deadline of its Accept.
type fakeListener struct {
	net.Listener
	mu  sync.Mutex
	end time.Time
}

func (l *fakeListener) SetDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = t
	return nil
}

// interrupted reports whether an Accept would return at once.
func (l *fakeListener) interrupted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.end.IsZero()
}

// The last place interrupts the other accept loops, which wait for a new one.
func TestGateOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := new(fakeListener), new(fakeListener)
		g := NewGate(2, 0, []net.Listener{a, b})
		stop := make(chan struct{})
		for i := range 2 {
			if !g.Wait(a, stop) || !g.HasRoom() || b.interrupted() {
				t.Fatalf("no room for client %d", i)
			}
			g.Opened()
		}
		if g.HasRoom() || !a.interrupted() || !b.interrupted() {
			t.Error("the last place does not interrupt Accept")
		}
		got := make(chan bool)
		wait := func() { got <- g.Wait(b, stop) }
		go wait()
		synctest.Wait()
		select {
		case <-got:
			t.Fatal("it did not wait for a place")
		default:
		}
		g.Closed()
		if !<-got || b.interrupted() {
			t.Error("a free place does not let the loop go on")
		}
		g.Opened()
		go wait()
		synctest.Wait()
		close(stop)
		if <-got {
			t.Error("it goes on though it has to stop")
		}
	})
}

// A Gate without limits has room for everybody until it is stopped, and leaves
// the deadlines of its listeners alone.
func TestGateUnlimited(t *testing.T) {
	l := &fakeListener{end: time.Unix(1, 0)}
	g := NewGate(0, 0, []net.Listener{l})
	stop := make(chan struct{})
	for range 3 {
		if !g.Wait(l, stop) || !g.HasRoom() {
			t.Fatal("no room")
		}
		g.Opened()
		if err := g.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !l.end.Equal(time.Unix(1, 0)) {
		t.Error("the deadline of Accept is changed to", l.end)
	}
	close(stop)
	if g.Wait(l, stop) {
		t.Error("it goes on though it has to stop")
	}
}

// Places in the handler are given in the order of asking, and one who leaves the
// queue neither keeps nor loses one.
func TestGateServing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(0, 1, nil)
		if err := g.Enter(t.Context()); err != nil || g.Serving() != 1 {
			t.Fatalf("%d in the handler, %v", g.Serving(), err)
		}
		if g.HasRoom() {
			t.Error("room beside a full handler")
		}
		var mu sync.Mutex
		var order []int
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		for i := range 3 {
			c := t.Context()
			if i == 1 {
				c = ctx
			}
			go func() {
				err := g.Enter(c)
				if i == 1 {
					left <- err
					return
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
			}()
			synctest.Wait()
		}
		if g.HasRoom() {
			t.Error("room beside a full queue")
		}
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		for i := range 2 {
			g.Leave()
			synctest.Wait()
			mu.Lock()
			if len(order) != i+1 || order[i] != 2*i || g.Serving() != 1 {
				t.Errorf("after %d left: %v in, %d serving", i+1, order, g.Serving())
			}
			mu.Unlock()
		}
		if g.Leave(); g.Serving() != 0 || !g.HasRoom() {
			t.Error("a place is lost")
		}
	})
}

// A turn that comes at the moment in which its client leaves is passed on.
func TestGateTurnAndEnd(t *testing.T) {
	for range 200 {
		g := NewGate(0, 1, nil)
		if err := g.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		entered := make(chan error)
		go func() { entered <- g.Enter(ctx) }()
		go cancel()
		g.Leave()
		if err := <-entered; err == nil {
			g.Leave()
		}
		if n := g.Serving(); n != 0 {
			t.Fatalf("%d places lost", n)
		}
		cancel()
	}
}

func TestAcceptDeadlineOfOthers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := SetAcceptDeadline(l, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if err := SetAcceptDeadline(struct{ net.Listener }{l}, time.Unix(1, 0)); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}

// Work does not wait for other work, goroutines are used again, and Stop ends
// those that wait.
func TestPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold, done := make(chan struct{}), make(chan int, 100)
		p := NewPool(func(n int) {
			<-hold
			done <- n
		})
		for i := range 100 {
			p.Run(i)
		}
		synctest.Wait()
		close(hold)
		seen := make(map[int]bool)
		for range 100 {
			seen[<-done] = true
		}
		synctest.Wait()
		if n := p.idle.Load(); len(seen) != 100 || n == 0 || n > p.max {
			t.Errorf("%d done, %d goroutines wait, of %d at most", len(seen), n, p.max)
		}
		p.Run(1)
		<-done
		p.Stop() // synctest fails if one stays
	})
}
