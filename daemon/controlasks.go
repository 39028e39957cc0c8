package daemon

import (
	"context"
	"errors"
	"time"
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
	ask
	at time.Time
	to chan<- answer // has room for the answer
}

// silence is how long the oldest question has been without an answer.
func (a *asks) silence(now time.Time) (d time.Duration) {
	for _, q := range a.pending {
		d = max(d, now.Sub(q.at))
	}
	return d
}

func (a *asks) add(now time.Time, q ask, to chan<- answer) uint64 {
	if a.pending == nil {
		a.pending = make(map[uint64]asked)
	}
	a.last++
	a.pending[a.last] = asked{q, now, to}
	return a.last
}

// answered passes an answer on, if it is one.
func (a *asks) answered(id uint64, ans *answer) error {
	q, ok := a.pending[id]
	if !ok {
		return errors.New("answer: nothing was asked")
	}
	if err := ans.fits(q.ask); err != nil {
		return err
	}
	delete(a.pending, id)
	q.to <- *ans
	return nil
}

// ended tells those who wait that the worker is gone.
func (a *asks) ended() {
	for id := range a.pending {
		a.answered(id, &answer{Failed: errGone.Error()})
	}
}

// ask asks a worker, and waits for its answer. It must not be called by the
// loop.
func (s *supervisor) ask(ctx context.Context, m member, q ask) (answer, error) {
	got := make(chan answer, 1)
	err := errGone
	s.do(func() {
		w := s.worker(m.id)
		if w == nil {
			return
		}
		now := time.Now()
		if d := w.asks.silence(now); d >= askTime {
			err = &silentError{d}
			return
		}
		err = nil
		w.tell(message{Op: opAsk, ID: w.asks.add(now, q, got), Ask: &q})
	})
	if err != nil {
		return answer{}, err
	}
	t := time.NewTimer(askTime)
	defer t.Stop()
	select {
	case a := <-got:
		switch a.Failed {
		case "":
			return a, nil
		case errGone.Error():
			return a, errGone
		}
		return a, errors.New(a.Failed)
	case <-t.C:
		return answer{}, &silentError{askTime}
	case <-ctx.Done():
		return answer{}, context.Cause(ctx)
	case <-s.quit:
		return answer{}, errGone
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
