package flood

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"netserver/bench/honest"
	"netserver/bench/loopback"
)

// dialers is how many connections of a holding attack are opened at a time:
// fewer than a backlog, so that the server's own limits decide.
const dialers = 64

// A holder holds connections and notes how long the server let it.
type holder struct {
	client *client
	o      Options
	turn   chan struct{}

	mu     sync.Mutex
	cut    []time.Duration
	held   int
	most   int
	failed int64
}

func hold(ctx context.Context, c *client, o Options) Result {
	h := &holder{client: c, o: o, turn: make(chan struct{}, dialers)}
	var wg sync.WaitGroup
	for i := range o.Conns {
		from := Source(i%o.Prefixes, i/o.Prefixes%o.Hosts)
		wg.Go(func() { h.keep(ctx, from) })
	}
	wg.Wait()
	return Result{
		Done: int64(len(h.cut)), Failed: h.failed,
		Held: h.most, Left: h.held, Cut: honest.QuantilesOf(h.cut),
	}
}

// keep holds a connection until the server ends it.
func (h *holder) keep(ctx context.Context, from netip.Addr) {
	for ctx.Err() == nil {
		tc, begin, err := h.open(ctx, from)
		switch {
		case err == nil:
			h.wait(ctx, tc, begin)
			tc.Close()
		case !loopback.Over(ctx):
			h.mu.Lock()
			h.failed++
			h.mu.Unlock()
		}
		if !h.o.Reopen {
			return
		}
		sleep(ctx, time.Millisecond)
	}
}

func (h *holder) open(ctx context.Context, from netip.Addr) (*net.TCPConn, time.Time, error) {
	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, time.Time{}, ctx.Err()
	}
	defer func() { <-h.turn }()
	tc, err := loopback.Dial(ctx, from, h.o.To, oneLimit)
	if err != nil {
		return nil, time.Time{}, err
	}
	tc.SetLinger(0)
	begin := time.Now()
	if h.o.Kind == StallHello {
		hello := h.client.hello()
		if _, err := tc.Write(hello[:len(hello)/2]); err != nil {
			tc.Close()
			return nil, time.Time{}, err
		}
	}
	return tc, begin, nil
}

// wait reads until the server ends the connection, or ctx is done.
func (h *holder) wait(ctx context.Context, tc *net.TCPConn, begin time.Time) {
	h.mu.Lock()
	h.held++
	h.most = max(h.most, h.held)
	h.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { tc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if h.o.Kind == Slow {
		slow, cancel := context.WithCancel(ctx)
		defer cancel()
		go drip(slow, tc, h.client.hello())
	}
	var err error
	for buf := make([]byte, 64); err == nil; {
		_, err = tc.Read(buf)
	}
	if ctx.Err() != nil {
		return // it is still held
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held--
	h.cut = append(h.cut, time.Since(begin))
}

// drip sends a byte every second.
func drip(ctx context.Context, tc *net.TCPConn, b []byte) {
	for i := range b {
		if _, err := tc.Write(b[i : i+1]); err != nil || !sleep(ctx, time.Second) {
			return
		}
	}
}
