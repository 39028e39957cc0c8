package supervisor

import (
	"context"
	"errors"
	"time"

	"netserver/daemon/internal/wire"
)

// askTime bounds a worker's answer. One that has not answered by then is not
// asked anything more until it has: neither its link nor we fill up with
// questions.
const askTime = 2 * time.Second

// asks are the questions that a worker has not answered.
type asks struct {
	last    uint64
	pending map[uint64]asked
}

type asked struct {
	wire.Ask
	at time.Time
	to chan<- wire.Answer // has room for the answer
}

// oldest is how long the oldest question has been without an answer.
func (a *asks) oldest(now time.Time) (d time.Duration) {
	for _, q := range a.pending {
		d = max(d, now.Sub(q.at))
	}
	return d
}

func (a *asks) add(now time.Time, q wire.Ask, to chan<- wire.Answer) uint64 {
	if a.pending == nil {
		a.pending = make(map[uint64]asked)
	}
	a.last++
	a.pending[a.last] = asked{q, now, to}
	return a.last
}

// answered passes an answer on, if it is one.
func (a *asks) answered(id uint64, ans *wire.Answer) error {
	q, ok := a.pending[id]
	if !ok {
		return errors.New("answer: nothing was asked for")
	}
	if err := ans.Fits(q.Ask); err != nil {
		return err
	}
	delete(a.pending, id)
	q.to <- *ans
	return nil
}

// ended tells those who wait that the worker is gone.
func (a *asks) ended() {
	for id := range a.pending {
		a.answered(id, &wire.Answer{Failed: wire.ErrGone.Error()})
	}
}

// ask asks a worker, and waits for its answer. It must not be called by the
// loop.
func (s *supervisor) Ask(ctx context.Context, m wire.Member, q wire.Ask) (wire.Answer, error) {
	got := make(chan wire.Answer, 1)
	err := wire.ErrGone
	q.Packed = q.What == wire.AskClients
	s.do(func() {
		w := s.worker(m.ID)
		if w == nil {
			return
		}
		now := time.Now()
		if d := w.asks.oldest(now); d >= askTime {
			err = &wire.SilentError{Since: d}
			return
		}
		err = nil
		w.tell(wire.Message{Op: wire.OpAsk, ID: w.asks.add(now, q, got), Ask: &q})
	})
	if err != nil {
		return wire.Answer{}, err
	}
	t := time.NewTimer(askTime)
	defer t.Stop()
	select {
	case a := <-got:
		switch a.Failed {
		case "":
			return a, nil
		case wire.ErrGone.Error():
			return a, wire.ErrGone
		}
		return a, wire.RefusedError(a.Failed)
	case <-t.C:
		return wire.Answer{}, &wire.SilentError{Since: askTime}
	case <-ctx.Done():
		return wire.Answer{}, context.Cause(ctx)
	case <-s.quit:
		return wire.Answer{}, wire.ErrGone
	}
}

// do has the loop call f and waits for that. It does nothing if the loop has
// ended.
func (s *supervisor) do(f func()) {
	done := make(chan struct{})
	s.post(func() {
		f()
		close(done)
	})
	select {
	case <-done:
	case <-s.quit:
	}
}

// worker returns the worker of that number, nil if there is none.
func (s *supervisor) worker(id int) *child {
	for _, g := range s.gens {
		for w := range g.workers {
			if w.id == id {
				return w
			}
		}
	}
	return nil
}
