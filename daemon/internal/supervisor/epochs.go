package supervisor

import (
	"bytes"
	"crypto/rand"
	"slices"
	"time"

	"netserver/daemon/internal/wire"
)

// An epoch is the time of one secret, which workers make ticket keys from. A
// worker that has ended may have left its secrets to somebody: what that is
// worth ends with the epoch.
type epoch struct {
	id     uint64
	secret []byte
	began  time.Time
	shared bool // with other nodes, which decide when the next begins
}

// epochs are the newest epoch and those before it whose tickets may still be
// opened where that gains nobody anything; see tlsparams.SetTicketSecrets.
type epochs struct {
	list    []epoch // newest first; one at least once a generation has begun
	last    uint64
	turning bool     // the next is to begin in a while
	bad     [][]byte // the last that were distrusted, newest last
}

const (
	// epochTurn is how long an epoch lasts at most once a worker of it has
	// ended in order.
	epochTurn = time.Hour
	// maxEpochs and epochLife bound what is kept of those before.
	maxEpochs = 24
	epochLife = 7 * 24 * time.Hour
	// maxBad is how many secrets are remembered that are not to be used again,
	// whoever tells of them.
	maxBad = 256
)

// next begins an epoch.
func (e *epochs) next(now time.Time) {
	e.last++
	n := epoch{id: e.last, secret: make([]byte, 32), began: now}
	rand.Read(n.secret)
	e.list = slices.Insert(e.list, 0, n)
	e.list = e.list[:min(len(e.list), maxEpochs)]
	// One ends when the next begins.
	for i := range e.list[1:] {
		if now.Sub(e.list[i].began) > epochLife {
			e.list = e.list[:i+1]
			break
		}
	}
}

// distrust forgets the epochs up to id, whose secrets somebody may have, and
// reports whether there were any. If that was the newest, another begins.
func (e *epochs) distrust(id uint64, now time.Time) bool {
	n := len(e.list)
	for _, o := range e.list {
		if o.id <= id {
			e.bad = append(e.bad, o.secret)
		}
	}
	e.bad = e.bad[max(0, len(e.bad)-maxBad):]
	e.list = slices.DeleteFunc(e.list, func(o epoch) bool { return o.id <= id })
	gone := len(e.list) < n
	if len(e.list) == 0 {
		e.next(now)
	}
	return gone
}

// adopt puts the secrets that all nodes have in the place of those that they had
// before; this server's own may still open. It refuses to if the first is one
// that is not to be used again; others of that kind are left out.
func (e *epochs) adopt(current []byte, past [][]byte, now time.Time) bool {
	isBad := func(secret []byte) bool {
		return slices.ContainsFunc(e.bad, func(b []byte) bool { return bytes.Equal(b, secret) })
	}
	if isBad(current) {
		return false
	}
	e.last++
	var list []epoch
	for _, secret := range append([][]byte{current}, past...) {
		have := slices.IndexFunc(e.list, func(o epoch) bool { return bytes.Equal(o.secret, secret) })
		switch {
		case isBad(secret) || len(list) >= maxEpochs:
		case have >= 0:
			list = append(list, e.list[have])
		default:
			list = append(list, epoch{id: e.last, secret: bytes.Clone(secret), began: now, shared: true})
		}
	}
	for _, o := range e.list {
		if !o.shared && len(list) < maxEpochs {
			list = append(list, o)
		}
	}
	e.list = list
	return true
}

// shared reports whether other nodes make tickets with the newest secret.
func (e *epochs) shared() bool { return len(e.list) > 0 && e.list[0].shared }

// newest returns the number of the newest epoch, 0 before the first.
func (e *epochs) newest() uint64 {
	if len(e.list) == 0 {
		return 0
	}
	return e.last
}

func (e *epochs) secrets() *wire.Secrets {
	s := &wire.Secrets{Current: bytes.Clone(e.list[0].secret)}
	for _, o := range e.list[1:] {
		s.Past = append(s.Past, bytes.Clone(o.secret))
	}
	return s
}

// handOut gives the workers that take clients the newest secrets.
func (s *supervisor) handOut() {
	for _, g := range s.gens {
		if g.leaving || g.failed {
			continue
		}
		for w := range g.workers {
			if w.leaving {
				continue
			}
			w.epoch = s.epochs.newest()
			w.tell(wire.Message{Op: wire.OpTickets, Tickets: s.epochs.secrets()})
		}
	}
}

// inOrder reports whether a worker ended as it was told to, or after as many
// clients as it was to have. how is "" if nothing else is wrong.
func (w *child) inOrder(how string) bool {
	return how == "" && len(w.reason) == 0 && (w.told || w.leaving && !w.dismissed && w.gen.scale.Requests > 0)
}

// outlive sees to it that a worker's secrets are of no use when it has ended:
// at once if it did not end in order, as then somebody else may have had a hand
// in it, else in a while.
func (s *supervisor) outlive(w *child, how string) {
	switch {
	case s.ending || w.epoch == 0:
	case !w.inOrder(how):
		if s.epochs.distrust(w.epoch, time.Now()) {
			s.cluster.distrust()
			s.handOut()
		}
	case s.epochs.shared():
	case w.epoch == s.epochs.newest() && !s.epochs.turning:
		s.epochs.turning = true
		s.after(time.Until(s.epochs.list[0].began.Add(epochTurn)), func() {
			s.epochs.turning = false
			if !s.ending && w.epoch == s.epochs.newest() {
				s.epochs.next(time.Now())
				s.handOut()
			}
		})
	}
}
