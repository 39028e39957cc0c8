package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"sync"
	"time"

	"netserver/conf"
	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/internal/proc"
)

// checkTime bounds the check of a new configuration.
const checkTime = 30 * time.Second

// answerCheck is what a process does that checks the configuration for a
// running supervisor.
func (v *invocation) answerCheck(p *program, pl *wire.Plan, err error) int {
	defer v.part.Link.Close()
	if err == nil && pl == nil {
		err = errors.New("the type was changed to one without a supervisor; stop the server and start it again")
	}
	if err != nil {
		m := wire.Message{Op: wire.OpFailed}
		for _, e := range logging.Split(err) {
			m.Lines = append(m.Lines, e.Error())
		}
		wire.Send(v.part.Link, m)
		return wire.ExitUsage
	}
	if err := wire.Send(v.part.Link, wire.Message{Op: wire.OpPlan, Plan: pl, Contents: p.files.contents}); err != nil {
		return wire.ExitFailed
	}
	return wire.ExitDone
}

// reload has the configuration and the program's file checked, and goes over
// to them if they are good.
func (s *supervisor) reload() {
	switch {
	case s.ending:
		notice(s.log, errEnding.Error())
		s.reloads.none()
		return
	case s.checking || !s.serving || s.starting():
		s.again = true
		return
	}
	s.checking = true
	s.reloads.begin()
	s.tellManager("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", proc.Monotonic().Microseconds()))
	binary, err := proc.Self()
	if err == nil {
		if err = s.strictBinary(binary); err != nil {
			binary.Close()
		}
	}
	if err != nil {
		s.checked(nil, nil, nil, err)
		return
	}
	go s.check(binary)
}

// starting reports whether a generation is to become ready yet.
func (s *supervisor) starting() bool {
	g := s.gens[len(s.gens)-1]
	return !g.ready && !g.failed
}

// reloadAgain reloads if that was asked for in the meantime.
func (s *supervisor) reloadAgain() {
	if s.again && !s.ending {
		s.again = false
		s.reload()
	}
}

// check runs a process that reads the configuration.
func (s *supervisor) check(binary *proc.Binary) {
	pl, contents, err := s.askCheck(binary)
	posted := make(chan struct{})
	go func() {
		s.post(func() {
			close(posted)
			s.checked(binary, pl, contents, err)
		})
	}()
	select {
	case <-posted:
	case <-s.quit:
		select {
		case <-posted:
		default:
			binary.Close()
		}
	}
}

// checkers are the processes that check a configuration. They must not outlive
// the supervisor, however long they take.
type checkers struct {
	mu   sync.Mutex
	list map[*proc.Child]struct{}
	over bool
}

func (c *checkers) add(child *proc.Child) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.list == nil {
		c.list = make(map[*proc.Child]struct{})
	}
	c.list[child] = struct{}{}
	if c.over {
		child.KillGroup()
	}
}

func (c *checkers) remove(child *proc.Child) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.list, child)
}

// end kills them, and any that come later.
func (c *checkers) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	for child := range c.list {
		child.KillGroup()
	}
}

// askCheck has the configuration checked. A checking process that was ended by
// a signal for the supervisor, before it could ignore it, is started again.
func (s *supervisor) askCheck(binary *proc.Binary) (pl *wire.Plan, contents map[string][]byte, err error) {
	for range maxEarlyEnds {
		var how string
		if pl, contents, how, err = s.askCheckOnce(binary); err == nil || !isSupervisors(how) {
			break
		}
	}
	return pl, contents, err
}

// askCheckOnce also returns how the process ended.
func (s *supervisor) askCheckOnce(binary *proc.Binary) (pl *wire.Plan, contents map[string][]byte, how string, err error) {
	c, err := proc.Start{
		Binary: binary, Role: wire.RoleCheck, Args: append([]string{os.Args[0]}, s.o.Args...), Env: proc.WithoutManager(s.o.Environ),
		Stdout: os.Stdout, Stderr: s.o.stderrFile(),
	}.Start()
	if err != nil {
		return nil, nil, "", err
	}
	defer c.Link.Close()
	s.checkers.add(c)
	t := time.AfterFunc(checkTime, c.KillGroup)
	defer t.Stop()
	m, err := wire.ReceiveFrom(c.Link, wire.MaxPlan, wire.Peer{Sender: wire.FromCheck})
	c.Link.Close()
	how = c.Wait()
	s.checkers.remove(c)
	switch {
	case err != nil && how != "":
		return nil, nil, how, fmt.Errorf("the program %s failed: %s", binary.Name(), how)
	case err != nil:
		return nil, nil, how, fmt.Errorf("the program %s did not check the configuration: %w", binary.Name(), err)
	case m.Op == wire.OpFailed:
		var errs []error
		for _, l := range m.Lines {
			errs = append(errs, errors.New(l))
		}
		return nil, nil, how, errors.Join(errs...)
	}
	return m.Plan, m.Contents, how, nil
}

// checked goes on with what the check found.
func (s *supervisor) checked(binary *proc.Binary, pl *wire.Plan, contents map[string][]byte, err error) {
	s.checking = false
	refuse := func(err error) {
		if binary != nil {
			binary.Close()
		}
		what := "the configuration is not good, and nothing is changed"
		for _, e := range logging.Split(err) {
			s.log.Error(fmt.Sprintf("%s: %v", what, e))
			what = "the configuration is not good"
		}
		if !s.ending {
			s.tellManager("READY=1", "STATUS=serving; the new configuration was refused, see the log")
		}
		s.reloads.concluded(0, err)
		s.reloadAgain()
	}
	if err != nil {
		refuse(err)
		return
	}
	if s.ending {
		binary.Close()
		return
	}
	c, err := s.o.Settings(pl)
	if err == nil {
		err = halfWritten(s.newest().plan, pl)
	}
	if err == nil && s.selfSigned == nil && needsSelfSigned(pl) {
		s.selfSigned, err = newSelfSigned(time.Now())
	}
	if err != nil {
		refuse(err)
		return
	}
	s.describe(pl, c, binary)
	s.keepLog(c, pl)
	s.makeRoom()
	s.call(s.o.Restarting)
	if err := s.beginWith(context.Background(), c, pl, binary, contents); err != nil {
		binary = nil
		refuse(err)
		return
	}
	s.restarts++
}

// describe logs what a restart is going to do, and what it cannot do.
func (s *supervisor) describe(pl *wire.Plan, c *supSettings, binary *proc.Binary) {
	s.reloads.plan = planFor(s.newest(), pl, s.conf, c, binary, s.o.KeyKinds())
	for _, key := range s.reloads.plan.Stays {
		s.log.Warn(key + " was changed: it stays as it was until the server is stopped and started again")
	}
	notice(s.log, s.reloads.plan.Summary())
	if s.o.Library && s.restarts == 0 {
		notice(s.log, "the program's handlers run in the workers: what they keep in memory stays with the old ones, and the new ones begin without it (supervisor 0 keeps it in one process)")
	}
}

// makeRoom keeps the number of generations bounded: the clients of the oldest
// have the grace time, and are cut if restarts come faster than it passes.
func (s *supervisor) makeRoom() {
	alive := 0
	for _, g := range slices.Backward(s.gens) {
		if alive++; alive < maxGenerations || !g.leaving {
			continue
		}
		cut, what := alive >= maxDraining, "have the grace time"
		if cut {
			what = "are cut"
		}
		if g.ended && (!cut || g.cut) {
			continue // they were told
		}
		g.ended, g.cut = true, cut
		for w := range g.workers {
			s.log.Warn("too many generations: clients of the oldest "+what, "generation", g.id, "clients", w.status.Clients)
			s.finish(w, cut)
		}
	}
}

// A difference is what a new plan does to the ports of a generation.
type difference struct {
	added, removed, changed []string
	gone                    []int // ports that are removed or changed, by place
	kept                    int
	handler                 bool // what serves the clients is another
}

// compare compares g with a plan whose sockets have keys, as keysOf returned
// them before the ports' real numbers were known.
func compare(g *generation, pl *wire.Plan, keys []string, kinds map[string]KeyKind) difference {
	d := difference{handler: len(handlerChanges(g.plan, pl, kinds)) > 0}
	at := make(map[string]int)
	for i, k := range keys {
		at[k] = i
	}
	for i, k := range g.keys {
		old := g.plan.Ports[i]
		j, ok := at[k]
		delete(at, k)
		switch {
		case !ok:
			d.removed = append(d.removed, old.Spec.Short())
		case old.Spec.Kind() != pl.Ports[j].Spec.Kind() || !sameValues(old.Spec.Params, pl.Ports[j].Spec.Params):
			d.changed = append(d.changed, old.Spec.Short())
		default:
			d.kept++
			continue
		}
		d.gone = append(d.gone, i)
	}
	for _, i := range slices.Sorted(maps.Values(at)) {
		d.added = append(d.added, pl.Ports[i].Spec.Short())
	}
	return d
}

// sameValues compares values, wherever they were given.
func sameValues(a, b conf.Values) bool {
	strip := func(v conf.Values) map[string][]string {
		m := make(map[string][]string)
		for k, vals := range v {
			m[k] = textsOf(vals)
		}
		return m
	}
	return reflect.DeepEqual(strip(a), strip(b))
}

func textsOf(vals []conf.Value) []string {
	var list []string
	for _, v := range vals {
		list = append(list, v.Name+"="+v.Text)
	}
	return list
}

// retire lets a generation that is followed by another end. Clients that the
// change does not concern may stay.
func (s *supervisor) retire(old, next *generation) {
	d := compare(old, next.plan, next.keys, s.o.KeyKinds())
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
