package admit

import (
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Why a handshake was ended early.
var (
	// ErrShed ends the oldest unfinished handshake of the greediest source
	// when there are too many.
	ErrShed = errors.New("too many unfinished handshakes; this was the oldest of the source with the most")
	// ErrTimeout ends a handshake whose deadline passed while it waited for
	// its turn.
	ErrTimeout = errors.New("handshake not begun in time: others were before it")
)

const (
	// countedWait is how long a handshake may wait for the network and still
	// count as running. It is longer than a round trip on a local network, so
	// that a near source cannot have more in progress than its share, and
	// short enough not to limit a distant one by its round trips.
	countedWait = 5 * time.Millisecond
	// tickEvery is how often the queue checks for handshakes that waited that
	// long, while others want their places.
	tickEvery = time.Millisecond
	// idleKept is how long a source counts as present after its last
	// handshake. Until then another one does not count as alone. A lone load
	// balancer would lose a quarter of its rate if it did not count as alone.
	idleKept = 100 * time.Millisecond
	// maxIdle bounds the sources remembered after their last handshake.
	maxIdle = 16384
	// aloneFactor times the processors is how many handshakes of a lone source
	// may run, and rootFactor times the processors how many in total if there
	// are several sources.
	aloneFactor = 64
	rootFactor  = 2
	// readyFactor times the processors is how many may want the CPU at once
	// before no more are admitted: enough that it is never idle, and few
	// enough that the order of the queue decides and not the Go scheduler.
	// While other programs want the CPU too, it is half of the processors.
	readyFactor = 2
	// credit bounds how far a returning source may be behind the others in
	// CPU, so that light users go first.
	credit = int64(10 * time.Millisecond)
	// usefulShare is the fraction of the CPU charged for handshakes whose
	// client was then served.
	usefulShare = 32
	// firstCost is the assumed cost of a handshake before any was measured.
	firstCost = int64(400 * time.Microsecond)
)

// A Handshake is what a Queue gives turns to.
type Handshake interface {
	// Start begins or resumes the handshake's work. It is called once for each
	// Submit, must not block, and must check Ticket.Err first: with an error,
	// all that is left is to end.
	Start()
	// Cut ends a running handshake from another goroutine. It must not block.
	Cut(why error)
}

// QueueConfig holds a Queue's values.
type QueueConfig struct {
	// Procs is the number of processors. That many handshakes of one source
	// run at once while there are other sources; more while the CPU would be
	// idle, half while other programs want it too. 0 means GOMAXPROCS.
	Procs int
	// Max, MaxPerSource and MaxPerPrefix bound unfinished handshakes: in
	// total, per IPv4 address or IPv6 /64, and per IPv4 /24 or IPv6 /48. One
	// more ends the oldest of the greediest source there. 0 is no limit. The last
	// two are for all processes together that SetOthers tells of.
	Max, MaxPerSource, MaxPerPrefix int
	// Shadow ends none because of these limits; Ticket.Over reports them.
	Shadow bool
}

// A Queue is the handshake scheduler: it gives handshakes the CPU in turns, so
// that no source gets more of it than another that wants it too. Its methods
// and those of its Tickets may be called concurrently.
//
// Sources are the nested networks of tiers4 and tiers6: wide ones take turns,
// and within each the narrower ones. The turn goes to the one that has used
// the least CPU. At most as many handshakes of one source run at once as there
// are processors: others are delayed not by how much CPU a source wants but by
// how many runnable goroutines it causes. The machine's load raises and lowers
// the limits (see pace). A lone source has none.
type Queue struct {
	cfg   QueueConfig
	procs int
	clock func() int64                // ns, above 0
	after func(time.Duration, func()) // time.AfterFunc
	root  *node

	ready  atomic.Int64           // running ones that do not wait for the network
	hungry atomic.Bool            // some wait for a turn
	others atomic.Pointer[others] // nil without: see elsewherequeue.go

	mu      sync.Mutex
	nodes   map[prefix]*node
	leaves  int
	idle    struct{ head, tail *node }
	idles   int
	running ticketList // those counted as running
	age     ticketList // all unfinished, in order of arrival
	cost    int64      // average of a handshake
	pace    pace
	ticking bool
	due     int64 // the next tick
	timer   *time.Timer
	shed    uint64
	told    []*node // which the others have been told of
}

// later runs f after d. One timer is enough, since only one tick is pending.
func (q *Queue) later(d time.Duration, f func()) {
	if q.timer == nil {
		q.timer = time.AfterFunc(d, f)
		return
	}
	q.timer.Reset(d)
}

// NewQueue returns an empty Queue.
func NewQueue(cfg QueueConfig) *Queue {
	base := time.Now()
	q := &Queue{
		cfg: cfg, procs: cfg.Procs, nodes: make(map[prefix]*node), cost: firstCost,
		root:  new(node),
		clock: func() int64 { return int64(time.Since(base)) + 1 },
	}
	q.after = q.later
	if q.procs <= 0 {
		q.procs = runtime.GOMAXPROCS(0)
	}
	return q
}

// Add counts a new handshake of the client with the address. Ticket.Done must
// follow in any case.
//
// A handshake that still waits for its turn after the timeout ends with
// ErrTimeout; 0 is no limit. Others end by their own deadlines.
func (q *Queue) Add(a netip.Addr, h Handshake, timeout time.Duration) *Ticket {
	t := &Ticket{q: q, h: h}
	now := q.clock()
	t.deadline = 1<<63 - 1
	if timeout > 0 {
		t.deadline = now + int64(timeout)
	}
	var do effects
	q.mu.Lock()
	q.reap(now)
	leaf := q.leaf(a)
	q.busy(leaf)
	t.leaf = leaf
	leaf.tickets++
	leaf.all.push(t, inLeaf)
	q.age.push(t, inAge)
	for n := leaf; n != nil; n = n.parent {
		n.unfinished++
		if n.parent != nil {
			n.parent.greed.put(n, byGreed)
		}
	}
	q.keepMax(t, &do)
	q.mu.Unlock()
	do.run()
	return t
}

// keepMax ends one handshake if t makes too many.
func (q *Queue) keepMax(t *Ticket, do *effects) {
	over, limit := q.tooMany(t)
	if over == nil {
		return
	}
	if q.cfg.Shadow {
		t.over = limit
		return
	}
	if v := q.victim(over, t); v != nil {
		q.end(v, &shedError{limit}, do)
	}
}

// victim returns the oldest handshake of the greediest source within n, other
// than not.
func (q *Queue) victim(n *node, not *Ticket) *Ticket {
	leaf := n.greediest()
	v := leaf.all.head
	if v == nil || v != not {
		return v
	}
	if v = v.link[inLeaf].next; v != nil {
		return v
	}
	for ; leaf != n; leaf = leaf.parent { // no source has more than one
		if s := leaf.parent.greed.s; len(s) > 1 {
			return s[1].greediest().all.head
		}
	}
	return nil
}

func (n *node) greediest() *node {
	for len(n.greed.s) > 0 {
		n = n.greed.s[0]
	}
	return n
}

// Shed ends the oldest handshake of the greediest source, to free memory for
// instance. It returns false if there is none other than not.
func (q *Queue) Shed(not *Ticket) bool {
	var do effects
	q.mu.Lock()
	v := q.victim(q.root, not)
	if v != nil {
		q.end(v, ErrShed, &do)
	}
	q.mu.Unlock()
	do.run()
	return v != nil
}

// end cuts t and stops counting it.
func (q *Queue) end(t *Ticket, why error, do *effects) {
	t.why = why
	q.uncount(t)
	if why != ErrTimeout {
		q.shed++
	}
	if !q.release(t, do) {
		do.add(t, effectCut)
	}
	q.dispatch(do)
}

// release lets t go on without a turn if it waits for one, so that it can end.
// It reports whether Start will be called, in which case nothing else is
// needed.
func (q *Queue) release(t *Ticket, do *effects) bool {
	switch t.state {
	case waiting:
		q.unqueue(t)
		t.state = paused
		do.add(t, effectStart)
		return true
	case parked:
		q.unqueue(t)
		t.state = released
		do.add(t, effectWake)
	}
	return false
}

// uncount removes t from the unfinished ones.
func (q *Queue) uncount(t *Ticket) {
	if !t.link[inLeaf].on {
		return
	}
	t.leaf.all.remove(t, inLeaf)
	q.age.remove(t, inAge)
	for n := t.leaf; n != nil; n = n.parent {
		n.unfinished--
		switch {
		case n.parent == nil:
		case n.unfinished == 0:
			n.parent.greed.remove(n, byGreed)
		default:
			n.parent.greed.settle(n, byGreed)
		}
	}
}

// enqueue makes t wait for a turn.
func (q *Queue) enqueue(t *Ticket, front bool) {
	for n := t.leaf; n != q.root; n = n.parent {
		if n.waiting == 0 && n.running == 0 {
			n.used = max(n.used, n.parent.floor-credit)
		}
	}
	if front {
		t.leaf.queue.pushFront(t, inTurn)
	} else {
		t.leaf.queue.push(t, inTurn)
	}
	for n := t.leaf; n != nil; n = n.parent {
		n.waiting++
	}
	q.fix(t.leaf)
}

func (q *Queue) unqueue(t *Ticket) {
	t.leaf.queue.remove(t, inTurn)
	for n := t.leaf; n != nil; n = n.parent {
		n.waiting--
	}
	q.fix(t.leaf)
}

// count counts t as running.
func (q *Queue) count(t *Ticket) {
	t.state = running
	q.ready.Add(1)
	q.running.push(t, inTurn)
	t.charged += q.cost
	for n := t.leaf; n != nil; n = n.parent {
		n.running++
		if n.parent != nil {
			n.parent.floor = max(n.parent.floor, n.used)
		}
		n.used += q.cost
	}
	q.fix(t.leaf)
}

// stop stops counting t as running, and charges its source with the CPU really
// used so far.
func (q *Queue) stop(t *Ticket, s state) {
	t.state = s
	if t.wait.Load() == 0 {
		q.ready.Add(-1)
	}
	q.running.remove(t, inTurn)
	diff := t.took.Load() - t.charged
	t.charged += diff
	for n := t.leaf; n != nil; n = n.parent {
		n.running--
		n.used += diff
	}
	q.fix(t.leaf)
}

// fix adds the nodes from n up to those that want a turn, or removes them.
func (q *Queue) fix(n *node) {
	for ; n != q.root; n = n.parent {
		if q.wants(n) {
			n.parent.turns.put(n, byTurn)
		} else {
			n.parent.turns.remove(n, byTurn)
		}
	}
}

// wants reports whether n waits for a turn and may have one.
func (q *Queue) wants(n *node) bool {
	return n.waiting > 0 && n.running < q.limit(n) && (n.queue.head != nil || n.turns.top() != nil)
}

// limit returns how many handshakes of n may run at once.
func (q *Queue) limit(n *node) int {
	if q.leaves == 1 {
		return aloneFactor * q.procs
	}
	for ; n != q.root; n = n.parent {
		if n.isSource() || n.parent.kids > 1 {
			return q.pace.times(q.procs)
		}
	}
	return q.pace.times(rootFactor * q.procs)
}

// room reports whether one more may be admitted.
func (q *Queue) room() bool {
	most := readyFactor * q.procs
	if q.leaves > 1 && q.pace.narrow > 0 {
		most = max(q.procs/2, 1)
	}
	return q.root.running < q.limit(q.root) && q.ready.Load() < int64(most)
}

// dispatch gives turns while there are any.
func (q *Queue) dispatch(do *effects) {
	for q.root.waiting > 0 && q.room() {
		n := q.root
		for n.queue.head == nil {
			k := n.turns.top()
			if k == nil {
				break
			}
			if !q.wants(k) { // its limit shrank when another source arrived
				n.turns.remove(k, byTurn)
				continue
			}
			n = k
		}
		t := n.queue.head
		if t == nil {
			if n == q.root {
				break
			}
			q.fix(n)
			continue
		}
		effect := effectStart
		if t.state == parked {
			effect = effectWake
		}
		q.unqueue(t)
		q.count(t)
		do.add(t, effect)
	}
	q.hungry.Store(q.root.waiting > 0)
	if q.root.waiting > 0 && !q.ticking {
		q.ticking = true
		q.due = q.clock() + int64(tickEvery)
		q.after(tickEvery, q.tick)
	}
}

// tick handles what depends on time alone.
func (q *Queue) tick() {
	now := q.clock()
	var do effects
	q.mu.Lock()
	q.ticking = false
	for t := q.running.head; t != nil; {
		next := t.link[inTurn].next
		if w := t.wait.Load(); w > 0 && now-w >= int64(countedWait) && t.wait.CompareAndSwap(w, isReleased) {
			q.stop(t, released)
		}
		t = next
	}
	for t := q.age.head; t != nil && t.deadline <= now; t = q.age.head {
		if t.state == waiting {
			q.end(t, ErrTimeout, &do)
			continue
		}
		q.release(t, &do)
		q.age.remove(t, inAge) // its own deadline ends it
	}
	q.reap(now)
	if q.pace.tick(int(q.ready.Load()), q.procs, now-q.due, q.leaves == 1) {
		q.refit(q.root)
	}
	q.dispatch(&do)
	q.mu.Unlock()
	do.run()
}
