package wire

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"netserver/cluster"
	"netserver/internal/control"
)

// What is said about the cluster (package cluster). A worker tells what it has
// for other nodes, in parts. The supervisor puts that of all workers together
// for the cluster process, and passes on to them what that tells of the others.
const (
	OpShare    = "share"    // from a worker: clients by source, its penalty box, and what its checks of targets have found
	OpReport   = "report"   // to the cluster process: what this server shares
	OpNews     = "news"     // from it, and on to workers: what others share
	OpDistrust = "distrust" // to it: somebody may have the ticket secrets
	OpLifted   = "lifted"   // to it: an operator has taken Network out of the penalty box
)

// A Cluster is what the cluster process starts from. It holds secrets.
type Cluster struct {
	URL, Name, Namespace string
	Keys                 []byte // cluster.Keys.Derived, of cluster.PurposeStore
	Password             string
	CA, Cert             []byte        `json:",omitempty"` // contents of files for TLS to the store: authorities; a certificate and its key
	Required             bool          // the server is not ready before the store has answered
	Read                 []string      // files that the URL names
	Write                []string      // directories
	MaxPenalty           time.Duration // of others' penalties; 0 is the default
	Quorum               int           // cluster.Config.Quorum

	// Certificates seal what the supervisor itself has in the store, and are
	// told to no process.
	Certificates *cluster.Keys `json:"-"`
}

// A Shared is a part of what a worker tells for other nodes: all parts from one
// that is First to one that is Last.
type Shared struct {
	First, Last bool
	Same        bool           `json:",omitempty"` // of the first: the counts are as last told, and no part has any
	Lifted      []uint64       `json:",omitempty"` // of the first: numbers of lifts that were carried out before this was looked up
	Counts      cluster.Counts `json:",omitempty"`
	Bans        []cluster.Ban  `json:",omitempty"`

	Targets cluster.Findings `json:",omitempty"` // at most cluster.MaxTargets, in a part of their own
}

// Bounds of a part, which keep it below MaxFromWorker.
const (
	MaxSharedCounts = 2000
	MaxSharedBans   = 300
	MaxSharedLifts  = 256
)

// MaxFromCluster is the longest message of the cluster process.
const MaxFromCluster = 2 << 20

// takeShared takes what a worker has for other nodes.
func takeShared(_ *Peer, from, to *Message) error {
	s := from.Shared
	if s == nil {
		return errors.New("it is empty")
	}
	to.Shared = s
	if s.Same && (!s.First || len(s.Counts) > 0) {
		return errors.New("the same counts, and others")
	}
	if len(s.Counts) > MaxSharedCounts {
		return fmt.Errorf("%d counts", len(s.Counts))
	}
	if len(s.Targets) > 0 && len(s.Counts)+len(s.Bans) > 0 {
		return errors.New("targets, and other things")
	}
	if !s.First && len(s.Lifted) > 0 {
		return errors.New("lifts beside the first part")
	}
	if err := errors.Join(checkBans(s.Bans, MaxSharedBans), atMost("lifts", len(s.Lifted), MaxSharedLifts)); err != nil {
		return err
	}
	for i := range s.Bans {
		s.Bans[i].ID = cluster.BanID{} // the supervisor gives it
	}
	return nil
}

// minBan4 and minBan6 are the widest networks that another node can ban.
const minBan4, minBan6 = 8, 16

func checkBans(list []cluster.Ban, most int) error {
	return checkEach("bans", list, most, func(b *cluster.Ban) error {
		if err := checkBanned(b.Prefix); err != nil {
			return err
		}
		if b.Left < 0 || b.Left > control.MaxBan*time.Second {
			return fmt.Errorf("for %v", b.Left)
		}
		b.Left = min(b.Left, cluster.MaxManualBan)
		b.Node = Clean(b.Node, maxNodeName)
		return nil
	})
}

// checkBanned checks a network that is banned or lifted.
func checkBanned(p netip.Prefix) error {
	least := minBan6
	if p.Addr().Is4() {
		least = minBan4
	}
	if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() || p.Bits() < least {
		return errors.New("an invalid network")
	}
	return nil
}

const (
	maxNodeName  = 64 // bytes of a node's name
	maxProcesses = 1 << 20
	maxKinds     = 64 // of errors
)

// takeNews takes what the cluster process tells of other nodes. Whatever it is,
// it is bounded: secrets, sources that are banned for a while, numbers.
func takeNews(_ *Peer, from, to *Message) error {
	n := from.News
	if n == nil {
		return errors.New("it is empty")
	}
	to.News = n
	if t := n.Tickets; t != nil {
		if err := checkTickets(t); err != nil {
			return err
		}
	}
	if n.Bans != nil {
		if err := checkBans(*n.Bans, cluster.MaxTold); err != nil {
			return err
		}
	}
	if err := checkEach("networks taken out", n.Lifted, cluster.MaxTold, func(p *netip.Prefix) error { return checkBanned(*p) }); err != nil {
		return err
	}
	if o := n.Others; o != nil {
		if err := errors.Join(atMost("processes", o.Processes, maxProcesses), atMost("counts", len(o.Counts), cluster.MaxCounts), checkOpinions(o.Targets)); err != nil {
			return err
		}
	}
	if n.Status != nil {
		return checkClusterStatus(n.Status)
	}
	return nil
}

// checkOpinions checks what other nodes have found of targets. A worker looks for
// its own among them, and takes half of those out of use at most.
func checkOpinions(list []cluster.Opinion) error {
	last := uint64(0)
	return checkEach("targets", list, cluster.MaxTargets, func(o *cluster.Opinion) error {
		if o.ID <= last {
			return errors.New("out of order")
		}
		last = o.ID
		return errors.Join(atMost("nodes", o.Down, cluster.MaxNodes), atMost("nodes", o.Of, cluster.MaxNodes))
	})
}

func checkTickets(t *cluster.Tickets) error {
	const size = 32
	if len(t.Current) != size || len(t.Past) > cluster.MaxTickets {
		return errors.New("ticket secrets of a wrong length, or too many")
	}
	for _, s := range t.Past {
		if len(s) != size {
			return errors.New("ticket secrets of a wrong length")
		}
	}
	return nil
}

func checkClusterStatus(s *cluster.Status) error {
	s.Name = Clean(s.Name, maxNodeName)
	if len(s.Errors) > maxKinds {
		return fmt.Errorf("%d kinds of errors", len(s.Errors))
	}
	for kind, n := range s.Errors {
		if len(kind) > maxCountName || !plain(kind) || n > MaxTally {
			return errors.New("an invalid count of errors")
		}
	}
	if s.Leave != nil {
		s.Leave.Why = Clean(s.Leave.Why, maxText)
	}
	if s.Dropped > MaxTally || s.Sent > MaxTally {
		return errors.New("an invalid count")
	}
	return errors.Join(atMost("sources", s.Sources, maxAtOnce), atMost("bans", s.Bans, maxAtOnce), atMost("targets", s.Targets, cluster.MaxTargets), checkEach("nodes", s.Nodes, cluster.MaxNodes, func(n *cluster.NodeStatus) error {
		n.Name, n.Host, n.Version = Clean(n.Name, maxNodeName), Clean(n.Host, maxName), Clean(n.Version, maxNodeName)
		if len(n.Ports) > cluster.MaxPorts {
			return fmt.Errorf("%d ports", len(n.Ports))
		}
		for i := range n.Ports {
			n.Ports[i] = Clean(n.Ports[i], maxText)
		}
		if n.Seen < 0 {
			return errors.New("an invalid time")
		}
		return errors.Join(atMost("clients", n.Clients, maxAtOnce), atMost("processes", n.PID, maxAtOnce))
	}))
}

// ForWorkers returns what workers are told of news, and whether that is
// anything.
func ForWorkers(n *cluster.News) (part cluster.News, any bool) {
	part = *n
	part.Status, part.Tickets = nil, nil // these they have as OpTickets
	return part, part.Bans != nil || len(part.Lifted) > 0 || part.Others != nil
}
