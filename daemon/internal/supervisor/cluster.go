package supervisor

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"sync/atomic"
	"time"

	"netserver/cluster"
	"netserver/daemon/internal/clustering"
	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/internal/childproc"
	"netserver/internal/control"
	"netserver/internal/metric"
	"netserver/tlsparams"
)

// A clusterProcess is the helper that shares with other nodes, and what they
// have told by it. That stays in force when it dies.
type clusterProcess struct {
	helper
	start *wire.Cluster // what the last one was started from

	tickets *cluster.Tickets // nil: none are shared yet
	bans    clustering.Bans
	made    clustering.Made
	forgets *child          // which the bans of the process before are to be forgotten for
	others  *cluster.Others // none if they are not known, or no more; not nil
	status  cluster.Status

	sent  time.Time // the last report
	armed bool      // the next one will be sent soon
	leave clustering.LeaveAsk

	keeps    map[uint64]*keptCall // which the process has not answered; see keep.go
	lastKeep uint64
	certKeys atomic.Pointer[cluster.Keys]
	staples  clustering.Staples

	heard time.Time // when it said something last
	hangs bool      // it was killed, since it said nothing

	reported *child // that was told the counts of this state
	state    uint64 // see countsState
	beside   uint64 // the state that workers were told last who count for themselves
}

const (
	// clusterMessages is how many messages of the cluster process are taken in a
	// second: one that shares has few to say.
	clusterMessages = 40
	// reportEvery is how often it is told what this server shares, and
	// reportSoonest the least time between two.
	reportEvery   = 500 * time.Millisecond
	reportSoonest = 100 * time.Millisecond
	// newsRoom is how many messages of a worker's outbox are left for others
	// than news.
	newsRoom = outboxSize / 2
)

// beginCluster starts the process that shares, if there is to be one.
func (s *supervisor) beginCluster(pl *wire.Plan) error {
	if s.o.Cluster == nil {
		return nil
	}
	start, err := s.o.Cluster()
	if err != nil || start == nil {
		return err
	}
	settings := *s.conf
	settings.Outbound, settings.TLS = nil, tlsparams.Params{}
	own := jobPlan(pl)
	may, err := newAllowed(&settings, own, nil)
	if err != nil {
		return err
	}
	binary, err := childproc.Self()
	if err != nil {
		return err
	}
	c := &clusterProcess{helper: helper{s: s, ending: clusterEnd}, start: start, others: new(cluster.Others)}
	c.task = c
	c.gen = &generation{plan: own, conf: &settings, binary: binary, allowed: may, workers: make(map[*child]struct{})}
	c.status.Name, c.made.Node = start.Name, start.Name
	c.certKeys.Store(start.Certificates)
	c.useStaples()
	s.cluster = c
	c.helper.start()
	c.tick()
	return nil
}

// clusterEnd is how long the process may take to leave the cluster.
const clusterEnd = 3 * time.Second

// end ends the process with the server, after the loop.
func (c *clusterProcess) end() {
	if c != nil {
		c.helper.end()
	}
}

// tick reports now and then, also when no worker says anything.
func (c *clusterProcess) tick() {
	c.look(time.Now())
	if time.Since(c.sent) >= reportEvery {
		c.report()
	}
	state := c.s.countsState()
	if c.s.count() <= 1 {
		state = 0
	}
	if state != c.beside { // workers share with each other too
		c.beside = state
		c.s.tellNews(&cluster.News{Others: c.others}, 0)
	}
	c.s.tellMissed()
	c.s.after(reportEvery, c.tick)
}

func (c *clusterProcess) peer() (wire.Peer, int) {
	return wire.Peer{Sender: wire.FromCluster}, clusterMessages
}

// prepare reads the key file again: keys are exchanged by that and a restart of
// the process. If it cannot be read, those before are used.
func (c *clusterProcess) prepare(in *wire.Start) (helperLinks, error) {
	if now, err := c.s.o.Cluster(); err != nil {
		c.s.log.Warn("cluster: the keys of before are used", "err", err)
	} else if now != nil {
		c.start = now
		c.certKeys.Store(now.Certificates)
	}
	in.Cluster = c.start
	return helperLinks{}, nil
}

// othersLast is how long the clients of other nodes count that are heard of no
// more.
const othersLast = 5 * time.Second

// ended forgets the clients of other nodes, unless the next process tells of
// them soon.
func (c *clusterProcess) ended(*child) {
	c.status.Up, c.hangs = false, false
	c.bans.Ended(time.Now())
	c.endKeeps()
	was := c.others
	c.s.after(othersLast, func() {
		if c.others == was {
			c.forgetOthers()
		}
	})
}

// hear takes what other nodes tell, and passes it on to the workers.
func (c *clusterProcess) hear(w *child, m wire.Message) error {
	switch m.Op {
	case wire.OpKept:
		return c.hearKept(m.ID, m.Kept)
	case wire.OpNews:
	default:
		return nil
	}
	c.heard = time.Now()
	n := m.News
	if n.Status != nil {
		synced := c.status.Synced
		c.status = *n.Status
		c.status.Synced = synced || c.status.Synced // one that was started again begins anew
	}
	if n.Tickets != nil {
		c.hearTickets(w, n.Tickets)
	}
	n = c.hearBans(w, n)
	if n.Others != nil {
		c.others = n.Others
	}
	if part, any := wire.ForWorkers(n); any {
		var lift uint64
		if len(part.Lifted) > 0 {
			lift = c.made.Taken(part.Lifted)
			c.s.awaitLift(lift, part.Lifted, c.heard)
		}
		c.s.tellNews(&part, lift)
	}
	return nil
}

// keepBans is how long what a cluster process has told of bans stays beside what
// the next one tells, once that has heard the store. Nodes write all of theirs
// again every five seconds, and sooner to a store that was away.
const keepBans = 6 * time.Second

// hearBans takes what the process tells of bans, and returns what the workers are
// to be told.
func (c *clusterProcess) hearBans(w *child, n *cluster.News) *cluster.News {
	now := time.Now()
	c.bans.Tell(n, now)
	if n.Bans != nil {
		c.made.Adopt(*n.Bans, now)
	}
	if n.Status != nil && n.Status.Synced && c.bans.Kept() && c.forgets != w {
		c.forgets = w
		c.s.after(keepBans, func() {
			if c.proc != w {
				return
			}
			c.bans.Forget()
			c.s.tellNews(c.known(), 0)
		})
	}
	if n.Bans == nil {
		return n
	}
	all, own := c.bans.All(now), *n
	own.Bans = &all
	return &own
}

// hearTickets has the workers make tickets of the secrets that all nodes have.
func (c *clusterProcess) hearTickets(w *child, t *cluster.Tickets) {
	s := c.s
	if !s.epochs.adopt(t.Current, t.Past, time.Now()) {
		w.tell(wire.Message{Op: wire.OpDistrust}) // it did not hear, or another has told it of those
		return
	}
	c.tickets = t
	s.handOut()
}

// tellMissed tells workers that did not listen.
func (s *supervisor) tellMissed() {
	now := time.Now()
	for _, g := range s.gens {
		for w := range g.workers {
			w.tellLifts(now)
			if w.missed && !w.gone && len(w.outbox) < newsRoom {
				w.missed = false
				n := s.cluster.known()
				n.Others = s.beside(n.Others)(w)
				w.tell(wire.Message{Op: wire.OpNews, News: n})
			}
		}
	}
}

// tellNews tells the workers what other nodes share, with the number of the lift
// in it. One that does not listen is told of all later.
func (s *supervisor) tellNews(n *cluster.News, lift uint64) {
	beside := s.beside(n.Others)
	for _, g := range s.gens {
		for w := range g.workers {
			if w.gone || !w.ready {
				continue
			}
			if len(w.outbox) >= newsRoom {
				w.missed = true
				continue
			}
			own := *n
			own.Others = beside(w)
			w.tell(wire.Message{Op: wire.OpNews, ID: lift, News: &own})
		}
	}
}

// beside returns what counts beside a worker's own clients: those of other nodes
// and those of this server's other workers, each of which counts for itself.
func (s *supervisor) beside(others *cluster.Others) func(*child) *cluster.Others {
	workers := s.count()
	if others == nil || workers <= 1 {
		return func(*child) *cluster.Others { return others }
	}
	total := make(map[netip.Prefix]cluster.Count, len(others.Counts))
	add := func(list cluster.Counts) {
		for _, n := range list {
			addCount(total, n)
		}
	}
	add(others.Counts)
	for _, g := range s.gens {
		for w := range g.workers {
			add(w.shared.Counts)
		}
	}
	return func(w *child) *cluster.Others {
		rest := maps.Clone(total)
		for _, n := range w.shared.Counts {
			have := rest[n.Prefix]
			have.Conns -= min(have.Conns, n.Conns)
			have.Handshakes -= min(have.Handshakes, n.Handshakes)
			if have.Conns == 0 && have.Handshakes == 0 {
				delete(rest, n.Prefix)
				continue
			}
			rest[n.Prefix] = have
		}
		return &cluster.Others{Processes: others.Processes + workers - 1, Counts: biggest(nil, rest), Targets: others.Targets}
	}
}

// known returns what other nodes have banned, for a worker that starts.
func (c *clusterProcess) known() *cluster.News {
	if c == nil {
		return nil
	}
	bans := c.bans.All(time.Now())
	return &cluster.News{Bans: &bans, Others: c.others}
}

// reportSoon has what is shared told in a moment, once for all that changes
// until then.
func (c *clusterProcess) reportSoon() {
	if c.armed {
		return
	}
	c.armed = true
	c.s.after(max(0, reportSoonest-time.Since(c.sent)), func() {
		c.armed = false
		c.report()
	})
}

// report tells the process what this server shares.
func (c *clusterProcess) report() {
	c.sent = time.Now()
	w := c.proc
	if w == nil || !w.ready || len(w.outbox) >= newsRoom {
		return
	}
	r := c.s.shares()
	r.Leave, r.Lifted = c.leave.ID(), c.made.Lifted(c.sent)
	r.Bans = c.made.Report(r.Bans, c.sent)
	state := c.s.countsState()
	if c.reported == w && c.state == state {
		r.Counts, r.CountsSame = nil, true
	}
	c.reported, c.state = w, state
	w.tell(wire.Message{Op: wire.OpReport, Report: r})
}

// distrust has all nodes move on to other ticket secrets: a worker may have
// given those away.
func (c *clusterProcess) distrust() {
	if c != nil && c.proc != nil {
		c.proc.tell(wire.Message{Op: wire.OpDistrust})
	}
}

// overview returns what is known of the cluster; nil without one.
func (c *clusterProcess) overview() *control.Cluster {
	if c == nil {
		return nil
	}
	o := wire.ClusterOverview(&c.status, c.proc != nil && c.proc.ready)
	o.Required = c.start.Required
	return o
}

func (c *clusterProcess) addMetrics(set *metric.Set) {
	if c != nil {
		wire.AddClusterMetrics(set, &c.status, time.Now())
	}
}

const (
	// The process tells something every five seconds at least, whatever the
	// store does. After clusterSilent it does not run; what it last told of other
	// nodes' clients counts no more. After clusterHangs it is killed, and another
	// is started.
	clusterSilent = 10 * time.Second
	clusterHangs  = 30 * time.Second
)

// look ends what a process that says nothing has told, and then the process.
func (c *clusterProcess) look(now time.Time) {
	if w := c.proc; w != nil && w.ready && c.silent(w, now) {
		c.s.log.Error(fmt.Sprintf("the cluster process (pid %d) says nothing; killing it", w.proc.Pid()), "seconds", int(clusterHangs.Seconds()))
		w.proc.Kill()
	}
}

// silent does what is due when the process has said nothing for a while, and
// reports, once, that it is to be killed.
func (c *clusterProcess) silent(w *child, now time.Time) (kill bool) {
	if c.heard.Before(w.began) {
		c.heard = w.began
	}
	d := now.Sub(c.heard)
	if d >= clusterSilent && c.status.Up {
		c.status.Up = false
		c.forgetOthers()
	}
	kill = d >= clusterHangs && !c.hangs
	c.hangs = c.hangs || kill
	return kill
}

// forgetOthers has the workers count no clients of other nodes.
func (c *clusterProcess) forgetOthers() {
	c.others = new(cluster.Others)
	c.s.tellNews(&cluster.News{Others: c.others}, 0)
}

// renewKeys reads the key file, the password and the files for TLS to the store
// again, after a reload: if they have changed, the process that shares is replaced by one that has the new ones.
func (c *clusterProcess) renewKeys() {
	if c == nil || c.s.o.Cluster == nil {
		return
	}
	now, err := c.s.o.Cluster()
	if err != nil || now == nil {
		c.s.log.Warn("cluster: the keys of before are used", "err", err)
		return
	}
	if bytes.Equal(now.Keys, c.start.Keys) && now.Password == c.start.Password && bytes.Equal(now.CA, c.start.CA) && bytes.Equal(now.Cert, c.start.Cert) {
		return
	}
	c.start = now
	logging.Notice(c.s.log, "cluster: the keys have changed; another process shares from now on")
	c.replace()
}
