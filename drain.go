package netserver

import (
	"fmt"
	"time"
)

const (
	// cutWait is how long drain waits, after cutting the clients, for handlers
	// that do not return although their context ended and their connection is
	// closed.
	cutWait = 10 * time.Second
	// cutStep is the time between two groups of clients that are cut.
	cutStep = 5 * time.Millisecond
)

// drain waits for the clients, up to the grace period or, once the server was
// shut down, until it is closed, and cuts the rest, one after the other: cut at
// once, they would all be back at once.
func (r *run) drain(shut bool) error {
	n := 0
	if grace := r.cfg.Grace; shut {
		if r.awaitClients(nil, nil, r.now, nil) {
			return nil
		}
	} else if grace > 0 {
		t := time.NewTimer(grace)
		defer t.Stop()
		if r.awaitClients(nil, nil, r.now, t.C) {
			return nil
		}
		n = r.cutSpread(r.cfg.GraceSpread)
	}
	n += r.clients.cut()
	if n == 0 && r.awaitClients(nil, nil, nil, nil) {
		return nil
	}
	t := time.NewTimer(cutWait)
	defer t.Stop()
	if !r.awaitClients(nil, nil, nil, t.C) {
		return fmt.Errorf("%w (clients: %d; handlers that have not returned %v later: %d)",
			ErrCut, n, cutWait, r.clients.count())
	}
	return fmt.Errorf("%w (clients: %d)", ErrCut, n)
}

// cutSpread cuts the clients evenly over the window and returns how many. It
// returns early if the server is closed; those who are left have to be cut
// then.
func (r *run) cutSpread(window time.Duration) (n int) {
	if window <= 0 || r.isNow() {
		return 0
	}
	list := r.clients.all()
	gone := r.clients.gone()
	began := time.Now()
	tick := time.NewTicker(cutStep)
	defer tick.Stop()
	for at := 0; ; {
		due := len(list)
		if spent := time.Since(began); spent < window {
			due = min(due, 1+int(float64(len(list))*float64(spent)/float64(window)))
		}
		for ; at < due; at++ {
			if r.clients.has(list[at]) {
				n++
				list[at].cut(ErrCut)
			}
			list[at] = nil
		}
		if at == len(list) {
			return n
		}
		select {
		case <-r.now:
			return n
		case <-gone:
			return n
		case <-tick.C:
		}
	}
}

// all returns the clients, in no order.
func (cs *clients) all() (list []*Conn) {
	for i := range cs.shards {
		s := &cs.shards[i]
		s.mu.Lock()
		for c := range s.set {
			list = append(list, c)
		}
		s.mu.Unlock()
	}
	return list
}

// has reports whether the client is still here.
func (cs *clients) has(c *Conn) bool {
	s := cs.shard(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.set[c]
	return ok
}
