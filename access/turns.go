package access

import (
	"container/list"
	"net/netip"
)

// turns decides which look-up runs next. Otherwise a network with a slow name
// server could hold every place and leave all others without names, and
// whoever controls a network controls that server too.
//
// The next place goes to the network with the fewest running look-ups; among
// those to one with a quick server, and among those to the one that has waited
// longest. Slow networks come last, with one look-up at a time each, and never
// get more than half of the places: beyond that, a look-up that becomes late
// is ended. So a flood from any number of networks with dead servers costs the
// others half of the places, and each new network holds one of the other half
// for LookupConfig.patience at most.
//
// It is guarded by Lookups.mu.
type turns struct {
	max         int // look-ups at once
	running     int
	slowRunning int
	sources     map[netip.Prefix]*source
	// ready are the waiting networks in the order of service: for each number
	// of running look-ups the quick ones, then the unknown ones; the last list
	// holds the slow ones. Each list is ordered by waiting time, longest
	// first.
	ready []list.List
}

// A source is a network with look-ups waiting or running.
type source struct {
	prefix  netip.Prefix
	queue   list.List // of *flight
	running int
	speed   speed
	in      *list.List    // the list of turns.ready it is in, or nil
	at      *list.Element // its element there
}

// share is the number of places that one network can have.
const share = 8

func (t *turns) perSource() int { return max(t.max/share, 1) }
func (t *turns) maxSlow() int   { return max(t.max/2, 1) }

// add appends a look-up to the queue of its network.
func (t *turns) add(f *flight, v speed) {
	if t.sources == nil {
		t.sources = make(map[netip.Prefix]*source)
		t.ready = make([]list.List, 2*t.perSource()+1)
	}
	s := t.sources[f.source]
	if s == nil {
		s = &source{prefix: f.source}
		t.sources[f.source] = s
	}
	f.queued = s.queue.PushBack(f)
	t.place(s, v)
}

// place records the speed of a source and moves it to the list it belongs to.
func (t *turns) place(s *source, v speed) {
	if s.speed == slow {
		t.slowRunning -= s.running
	}
	if s.speed = v; v == slow {
		t.slowRunning += s.running
	}
	if want := t.list(s); want != s.in {
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

// list returns the list of ready that a source belongs to, or nil.
func (t *turns) list(s *source) *list.List {
	switch {
	case s.queue.Len() == 0:
		return nil
	case s.speed == slow && s.running == 0:
		return &t.ready[len(t.ready)-1]
	case s.speed == slow || s.running >= t.perSource():
		return nil
	case s.speed == quick:
		return &t.ready[2*s.running]
	default:
		return &t.ready[2*s.running+1]
	}
}

// next takes the look-up whose turn it is, or returns nil if there is none or
// no free place. The caller must call done for it.
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
		if s.speed == slow && t.slowRunning >= t.maxSlow() {
			return nil
		}
		f := s.queue.Remove(s.queue.Front()).(*flight)
		f.queued = nil
		t.count(s, 1)
		t.place(s, s.speed)
		return f
	}
	return nil
}

// late records that f, which runs, takes long, and reports whether too many
// do.
func (t *turns) late(f *flight) bool {
	t.place(t.sources[f.source], slow)
	return t.slowRunning > t.maxSlow()
}

// done releases the place that next gave to f.
func (t *turns) done(f *flight, v speed) {
	s := t.sources[f.source]
	t.count(s, -1)
	t.place(s, v)
}

// drop removes a look-up from its queue.
func (t *turns) drop(f *flight) {
	s := t.sources[f.source]
	s.queue.Remove(f.queued)
	t.place(s, s.speed)
}

func (t *turns) count(s *source, n int) {
	s.running += n
	t.running += n
	if s.speed == slow {
		t.slowRunning += n
	}
}
