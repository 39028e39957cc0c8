package supervisor

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"netserver/daemon/internal/wire"
	"netserver/internal/childproc"
	"netserver/internal/control"
)

// A Controlled is a supervisor as the control socket sees it.
type Controlled struct {
	*supervisor
	dry chan struct{} // held while a reload is tried out
}

// Members returns the workers, by number.
func (c *Controlled) Members() (list []wire.Member) {
	c.do(func() {
		for _, g := range c.gens {
			for w := range g.workers {
				list = append(list, wire.Member{ID: w.id, PID: w.proc.Pid(), Ready: w.ready})
			}
		}
	})
	slices.SortFunc(list, func(a, b wire.Member) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

func (c *Controlled) Ended() <-chan struct{} { return c.quit }

// Overview returns what the supervisor itself knows.
func (c *Controlled) Overview() *control.Status {
	st := &control.Status{PID: os.Getpid(), Version: c.o.Version, Supervisor: true, State: "ending", Generations: []control.Generation{}, Listeners: []control.Listener{}}
	c.do(func() {
		st.Type, st.State = c.conf.Type, c.condition()
		st.Uptime = wire.InSeconds(time.Since(c.began))
		st.Restarts, st.Crashes, st.Served = c.restarts, c.crashes, c.total
		for _, g := range c.gens {
			st.Generations = append(st.Generations, g.overview())
		}
		var open []string
		if len(c.gens) > 0 && !c.ending {
			open = c.newest().plan.PortNames()
		}
		st.Listeners = c.tally().Listeners(open)
		st.Cluster = c.cluster.overview()
	})
	return st
}

// AskToLeave asks the other nodes of the cluster whether this server may drain,
// or ends that.
func (s *supervisor) AskToLeave(begin bool) {
	s.do(func() {
		if c := s.cluster; c != nil {
			c.leave.Ask(begin)
			c.reportSoon()
		}
	})
}

// MayLeave returns what they say.
func (s *supervisor) MayLeave() (may bool, why string) {
	s.do(func() {
		if c := s.cluster; c != nil {
			may, why = c.leave.May(c.status.Leave)
		}
	})
	return may, why
}

// condition says what the server is doing.
func (s *supervisor) condition() string {
	switch {
	case s.ending:
		return "ending"
	case !s.serving:
		return "starting"
	case s.reloads.reading || len(s.gens) > 0 && !s.gens[len(s.gens)-1].ready:
		return "reloading"
	}
	return "serving"
}

func (g *generation) overview() control.Generation {
	o := control.Generation{ID: g.id, State: "starting", Workers: []control.Worker{}}
	switch {
	case g.leaving || g.failed:
		o.State = "ending"
	case g.ready:
		o.State = "serving"
	}
	for _, w := range g.sorted() {
		o.Workers = append(o.Workers, control.Worker{
			ID: w.id, PID: w.proc.Pid(), State: w.condition(), Uptime: wire.InSeconds(time.Since(w.began)),
			Clients: w.status.Clients, InHandler: w.status.Serving, Served: w.status.Total,
			Signatures: w.keyLink.signatures(),
		})
	}
	return o
}

// End ends the server, as QUIT and TERM do.
func (c *Controlled) End(cut bool) { c.do(func() { c.supervisor.end(cut) }) }

func (c *Controlled) Grace() (d time.Duration) {
	c.do(func() { d = c.conf.Grace })
	return d
}

// Reload has the configuration read again and waits for what comes of it, or
// tells what would.
func (c *Controlled) Reload(ctx context.Context, dry bool) (*control.Reload, error) {
	if dry {
		return c.tryReload(ctx)
	}
	got := make(chan reloaded, 1)
	c.do(func() {
		c.reloads.await(got)
		c.supervisor.reload()
	})
	select {
	case r := <-got:
		if r.err != nil {
			return nil, r.err
		}
		return &control.Reload{Generation: r.generation, Plan: r.plan}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-c.quit:
		return nil, errEnding
	}
}

// tryReload has the configuration checked and compares it with the one in
// force. It opens nothing and changes nothing.
func (c *Controlled) tryReload(ctx context.Context) (*control.Reload, error) {
	select {
	case c.dry <- struct{}{}:
		defer func() { <-c.dry }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	binary, err := childproc.Self()
	if err != nil {
		return nil, err
	}
	defer binary.Close()
	c.do(func() { err = c.strictBinary(binary) })
	if err != nil {
		return nil, err
	}
	pl, _, err := c.askCheck(binary)
	if err != nil {
		return nil, err
	}
	conf, err := c.o.Settings(pl)
	if err != nil {
		return nil, err
	}
	res, err := &control.Reload{DryRun: true}, errEnding
	c.do(func() {
		if c.ending || len(c.gens) == 0 {
			return
		}
		g := c.newest()
		if err = errors.Join(halfWritten(g.plan, pl), c.ownConflicts(pl, keysOf(pl.Ports))); err == nil {
			res.Generation, res.Plan = g.id, planFor(g, pl, c.conf, conf, binary, c.o.KeyKinds())
		}
	})
	return res, err
}

// maxChanges bounds the changes of targets that are kept; nobody makes so many
// between two reloads.
const maxChanges = 4096

// Remember keeps a change of a backend's targets for the workers that start
// later, until a reload brings another configuration.
func (s *supervisor) Remember(q wire.Ask) {
	s.do(func() {
		now := s.servingNow()
		if s.changedIn != now {
			s.changedIn, s.changes = now, nil
		}
		kept := s.changes[:0]
		for _, c := range s.changes {
			if c.Backend != q.Backend || c.Target != q.Target { // the last word on a target counts
				kept = append(kept, c)
			}
		}
		if s.changes = kept; len(kept) < maxChanges {
			s.changes = append(s.changes, q)
		}
	})
}

// servingNow returns the newest generation that serves, nil if none does.
func (s *supervisor) servingNow() (now *generation) {
	for _, g := range s.gens {
		if g.ready {
			now = g
		}
	}
	return now
}

// tellChanges tells a worker that has just started what was changed before.
func (s *supervisor) tellChanges(w *child) {
	if w.gen != s.changedIn {
		return
	}
	for _, q := range s.changes {
		w.tell(wire.Message{Op: wire.OpAsk, ID: w.asks.add(time.Now(), q, make(chan wire.Answer, 1)), Ask: &q})
	}
}
