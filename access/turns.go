package access

import (
	"container/list"
	"net/netip"
)

// turns decides which look-up runs next. A network whose name server answers
// late could otherwise hold every place and leave all others without names:
// whoever is in charge of a network is in charge of that server too.
//
// The next place goes to the network with the fewest look-ups running, and
// among those to the one that has waited longest. Networks that were slow
// lately come after all others, one at a time each, and never have more than
// half of the places. It is guarded by Lookups.mu.
type turns struct {
	max         int // look-ups at once
	running     int
	slowRunning int
	sources     map[netip.Prefix]*source
	// ready[n] are the networks that wait with n look-ups running, the
	// longest wait in front; the last list is that of the slow ones.
	ready []list.List
}

// A source is a network that has look-ups waiting or running.
type source struct {
	prefix  netip.Prefix
	queue   list.List // of *flight
	running int
	slow    bool
	in      *list.List    // the list of turns.ready it is in, or nil
	at      *list.Element // its place there
}

// share is the part of all places that one network can have.
const share = 8

func (t *turns) perSource() int { return max(t.max/share, 1) }

// add appends a look-up to the queue of its network.
func (t *turns) add(f *flight, slow bool) {
	if t.sources == nil {
		t.sources = make(map[netip.Prefix]*source)
		t.ready = make([]list.List, t.perSource()+1)
	}
	s := t.sources[f.source]
	if s == nil {
		s = &source{prefix: f.source}
		t.sources[f.source] = s
	}
	f.queued = s.queue.PushBack(f)
	t.place(s, slow)
}

// place puts a source into the list it belongs to.
func (t *turns) place(s *source, slow bool) {
	if slow != s.slow {
		if n := s.running; slow {
			t.slowRunning += n
		} else {
			t.slowRunning -= n
		}
		s.slow = slow
	}
	var want *list.List
	switch {
	case s.queue.Len() == 0:
	case s.slow && s.running == 0:
		want = &t.ready[len(t.ready)-1]
	case !s.slow && s.running < len(t.ready)-1:
		want = &t.ready[s.running]
	}
	if want != s.in {
		if s.in != nil {
			s.in.Remove(s.at)
		}
		s.in, s.at = want, nil
		if want != nil {
			s.at = want.PushBack(s)
		}
	}
	if s.queue.Len() == 0 && s.running == 0 {
		delete(t.sources, s.prefix)
	}
}

// next takes the look-up whose turn it is, or returns nil if there is none or
// no place. The caller must call done for it.
func (t *turns) next() *flight {
	if t.running >= t.max {
		return nil
	}
	for i := range t.ready {
		front := t.ready[i].Front()
		if front == nil {
			continue
		}
		s := front.Value.(*source)
		if s.slow && t.slowRunning >= max(t.max/2, 1) {
			return nil
		}
		f := s.queue.Remove(s.queue.Front()).(*flight)
		f.queued = nil
		t.count(s, 1)
		t.place(s, s.slow)
		return f
	}
	return nil
}

// done gives back the place that next gave to f.
func (t *turns) done(f *flight, slow bool) {
	s := t.sources[f.source]
	t.count(s, -1)
	t.place(s, slow)
}

// drop takes a look-up out of its queue.
func (t *turns) drop(f *flight) {
	s := t.sources[f.source]
	s.queue.Remove(f.queued)
	t.place(s, s.slow)
}

func (t *turns) count(s *source, n int) {
	s.running += n
	t.running += n
	if s.slow {
		t.slowRunning += n
	}
}
