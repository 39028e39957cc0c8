package supervisor

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"netserver/conf"
	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/internal/proc"
)

// reload has the configuration and the program's file checked, and goes over
// to them if they are good.
func (s *supervisor) reload() {
	switch {
	case s.ending:
		logging.Notice(s.log, errEnding.Error())
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
func (s *supervisor) describe(pl *wire.Plan, c *Settings, binary *proc.Binary) {
	s.reloads.plan = planFor(s.newest(), pl, s.conf, c, binary, s.o.KeyKinds())
	for _, key := range s.reloads.plan.Stays {
		s.log.Warn(key + " was changed: it stays as it was until the server is stopped and started again")
	}
	logging.Notice(s.log, s.reloads.plan.Summary())
	if s.o.Library && s.restarts == 0 {
		logging.Notice(s.log, "the program's handlers run in the workers: what they keep in memory stays with the old ones, and the new ones begin without it (supervisor 0 keeps it in one process)")
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
