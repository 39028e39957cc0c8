package flood

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"netserver/bench/honest"
	"netserver/bench/loopback"
)

// Bounds of what may be asked for.
const (
	MaxConns    = 20000
	MaxDuration = 10 * time.Minute
	maxPrefixes = 4096
)

// Options say how to attack.
type Options struct {
	Kind     Kind
	To       netip.AddrPort // loopback only
	Prefixes int            // the attack comes from so many IPv4 /24s; default 1
	Hosts    int            // and so many addresses of each; default 1, at most 250
	Conns    int            // connections at once; default 256
	Duration time.Duration  // default 5 s; ends earlier with the context
	Reopen   bool           // a held connection that was ended is opened again
}

// A Result is what the attacker got.
type Result struct {
	Done    int64 // connections that went as planned, or that the server ended
	Failed  int64 // connections that did not: most were turned away
	Elapsed time.Duration

	// Of holding attacks only:
	Held int              // most connections at once
	Left int              // connections still held at the end
	Cut  honest.Quantiles // how long a connection was held before the server ended it
}

func (o *Options) fill() error {
	set := func(v *int, def int) {
		if *v == 0 {
			*v = def
		}
	}
	set(&o.Prefixes, 1)
	set(&o.Hosts, 1)
	set(&o.Conns, 256)
	if o.Duration == 0 {
		o.Duration = 5 * time.Second
	}
	switch {
	case !o.Kind.known():
		return fmt.Errorf("attack %q: not one of %v", o.Kind, Kinds())
	case o.Prefixes < 0 || o.Prefixes > maxPrefixes:
		return fmt.Errorf("prefixes %d: must be from 1 to %d", o.Prefixes, maxPrefixes)
	case o.Hosts < 0 || o.Hosts > 250:
		return fmt.Errorf("hosts %d: must be from 1 to 250", o.Hosts)
	case o.Conns < 0 || o.Conns > MaxConns:
		return fmt.Errorf("connections %d: must be from 1 to %d", o.Conns, MaxConns)
	case o.Duration < 0 || o.Duration > MaxDuration:
		return fmt.Errorf("duration %v: must be above 0 and at most %v", o.Duration, MaxDuration)
	}
	return loopback.Check(o.To.Addr())
}

// Source returns an address of the attack's prefix p: 127.64.0.0/24 and on.
// Honest clients come from elsewhere.
func Source(prefix, host int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(64 + prefix>>8), byte(prefix), byte(1 + host)})
}

// Run attacks until o.Duration is over or ctx is done.
func Run(ctx context.Context, o Options) (Result, error) {
	if err := o.fill(); err != nil {
		return Result{}, err
	}
	c, err := newClient()
	if err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Duration)
	defer cancel()
	begin := time.Now()
	var r Result
	if o.Kind.Holds() {
		r = hold(ctx, c, o)
	} else {
		r = again(ctx, c, o)
	}
	r.Elapsed = time.Since(begin)
	return r, nil
}

// again is a flood: each of o.Conns clients comes again at once.
func again(ctx context.Context, c *client, o Options) Result {
	var done, failed atomic.Int64
	do := floods[o.Kind]
	var wg sync.WaitGroup
	for i := range o.Conns {
		wg.Go(func() {
			for ctx.Err() == nil {
				from := Source(i%o.Prefixes, rand.IntN(o.Hosts))
				switch err := c.one(ctx, do, from, o.To); {
				case err == nil:
					done.Add(1)
				case !loopback.Over(ctx):
					failed.Add(1)
					sleep(ctx, time.Millisecond) // a server that refuses must not make us spin
				}
			}
		})
	}
	wg.Wait()
	return Result{Done: done.Load(), Failed: failed.Load()}
}

// sleep waits for d and returns true, or false when ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
