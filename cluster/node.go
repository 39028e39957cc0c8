package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// A Config is what New makes a Node of. Store, Keys, Name and Tell are needed.
type Config struct {
	Store Store // who made it closes it, after Run has returned
	Keys  *Keys // seal all that goes into the store

	// Namespace is that of the store's StoreOptions; empty means
	// DefaultNamespace. What was sealed for another is refused.
	Namespace string

	// Name tells this node from the others: see CheckName.
	Name string

	// Tell takes what has changed. It is called from one goroutine at a time,
	// never after Run has returned, and must not wait for long.
	Tell func(News)

	Log *slog.Logger // nil discards

	// Epoch is how long a ticket secret is used to seal, at least a minute; 0
	// means twelve hours. It must be the same on all nodes.
	Epoch time.Duration
	// TicketLife is how long a session ticket is good for; 0 means a day. The
	// secrets of an epoch are forgotten so long after its end.
	TicketLife time.Duration
	// MaxPenalty bounds the penalties of other nodes; 0 means an hour. Bans by
	// operators are bounded by a day.
	MaxPenalty time.Duration

	// Quorum is how many other nodes have to find a target down for this one to
	// be told so. 0 shares no findings, and takes none.
	Quorum int

	// Clock is the wall clock; nil means time.Now.
	Clock func() time.Time
}

// Defaults of Config, and bounds.
const (
	DefaultEpoch      = 12 * time.Hour
	DefaultTicketLife = 24 * time.Hour
	DefaultMaxPenalty = time.Hour
	MaxManualBan      = 24 * time.Hour

	minEpoch = time.Minute
)

// ErrNameTaken is the error of Run when another process that lives has the name
// of this node.
var ErrNameTaken = errors.New("another node of the cluster has the same name")

// CheckName returns an error unless name is 1 to 64 bytes of [a-z0-9._-] and
// begins with a letter or digit. A host name in lower case is a good one.
func CheckName(name string) error {
	if err := CheckKey(name); err != nil || len(name) > 64 || strings.ContainsAny(name, "/") || name[0] == '-' || name[0] == '_' {
		return fmt.Errorf("the node's name %q must be 1 to 64 characters of a to z, 0 to 9, dot, _ and -, the first a letter or digit", name)
	}
	return nil
}

// A Node is this machine's part in a cluster. It does no input and output but
// the Store's. Its methods may be called at any time from any goroutine, and
// wait for nobody, Run aside.
type Node struct {
	cfg    Config
	log    *slog.Logger
	host   string
	pid    int
	wake   chan struct{} // the writer
	tell   chan struct{} // the teller
	self   membership    // the writer's
	leaver leaver        // see there

	mu     sync.Mutex // for what follows
	clock  *clock
	boot   uint64
	seq    uint64
	report Report

	reported bool // once at least
	encode   bool // the counts in it are others than those encoded last
	dirty    struct{ tickets, bans, others, counts, status bool }

	watching bool      // all in the store was seen, and changes come
	writes   bool      // the last write was good
	up       bool      // both
	down     bool      // not
	outage   outage    // of then
	synced   bool      // it was up once
	since    time.Time // by the wall clock
	changed  time.Time // the same, by the steady clock

	peers    map[string]*peer
	tickets  ticketBox
	box      banBox
	targets  ownTargets
	tallies  map[countKey]tally
	kept     int // counts in the parts of all peers
	talk     talk
	sent     [maxParts]sentPart
	encoded  [][]byte // this node's counts, in parts
	seed     maphash.Seed
	othersAt time.Time
	newsAt   time.Time // when it was looked for what is to be told
	statusAt time.Time

	liftedNews []netip.Prefix
	errors     map[string]uint64
	refused    struct { // values that were not believed, and not yet said
		n    int
		next time.Time
	}
	dropped, bytes uint64
	exchanged      time.Time
}

// New returns a Node. It does not use the store yet.
func New(cfg Config) (*Node, error) {
	if err := CheckName(cfg.Name); err != nil {
		return nil, err
	}
	switch {
	case cfg.Store == nil, cfg.Keys == nil, cfg.Tell == nil:
		return nil, errors.New("a cluster.Config needs Store, Keys and Tell")
	case cfg.Quorum < 0 || cfg.Quorum >= MaxNodes:
		return nil, fmt.Errorf("a quorum of %d other nodes: there are %d at most", cfg.Quorum, MaxNodes-1)
	case cfg.Epoch < 0 || cfg.Epoch > 0 && cfg.Epoch < minEpoch:
		return nil, fmt.Errorf("epochs of %v are shorter than %v", cfg.Epoch, minEpoch)
	}
	cfg.Namespace = cmp.Or(cfg.Namespace, DefaultNamespace)
	cfg.Epoch = cmp.Or(cfg.Epoch, DefaultEpoch).Truncate(time.Second)
	cfg.TicketLife = cmp.Or(max(cfg.TicketLife, 0), DefaultTicketLife)
	cfg.MaxPenalty = min(cmp.Or(max(cfg.MaxPenalty, 0), DefaultMaxPenalty), MaxManualBan)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	host, _ := os.Hostname()
	n := &Node{
		cfg: cfg, log: cfg.Log, host: host[:min(len(host), maxHostLen)], pid: os.Getpid(),
		wake: make(chan struct{}, 1), tell: make(chan struct{}, 1),
		clock: newClock(cfg.Clock), peers: make(map[string]*peer), tallies: make(map[countKey]tally), errors: make(map[string]uint64),
		writes: true, seed: maphash.MakeSeed(),
	}
	n.boot = newBoot(n.clock.now(), rand.Uint64())
	n.tickets.known = make(map[ticketID]*ticketSecret)
	n.box = banBox{bans: make(map[banKey]sharedBan), lifted: make(map[banID]time.Time), quiet: make(map[netip.Prefix]quietBan), taken: make(map[banID]time.Time)}
	return n, nil
}

// Run shares and tells until ctx ends, then leaves the cluster, which takes a
// second at most, and returns nil. A store that does not answer is no reason to
// return: what was known stays in force. Its error wraps ErrNameTaken. Run may
// be called once.
func (n *Node) Run(ctx context.Context) error {
	run, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { n.watchLoop(run) })
	wg.Go(func() { n.tellLoop(run) })
	err := n.writeLoop(run)
	cancel()
	wg.Wait()
	if err == nil {
		n.leave(ctx)
	}
	return err
}

// Report takes what this node shares, and publishes its counts at once: give
// one twice a second. What is out of bounds in it is left out. It keeps parts
// of r, which must not be changed then.
func (n *Node) Report(r Report) {
	n.mu.Lock()
	defer n.mu.Unlock()
	same := r.CountsSame && n.reported
	if r.CountsSame {
		r.Counts = nil
	}
	r, dropped := cleanReport(r)
	n.dropped += dropped
	n.reportLifts(r.Lifted)
	n.reportBans(r.Bans)
	if n.cfg.Quorum > 0 {
		n.reportTargets(r.Targets)
	}
	r.Bans, r.Lifted, r.Targets = nil, nil, nil
	if r.CountsSame {
		r.Counts = n.report.Counts
	}
	n.report, n.dirty.counts = r, true
	n.encode = n.encode || !same
	n.reported = true
	n.wakeWriter()
}

// Status tells how the node stands.
func (n *Node) Status() Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.status(time.Now())
}

func (n *Node) wakeWriter() { wake(n.wake) }
func (n *Node) wakeTeller() { wake(n.tell) }

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it was woken already
	}
}
