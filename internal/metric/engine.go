package metric

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Port is what a port counts beside outcomes. The zero value is ready; all of
// it may be added to at any time.
type Port struct {
	Hello   Histogram // from the accept to the end of the client's hello
	Turn    Histogram // waits for turns of the handshake scheduler
	Shake   Histogram // from the first turn to the end of a handshake that succeeded
	Handler Histogram // in the Handler

	// Of handshakes, in nanoseconds, as the scheduler measures it: of all, and
	// of those whose clients came to nothing.
	Spent, Wasted atomic.Uint64

	Received, Sent, Dropped atomic.Uint64 // datagrams

	Quiet atomic.Uint64 // health checks that no log has
}

// Samples appends what the port has counted; place is its place in the list of
// ports, from 1.
func (p *Port) Samples(list []Sample, place int) []Sample {
	add := func(family string, n uint64, unit float64, labels ...string) {
		if n > 0 {
			list = append(list, Sample{Family: family, Port: place, Labels: labels, Value: float64(n) / unit})
		}
	}
	histogram := func(family string, h *Histogram, labels ...string) {
		if s := h.Sparse(); s.Count() > 0 {
			list = append(list, Sample{Family: family, Port: place, Labels: labels, Hist: &s})
		}
	}
	histogram(HandshakePhase, &p.Hello, PhaseHello)
	histogram(HandshakePhase, &p.Turn, PhaseTurn)
	histogram(HandshakePhase, &p.Shake, PhaseShake)
	histogram(HandlerTime, &p.Handler)
	add(HandshakeCPU, p.Spent.Load(), 1e9)
	add(HandshakeWasted, p.Wasted.Load(), 1e9)
	add(Datagrams, p.Received.Load(), 1, DirectionIn)
	add(Datagrams, p.Sent.Load(), 1, DirectionOut)
	add(Quiet, p.Quiet.Load(), 1)
	add(DatagramsDropped, p.Dropped.Load(), 1, DropQueue)
	return list
}

// A Mix is what finished handshakes agreed on, each combination with how long
// they took. The zero value is empty.
type Mix struct {
	mu sync.Mutex                          // held by who adds a combination
	by atomic.Pointer[map[agreed]*counted] // is replaced, never changed
}

// An agreed is a combination.
type agreed struct {
	version, group, suite uint16
	resumed               bool
}

type counted struct {
	facts agreed
	Histogram
}

// maxMix bounds the combinations: clients choose among what the server allows,
// and more than this many no configuration has.
const maxMix = 128

// Observe counts a handshake that took d, by the numbers that TLS has for what
// was agreed on. It allocates only for a combination that is new.
func (m *Mix) Observe(version, group, suite uint16, resumed bool, d time.Duration) {
	a := agreed{version, group, suite, resumed}
	if by := m.by.Load(); by != nil {
		if c := (*by)[a]; c != nil {
			c.Observe(d)
			return
		}
	}
	if c := m.add(a); c != nil {
		c.Observe(d)
	}
}

// add adds a combination, or returns nil if there is no room.
func (m *Mix) add(a agreed) *counted {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := make(map[agreed]*counted)
	if by := m.by.Load(); by != nil {
		if c := (*by)[a]; c != nil || len(*by) >= maxMix {
			return c
		}
		next = maps.Clone(*by)
	}
	c := &counted{facts: a}
	next[a] = c
	m.by.Store(&next)
	return c
}

// Samples appends what was counted. Combinations of which this package does not
// know the names come together.
func (m *Mix) Samples(list []Sample) []Sample {
	by := m.by.Load()
	if by == nil {
		return list
	}
	var set Set
	for _, c := range *by {
		s := c.Sparse()
		set.AddHistogram(Handshake, &s, versionName(c.facts.version), groupName(c.facts.group), suiteName(c.facts.suite), yesNo(c.facts.resumed))
	}
	for _, one := range set.Series(Handshake) {
		list = append(list, *one)
	}
	return list
}

func yesNo(b bool) string {
	if b {
		return Yes
	}
	return No
}

// Key returns what tells one series of a process from another.
func (s *Sample) Key() string { return keyOf(s.Family+between+string(rune(s.Port)), s.Labels) }

// Latest keeps of each series of one process what it has told last: counters
// only rise, whatever it tells. The zero value is empty. It is for one
// goroutine.
type Latest struct{ series map[string]*Sample }

// Take takes samples that Check has found good, and keeps nothing of those that
// it has already. It reports whether there are no more series than most.
func (l *Latest) Take(list []Sample, most int) bool {
	if l.series == nil {
		l.series = make(map[string]*Sample)
	}
	for i := range list {
		one := &list[i]
		have := l.series[one.Key()]
		switch f := family(one.Family); {
		case have == nil && len(l.series) >= most:
			return false
		case have == nil:
			kept := *one // of a list that may have many more
			l.series[one.Key()] = &kept
		case one.Hist != nil:
			have.Hist.Raise(one.Hist)
		case f != nil && f.Type == Counter:
			have.Value = max(have.Value, one.Value)
		default:
			have.Value = one.Value
		}
	}
	return true
}

// All returns all series.
func (l *Latest) All() []Sample { return l.list(func(*Family) bool { return true }) }

// Ended returns those that stay when the process has ended: gauges do not.
func (l *Latest) Ended() []Sample { return l.list(func(f *Family) bool { return f.Type != Gauge }) }

func (l *Latest) list(want func(*Family) bool) (list []Sample) {
	for _, k := range slices.Sorted(maps.Keys(l.series)) {
		one := l.series[k]
		if f := family(one.Family); f != nil && want(f) {
			list = append(list, *one)
		}
	}
	return list
}
