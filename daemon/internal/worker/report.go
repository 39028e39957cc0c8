package worker

import (
	"sync/atomic"
	"time"

	"netserver/daemon/internal/wire"
)

const (
	// settleTime is how long a change waits for others before it is told: a
	// client that comes and leaves within it is told of once, or not at all.
	settleTime = 2 * time.Millisecond
	// reportTime is the least time between two reports. Told one by one, the
	// changes of a busy pool took more CPU than its short clients.
	reportTime = 25 * time.Millisecond
	// totalTime is the same where no more has changed than how many clients
	// there were in all.
	totalTime = 250 * time.Millisecond
)

// reports tell the supervisor what its worker does, soon but not with every
// client.
type reports struct {
	change chan struct{} // has something if there is something new
	urgent chan struct{} // has something if it must be told at once
	armed  atomic.Bool   // it will be told soon anyway
}

func newReports() *reports {
	return &reports{change: make(chan struct{}, 1), urgent: make(chan struct{}, 1)}
}

// changed has the newest status told soon.
func (r *reports) changed() {
	if !r.armed.Load() {
		notify(r.change)
	}
}

// now has the newest status told at once.
func (r *reports) now() { notify(r.urgent) }

func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run sends statuses until done is closed.
func (r *reports) run(status func() wire.Status, send func(wire.Status), done <-chan struct{}) {
	var sent wire.Status
	var last time.Time
	t := time.NewTimer(totalTime)
	t.Stop()
	defer t.Stop()
	for {
		must := false
		select {
		case <-r.change:
			r.armed.Store(true)
			t.Reset(max(settleTime, time.Until(last.Add(reportTime))))
			continue
		case <-r.urgent:
			must = true
		case <-t.C:
		case <-done:
			return
		}
		r.armed.Store(false) // before looking: what changes now is told next time
		s, late := status(), time.Since(last) >= totalTime
		switch {
		case must || s.Serving != sent.Serving || s.Leaving != sent.Leaving || late && s != sent:
			send(s)
			sent, last = s, time.Now()
		case s.Total != sent.Total:
			t.Reset(time.Until(last.Add(totalTime)))
		}
	}
}

// changed has the newest status told, if the supervisor wants to know.
func (w *worker) changed() {
	if w.init.Report {
		w.reports.changed()
	}
}

// changedNow has the newest status told at once, if the supervisor wants to
// know.
func (w *worker) changedNow() {
	if w.init.Report {
		w.reports.now()
	}
}

func (w *worker) status() wire.Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return wire.Status{Clients: w.p.engine().ClientCount(), Serving: int(w.serving.Load()), Total: w.total.Load(), Leaving: w.leaving}
}

func (w *worker) sendStatus(s wire.Status) {
	wire.Send(w.link, wire.Message{Op: wire.OpStatus, Status: &s})
}
