package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
)

const (
	tickEvery    = 250 * time.Millisecond
	tellEvery    = 100 * time.Millisecond
	paused       = 3 * time.Second        // without a look: this process did not run
	retryWrite   = 500 * time.Millisecond // after a write that failed
	watchAgain   = 500 * time.Millisecond // doubled up to watchLongest
	watchLongest = 2 * time.Second
	statusEvery  = 5 * time.Second
	refusedEvery = time.Minute // that refused values are told of
	eventsBurst  = 4 * MaxNodes * (4 + maxParts)
	eventsRate   = 1000 // a second, beyond the burst
)

// watchLoop takes what the others write.
func (n *Node) watchLoop(ctx context.Context) {
	again := watchAgain
	pace := eventPace{}
	for ctx.Err() == nil {
		n.watchBegins()
		began := time.Now()
		err := n.cfg.Store.Watch(ctx, "", func(e Event) {
			pace.wait(ctx, 1+len(e.Value.Data)/eventUnit)
			n.receive(e)
		})
		if ctx.Err() != nil {
			return
		}
		n.mu.Lock()
		n.watching = false
		n.storeFailed(err)
		n.mu.Unlock()
		if time.Since(began) > time.Minute {
			again = watchAgain
		}
		sleep(ctx, again/2+rand.N(again))
		again = min(again*2, watchLongest)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// An eventPace slows a store that tells more than a cluster has to say.
type eventPace struct {
	credit float64
	at     time.Time
}

func (p *eventPace) wait(ctx context.Context, events int) {
	now := time.Now()
	if p.at.IsZero() {
		p.credit = eventsBurst
	}
	p.credit = min(p.credit+now.Sub(p.at).Seconds()*eventsRate, eventsBurst)
	p.at = now
	if p.credit -= float64(events); p.credit < 0 {
		sleep(ctx, time.Duration(events)*time.Second/eventsRate)
	}
}

// watchBegins forgets what the store was known to hold: it tells all again.
func (n *Node) watchBegins() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.watching = false
	for _, s := range n.tickets.known {
		s.stored = false
	}
}

// receive takes what the store tells of a key.
func (n *Node) receive(ev Event) {
	if ev.Synced {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.watching, n.writes = true, true
		n.setUp(nil)
		n.box.dirty = n.box.dirty || len(n.box.bans)+len(n.box.lifted) > 0
		n.wakeWriter()
		n.wakeTeller()
		return
	}
	at, ok := slotOf(ev.Key)
	own := at.node == n.cfg.Name
	n.mu.Lock()
	watching := n.watching
	n.mu.Unlock()
	switch {
	case !ok, own && (at.kind != bansAt || watching): // of a later version, or what we have written
		return
	case ev.Deleted:
		n.deleted(at)
		return
	case ev.Err != nil:
		n.refuse(ev.Key, ev.Err)
		n.mu.Lock()
		n.noteUnread(at)
		n.mu.Unlock()
		return
	}
	_, e, err := n.open(ev.Key, ev.Value.Data)
	n.mu.Lock()
	if err != nil {
		n.noteUnread(at)
	} else {
		switch at.kind {
		case membersAt:
			err = n.takeMember(at, e)
		case ticketsAt:
			if err = n.takeTicket(at, e); err == nil {
				n.noteSeal(at, ev.Value)
			}
		case bansAt:
			err = n.takeBans(at, e)
		case countsAt:
			err = n.takeCounts(at, e)
		case targetsAt:
			err = n.takeTargets(at, e)
		}
		n.wakeTeller()
	}
	n.mu.Unlock()
	if err != nil && !errors.Is(err, errOld) {
		n.refuse(ev.Key, err)
	}
}

func (n *Node) deleted(at slot) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch at.kind {
	case membersAt:
		why := "has left"
		if p := n.peers[at.node]; p != nil && time.Since(p.seen) > 3*memberEvery { // its value has ended
			why = "is not heard of any more"
		}
		n.gone(at.node, why)
		n.wakeTeller()
	case ticketsAt: // the secret stays, and is put back if it is needed
		if s := n.tickets.known[ticketID{at.epoch, at.gen}]; s != nil {
			s.stored = false
		}
	}
}

// refuse counts a value that is not believed, and says so once in a while.
func (n *Node) refuse(key string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.errors["refused"]++
	n.refused.n++
	if now := time.Now(); !now.Before(n.refused.next) {
		n.log.Warn(fmt.Sprintf("cluster: refused what the store has under %s: %v", key, err), "refused", n.refused.n)
		n.refused.n, n.refused.next = 0, now.Add(refusedEvery)
	}
}

// put is Store.Put of this node, counted.
func (n *Node) put(ctx context.Context, key string, data []byte, rev uint64, ttl time.Duration) (uint64, error) {
	rev, err := n.cfg.Store.Put(ctx, key, data, rev, ttl)
	n.wrote(len(data), err)
	return rev, err
}

// set is Store.Set of this node, counted.
func (n *Node) set(ctx context.Context, key string, data []byte, ttl time.Duration) error {
	_, err := n.cfg.Store.Set(ctx, key, data, ttl)
	n.wrote(len(data), err)
	return err
}

func (n *Node) wrote(size int, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if kind := ErrorKind(err); kind != "" && kind != KindChanged {
		n.writes = false
		n.storeFailed(err)
		return
	}
	if err == nil {
		n.bytes += uint64(size)
		n.exchanged = n.clock.now()
	}
	n.writes = true
	n.setUp(nil)
}

// store counts the error of another call.
func (n *Node) store(err error) error {
	if err != nil {
		n.mu.Lock()
		n.storeFailed(err)
		n.mu.Unlock()
	}
	return err
}

// storeFailed counts an error of the store.
func (n *Node) storeFailed(err error) {
	n.errors[ErrorKind(err)]++
	n.setUp(err)
}

// setUp finds whether the store can be used, and says so when that changes.
func (n *Node) setUp(why error) {
	up, now := n.watching && n.writes, time.Now()
	switch {
	case up && !n.up && n.down:
		if n.outage.said {
			n.notice(fmt.Sprintf("cluster: the store answers again, after %v", now.Sub(n.changed).Round(100*time.Millisecond)))
		}
	case up && !n.up:
		n.notice("cluster: the store answers")
	case !up && (n.up || why != nil && !n.down):
		n.outage.said, n.outage.why = false, why
		n.sayOutage()
	default:
		return
	}
	n.up, n.down, n.synced = up, !up, n.synced || up
	n.changed, n.since = now, n.clock.now()
	n.dirty.status = true
	n.wakeTeller()
}

// An outage is a time in which the store does not answer. One that comes and goes
// all the time has few of them said.
type outage struct {
	talk
	said   bool
	why    error
	unsaid int // since the last one that was said
}

// sayOutage says that the store does not answer, if that may be said now: again,
// if it goes on.
func (n *Node) sayOutage() {
	o := &n.outage
	if !o.mayOf(outagesOnce, outagesGap) {
		o.unsaid++
		return
	}
	var more []any
	if o.unsaid > 0 {
		more = []any{"unsaid", o.unsaid}
	}
	o.said, o.unsaid = true, 0
	n.log.Warn(fmt.Sprintf("cluster: the store does not answer, this node goes on with what it knows: %v", o.why), more...)
}

// notice logs what an operator wants to know who was warned before: at the
// level between info and warning, as logs.Notice, on which this package does
// not build.
func (n *Node) notice(msg string, args ...any) {
	n.log.Log(context.Background(), slog.Level(2), msg, args...)
}
