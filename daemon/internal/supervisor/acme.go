package supervisor

import (
	"context"
	"errors"
	"sync"
	"time"

	"netserver/daemon/internal/acme"
	"netserver/daemon/internal/wire"
)

// An ordering is what the supervisor does to get certificates. The account's
// key is nowhere else.
type ordering struct {
	conf  acme.Config
	run   *acme.Running    // nil: nothing is ordered
	open  []wire.Challenge // which every worker answers
	tally acme.Tally       // of all orders since the start
}

// orderCertificates has those ordered that the configuration in force names. One
// that asks for the same as before goes on with it.
func (s *supervisor) orderCertificates() {
	a, c := &s.ordering, s.conf.ACME
	if a.run != nil && a.conf.Equal(&c) {
		a.run.Hurry()
		return
	}
	var before <-chan struct{}
	if a.run != nil {
		a.run.Cancel()
		before = a.run.Done()
	}
	a.conf, a.run = c, nil
	if !c.Zero() && !s.ending {
		a.run = acme.Start(c, &a.tally, s.log, s.showChallenges, s.cluster.certificates(), before)
	}
}

// endOrdering ends that, when nothing is posted any more.
func (s *supervisor) endOrdering() {
	if r := s.ordering.run; r != nil {
		r.Cancel()
		<-r.Done()
	}
}

// showChallenges has every worker answer these challenges, and no others,
// before it returns. Those that start meanwhile have them from their start. It
// must not be called by the loop.
func (s *supervisor) showChallenges(ctx context.Context, all []wire.Challenge) error {
	q := wire.Ask{What: wire.AskChallenges, Challenges: all}
	var serving []int
	s.do(func() {
		s.ordering.open = all
		for _, g := range s.gens {
			if g.leaving || g.failed {
				continue
			}
			for w := range g.workers {
				switch {
				case w.leaving:
				case w.ready:
					serving = append(serving, w.id)
				default: // it reads this before it serves, and nobody waits for that
					w.tell(wire.Message{Op: wire.OpAsk, ID: w.asks.add(time.Now(), q, make(chan wire.Answer, 1)), Ask: &q})
				}
			}
		}
	})
	errs := make([]error, len(serving))
	var asked sync.WaitGroup
	for i, id := range serving {
		asked.Go(func() {
			if _, err := s.Ask(ctx, wire.Member{ID: id}, q); err != nil && !errors.Is(err, wire.ErrGone) {
				errs[i] = err
			}
		})
	}
	asked.Wait()
	for _, err := range errs {
		if err != nil {
			return err // one line is enough
		}
	}
	return nil
}
