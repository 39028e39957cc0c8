package daemon

import (
	"context"
	"crypto/rand"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"

	"netserver/cluster"
	"netserver/cluster/dirstore"
	"netserver/daemon/internal/acme"
	"netserver/daemon/internal/clustering"
	"netserver/daemon/internal/wire"
	"netserver/internal/bridge"
	"netserver/internal/control"
	"netserver/proto"
	"netserver/tlsparams"
)

// WithStores has the key cluster take URLs of these schemes, beside dir: of a
// directory, as Hooks.Stores does in a program on Run.
func WithStores(stores map[string]cluster.Opener) Part {
	return func(v *invocation) { v.hooks.Stores = stores }
}

// stores are those that this program links.
func (v *invocation) stores() clustering.Stores {
	all := clustering.Stores{clustering.SchemeDir: dirstore.Open}
	maps.Copy(all, v.hooks.Stores)
	return all
}

// checkCluster checks the keys of the cluster.
func (v *invocation) checkCluster(c *Config) error {
	return c.cluster.Check(v.stores(), c.identity.Account, c.Process.Chroot)
}

// ticketSecret returns what a process that serves alone makes its first ticket
// keys of, if others are to follow from the cluster.
func (c *Config) ticketSecret() []byte {
	if alone, _ := c.alone(); !alone || !c.cluster.Enabled() {
		return nil
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	return secret
}

// A sharing is the part in a cluster of a process that serves alone.
type sharing struct {
	p       *program
	start   *wire.Cluster
	node    clustering.Sharing
	clients *clustering.Clients
	sources []*tlsparams.Source // of its ports

	mu      sync.Mutex
	status  cluster.Status
	running bool
	leave   clustering.LeaveAsk
	bans    clustering.Bans
	made    clustering.Made
	lifts   clustering.Lifts
}

const (
	shareAgain = 5 * time.Second // after the node could not run
	shareEnd   = 3 * time.Second // for leaving the cluster
)

// newSharing returns the program's part in its cluster, nil if it has none.
func (p *program) newSharing() (*sharing, error) {
	start, err := p.conf.cluster.Load(p.conf.Server.Admission.Penalty.MaxTime)
	if err != nil || start == nil {
		return nil, err
	}
	s := &sharing{p: p, start: start, clients: clustering.NewClients(p.server.Monitor())}
	if start.Quorum > 0 {
		s.clients.UseTargets(p.made.Backends())
	}
	s.status.Name, s.made.Node = start.Name, start.Name
	p.staples.Use(func() clustering.StapleStore { return s.node.Store() }, func() *cluster.Keys { return start.Certificates }, start.Namespace)
	return s, nil
}

// begin joins the cluster, until end.
func (s *sharing) begin(log *slog.Logger, v *invocation, ls []net.Listener) (end func()) {
	if s == nil {
		return func() {}
	}
	s.sources = proto.Sources(bridge.TransportsOf(ls))
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { s.run(ctx, log, v) })
	done.Go(func() { s.clients.Tell(s.report, ctx.Done()) })
	return func() {
		stop()
		left := make(chan struct{})
		go func() { done.Wait(); close(left) }()
		select {
		case <-left:
		case <-time.After(shareEnd):
		}
	}
}

// run is the node, again and again if it cannot run.
func (s *sharing) run(ctx context.Context, log *slog.Logger, v *invocation) {
	for ctx.Err() == nil {
		s.runs(true)
		err := s.node.Run(ctx, s.start, v.stores(), log, func(n cluster.News) { s.take(&n) })
		s.runs(false)
		if err == nil || ctx.Err() != nil {
			return
		}
		log.Error("the cluster is not joined; trying again", "err", err)
		select {
		case <-time.After(shareAgain):
		case <-ctx.Done():
		}
	}
}

func (s *sharing) runs(is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = is
}

// take takes what other nodes share.
func (s *sharing) take(n *cluster.News) {
	if t := n.Tickets; t != nil {
		for _, src := range s.sources {
			src.RenewTicketSecret(s.p.ticketSecret, t.Current, t.Past...)
		}
	}
	if n.Status != nil {
		s.mu.Lock()
		synced := s.status.Synced
		s.status = *n.Status
		s.status.Synced = s.status.Synced || synced
		s.mu.Unlock()
	}
	var lift uint64
	now := time.Now()
	s.mu.Lock()
	if n.Bans != nil {
		s.made.Adopt(*n.Bans, now)
	}
	if len(n.Lifted) > 0 {
		lift = s.made.Taken(n.Lifted)
		s.lifts.Add(lift, n.Lifted, now)
	}
	s.bans.Tell(n, now)
	s.mu.Unlock()
	s.clients.Take(n, lift)
}

// report tells what this process shares.
func (s *sharing) report(share clustering.Share) {
	ending := s.p.ending.Load()
	r := cluster.Report{Version: Version(), Clients: s.p.engine().ClientCount(), Ready: !ending, Draining: ending, Processes: 1, Counts: share.Counts, CountsSame: share.Same, Targets: share.Targets}
	r.Ports, _ = s.p.engine().Metrics()
	r.Ports = r.Ports[:min(len(r.Ports), cluster.MaxPorts)]
	s.mu.Lock()
	now := time.Now()
	s.lifts.Done(share.Lifted)
	r.Bans = s.made.Report(s.lifts.Rest(share.Bans), now)
	r.Leave, r.Lifted = s.leave.ID(), s.made.Lifted(now)
	s.mu.Unlock()
	s.node.Report(r)
}

// certificates returns how certificates are shared; nil without a cluster.
func (s *sharing) certificates() *acme.Cluster {
	if s == nil {
		return nil
	}
	keys := s.start.Certificates
	return &acme.Cluster{
		Store: func() acme.Store { return s.node.Store() }, Keys: func() *cluster.Keys { return keys },
		Namespace: s.start.Namespace, Node: s.start.Name,
	}
}

// known returns how the node stands; nil without a cluster.
func (s *sharing) known() (*cluster.Status, bool) {
	if s == nil {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	st.Up = st.Up && s.running
	return &st, s.running
}

// overview is what the control socket shows of the cluster.
func (s *sharing) overview() *control.Cluster {
	st, running := s.known()
	if st == nil {
		return nil
	}
	o := wire.ClusterOverview(st, running)
	o.Required = s.start.Required
	return o
}

// Lifted tells other nodes of the cluster.
func (a *alone) Lifted(p netip.Prefix) (number uint64) {
	s := a.cluster
	if s == nil {
		return 0
	}
	s.mu.Lock()
	now := time.Now()
	number = s.made.Lift(p, s.bans.Told(now), now)
	s.lifts.Add(number, []netip.Prefix{p}, now)
	s.bans.Lift(p)
	s.mu.Unlock()
	s.node.Lifted(p)
	return number
}

// AskToLeave asks the other nodes of the cluster whether this server may drain,
// or ends that.
func (a *alone) AskToLeave(begin bool) {
	if s := a.cluster; s != nil {
		s.mu.Lock()
		s.leave.Ask(begin)
		s.mu.Unlock()
		s.clients.Hurry()
	}
}

// MayLeave returns what they say.
func (a *alone) MayLeave() (may bool, why string) {
	s := a.cluster
	if s == nil {
		return false, ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leave.May(s.status.Leave)
}
