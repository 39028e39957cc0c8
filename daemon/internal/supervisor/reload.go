package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/internal/childproc"
	"netserver/internal/control"
	"netserver/internal/identity"
	"netserver/internal/proc"
)

// What a reload does, in order, each step a function below:
//
//	reload      a HUP, or netserver ctl reload: one at a time
//	read        a process of the program's newest file reads the configuration
//	check       what it has read is refused if it is no good
//	compare     what will change is logged; the log stays as it is
//	begin       the new ports are opened, and the new workers started
//	takeOver    all of them serve: the new configuration is in force
//	retire      the old workers take no more clients, and end after their last
//	refuse      the new configuration is no good: nothing is changed
//	startFailed the new workers do not serve: the old ones go on

// reloads is where a reload is, and who waits for it. A reload that is asked
// for while another is under way is the next one: that other may have read the
// configuration before it was changed.
type reloads struct {
	reading   bool // the configuration is being read
	again     bool // and is to be read once more
	checkers  checkers
	plan      control.Plan      // of the one that is under way
	next, now []chan<- reloaded // who waits, with room for the answer

	done, failed uint64
}

// A reloaded is what became of a reload.
type reloaded struct {
	generation int
	plan       control.Plan
	err        error
}

// A candidate is a configuration that is to be gone over to.
type candidate struct {
	binary   *childproc.Binary // the program's newest file
	plan     *wire.Plan
	contents map[string][]byte // of files that the plan names
	settings *Settings
}

// errEnding is why there is no reload.
var errEnding = errors.New("the server is shutting down: no restart")

// reload goes over to the configuration and the program's file as they are now,
// if they are good.
func (s *supervisor) reload() {
	r := &s.reloads
	switch {
	case s.ending:
		logging.Notice(s.log, errEnding.Error())
		r.none()
		return
	case r.reading || !s.serving || s.starting():
		r.again = true
		return
	}
	r.reading = true
	r.begin()
	s.tellManager("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", proc.Monotonic().Microseconds()))
	binary, err := childproc.Self()
	if err == nil {
		if err = s.strictBinary(binary); err != nil {
			binary.Close()
		}
	}
	if err != nil {
		r.reading = false
		s.refuse(err)
		return
	}
	go s.read(&candidate{binary: binary})
}

// starting reports whether a generation is to become ready yet.
func (s *supervisor) starting() bool {
	g := s.gens[len(s.gens)-1]
	return !g.ready && !g.failed
}

// read has a process read the configuration, and the loop go on with it.
func (s *supervisor) read(c *candidate) {
	var err error
	c.plan, c.contents, err = s.askCheck(c.binary)
	posted := make(chan struct{})
	go func() {
		s.post(func() {
			close(posted)
			s.haveRead(c, err)
		})
	}()
	select {
	case <-posted:
	case <-s.quit:
		select {
		case <-posted:
		default:
			c.binary.Close()
		}
	}
}

// haveRead takes the steps from a configuration that was read to new workers.
func (s *supervisor) haveRead(c *candidate, err error) {
	s.reloads.reading = false
	if err == nil && s.ending {
		c.binary.Close()
		return
	}
	if err == nil {
		err = s.check(c)
	}
	if err != nil {
		c.binary.Close()
		s.refuse(err)
		return
	}
	s.compare(c)
	if err := s.beginAnew(c); err != nil {
		s.refuse(err)
		return
	}
	s.restarts++
}

// check refuses a configuration that the reading process could not know to be
// no good, and makes what it needs.
func (s *supervisor) check(c *candidate) (err error) {
	if c.settings, err = s.o.Settings(c.plan); err != nil {
		return err
	}
	if err := halfWritten(s.newest().plan, c.plan); err != nil {
		return err
	}
	if s.selfSigned == nil && needsSelfSigned(c.plan) {
		s.selfSigned, err = newSelfSigned(time.Now())
	}
	return err
}

// compare logs what going over is going to do, and what it cannot do.
func (s *supervisor) compare(c *candidate) {
	r := &s.reloads
	r.plan = planFor(s.newest(), c.plan, s.conf, c.settings, c.binary, s.o.KeyKinds())
	for _, key := range r.plan.Stays {
		s.log.Warn(key + " changed: takes effect only when the server is stopped and started again")
	}
	logging.Notice(s.log, r.plan.Summary())
	if s.o.Library && s.restarts == 0 {
		logging.Notice(s.log, "the program's handlers run in the workers: what they keep in memory stays with the old workers, and new workers start without it (supervisor 0 serves in a single process)")
	}
	s.keepLog(c.settings, c.plan)
}

// beginAnew opens the new ports and starts the new workers. It closes the
// program's file if it fails.
func (s *supervisor) beginAnew(c *candidate) error {
	s.makeRoom()
	s.call(s.o.Restarting)
	return s.beginWith(context.Background(), c.settings, c.plan, c.binary, c.contents)
}

// takeOver puts the configuration of g in force, all of whose workers serve: at
// the start, and at the end of a reload.
func (s *supervisor) takeOver(g *generation) {
	for _, old := range slices.Clone(s.gens) { // retire drops those without workers
		if old != g {
			s.retire(old, g)
		}
	}
	keep := make(map[string]bool)
	for _, k := range g.keys {
		keep[k] = true
	}
	s.closeSockets(keep)
	s.conf = g.conf
	if s.opened != nil {
		s.opened.SetLevel(g.conf.Log.Level)
	}
	if m := g.conf.Umask; m != nil {
		identity.SetUmask(*m)
	}
	s.followFiles(g)
	s.scheduleJobs()
	s.beginPulse()
	s.ready(g)
	s.manage(g)
	if g.id > 1 {
		s.cluster.renewKeys()
	}
	s.reloads.concluded(g.id, nil)
	s.reloadAgain()
}

// retire lets a generation that is followed by another end. Clients that the
// change does not concern may stay.
func (s *supervisor) retire(old, next *generation) {
	d := portChanges(old, next.plan, next.keys, s.o.KeyKinds())
	all := d.handler || next.conf.CutOnHUP
	l := &wire.Leave{Changed: d.gone, Grace: next.conf.Grace, Spread: next.conf.GraceSpread, Limit: next.conf.HUPGrace}
	old.leaving = true
	old.stopTimers()
	for w := range old.workers {
		switch {
		case all:
			s.finish(w, false)
		default:
			w.tell(wire.Message{Op: wire.OpLeave, Leave: l})
			if l.Limit > 0 {
				s.killLater(w, l.Limit+l.Spread+wire.EndTime)
			}
		}
	}
	s.drop(old)
}

// refuse gives up a reload whose configuration is no good.
func (s *supervisor) refuse(err error) {
	what := "new configuration rejected; the current one stays"
	for _, e := range logging.Split(err) {
		s.log.Error(fmt.Sprintf("%s: %v", what, e))
		what = "new configuration rejected"
	}
	if !s.ending {
		s.tellManager("READY=1", "STATUS=serving; new configuration rejected, see the log")
	}
	s.reloads.concluded(0, err)
	s.reloadAgain()
}

// startFailed gives a generation up whose workers do not serve. If it is the
// first, that is the end.
func (s *supervisor) startFailed(g *generation, err error) {
	if g.ready || g.failed || s.ending {
		return
	}
	g.failed = true
	g.stopTimers()
	if !s.serving {
		s.fail(err)
		return
	}
	for w := range g.workers {
		s.finish(w, false) // it may have clients already
		if !w.ready {
			s.killLater(w, wire.EndTime)
		}
	}
	s.handOut() // to those before, whose next workers have the newest secrets
	logging.Error(s.log, fmt.Errorf("the new generation failed to start, the current one continues: %w", err))
	s.tellManager("READY=1", "STATUS=serving; the new generation failed to start, see the log")
	keep := make(map[string]bool)
	for _, o := range s.gens {
		for _, k := range o.keys {
			keep[k] = keep[k] || o != g && !o.leaving
		}
	}
	s.closeSockets(keep)
	s.drop(g)
	s.reloads.concluded(0, err)
	s.reloadAgain()
}

// reloadAgain reloads if that was asked for in the meantime.
func (s *supervisor) reloadAgain() {
	if s.reloads.again && !s.ending {
		s.reloads.again = false
		s.reload()
	}
}

// await has c told how the next reload went.
func (r *reloads) await(c chan<- reloaded) { r.next = append(r.next, c) }

// begin is called when a reload is under way.
func (r *reloads) begin() { r.now, r.next = append(r.now, r.next...), nil }

// concluded tells who waited for it how it went.
func (r *reloads) concluded(generation int, err error) {
	switch {
	case err == nil && generation > 1: // the first is the start
		r.done++
	case err != nil && err != errEnding:
		r.failed++
	}
	for _, c := range r.now {
		c <- reloaded{generation, r.plan, err}
	}
	r.now, r.plan = nil, control.Plan{}
}

// none tells everybody that there is no reload any more.
func (r *reloads) none() {
	r.begin()
	r.concluded(0, errEnding)
}
