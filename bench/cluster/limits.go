package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"netserver/bench/loopback"
)

// limits has a source come with five times as many clients as it may have.
func limits(ctx context.Context, s *site, r *result) error {
	t := table{title: "Limits", text: "Clients of one source that are served at one moment, while five times as many as it may have come: who is refused comes again after a tenth of a second. With churn each stays for three seconds on average, then leaves and comes again. Counted over the second half of the time, every 10 ms; a client that leaves is counted until it has closed.",
		rows: [][]string{{"limit", "", "mean", "least", "most", "served in all", "refused"}}}
	within, worst := true, ""
	for _, limit := range s.o.limits {
		if err := s.startNodes(ctx, limit); err != nil {
			return err
		}
		for _, churn := range []bool{false, true} {
			l, err := crowd(ctx, s, 5*limit, churn)
			if err != nil {
				return err
			}
			name := "who is served stays"
			if churn {
				name = "with churn"
			}
			mean := l.sum / float64(max(l.samples, 1))
			t.rows = append(t.rows, []string{fmt.Sprint(limit), name, fmt.Sprintf("%.1f", mean), fmt.Sprint(l.least), fmt.Sprint(l.most), fmt.Sprint(l.served.Load()), fmt.Sprint(l.refused.Load())})
			most, average := float64(l.most)/float64(limit), mean/float64(limit)
			within = within && most <= 1.1 && average >= 0.9
			worst += fmt.Sprintf("%d %s: mean %.2f, most %.2f of it; ", limit, name, average, most)
		}
	}
	r.aims.Add("a limit of N per source holds within 10 % at 5 times the load", worst[:max(0, len(worst)-2)], within, false)
	r.tables = append(r.tables, t)
	return s.startNodes(ctx, 0)
}

// A crowdLoad is what was seen of many clients of one source.
type crowdLoad struct {
	held, served, refused atomic.Int64
	least, most           int64
	sum                   float64
	samples               int
}

// crowd has n clients of one source come, again and again.
func crowd(ctx context.Context, s *site, n int, churn bool) (*crowdLoad, error) {
	l := new(crowdLoad)
	// Four times the window: limits come near N in some seconds.
	run, cancel := context.WithTimeout(ctx, 4*s.o.window)
	defer cancel()
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for run.Err() == nil {
				if !l.one(run, s, churn) {
					pause(run, 50*time.Millisecond+rand.N(100*time.Millisecond))
				}
			}
		})
	}
	pause(run, 2*s.o.window)
	for first := true; run.Err() == nil; first = false {
		held := l.held.Load()
		if first {
			l.least = held
		}
		l.least, l.most = min(l.least, held), max(l.most, held)
		l.sum += float64(held)
		l.samples++
		pause(run, 10*time.Millisecond)
	}
	cancel()
	all.Wait()
	return l, ctx.Err()
}

var crowdSource = netip.AddrFrom4([4]byte{127, 77, 0, 1})

// one is one client: it reports whether it was served.
func (l *crowdLoad) one(ctx context.Context, s *site, churn bool) bool {
	c, err := loopback.Dial(ctx, crowdSource, s.at(frontPlain), clientTime)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(clientTime))
	b := []byte("x")
	if _, err = c.Write(b); err == nil {
		_, err = io.ReadFull(c, b)
	}
	if err != nil {
		l.refused.Add(1)
		return false
	}
	l.served.Add(1)
	l.held.Add(1)
	defer l.held.Add(-1)
	if churn {
		pause(ctx, time.Duration(rand.ExpFloat64()*float64(3*time.Second)))
	} else {
		<-ctx.Done()
	}
	return true
}
