package access

import (
	"container/list"
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// A Resolver finds names and addresses; *net.Resolver is one. Its methods run
// concurrently and should end when ctx does: a call that goes on keeps
// occupying one of LookupConfig.MaxRunning places.
type Resolver interface {
	// LookupAddr returns the names of an address, with or without a final
	// dot.
	LookupAddr(ctx context.Context, addr string) ([]string, error)
	// LookupNetIP returns the addresses of host, which ends with a dot unless
	// it is a single label. network is "ip".
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// LookupConfig bounds look-ups. A zero field means its stated default.
type LookupConfig struct {
	// Timeout bounds how long a client waits for its name; after that it has
	// none. Default 5 s; it cannot be disabled.
	Timeout time.Duration
	// TTL is how long a result is cached. Default 5 min; negative disables it.
	TTL time.Duration
	// FailTTL is how long a failed look-up is cached. Default 30 s; negative
	// disables it.
	FailTTL time.Duration
	// CacheSize is the number of cached results; the least recently used are
	// evicted. Default 10,000; negative means no cache.
	CacheSize int
	// MaxRunning bounds concurrent look-ups, each with up to two descriptors.
	// Default 128; it cannot be unlimited. One network (an IPv4 /24, an IPv6
	// /48) gets at most an eighth of them, free places go first to the
	// networks with the fewest, and networks with slow name servers get at
	// most half of all.
	MaxRunning int
}

// Why a client has no name.
var (
	// ErrNoName says that the address has no name, or no valid one.
	ErrNoName = errors.New("the address has no name")
	// ErrLookupTimeout says that no answer came in time.
	ErrLookupTimeout = errors.New("no answer in time")
)

// Names is what is known about a client's name. The zero Names is a client
// without one.
type Names struct {
	// Host is the name, without a final dot, "" if there is none.
	Host string
	// Addrs are the addresses of Host, if requested: at most 64, including the
	// client's own if it was among them. They are shared and must not be
	// changed.
	Addrs []netip.Addr
	// Err is why Host or Addrs are empty. It does not affect the decision.
	Err error
}

// maxAddrs bounds what a name's owner can make the server keep and log.
const maxAddrs = 64

// Lookups finds clients' names. It looks each address up once at a time,
// caches results, and never runs more look-ups than Config allows, whether for
// one network or many. A client whose name cannot be found, for whatever
// reason, has none. The zero Lookups is ready to use and safe for concurrent
// use; it must not be copied.
type Lookups struct {
	// Resolver answers; net.DefaultResolver if nil.
	Resolver Resolver
	Config   LookupConfig

	mu      sync.Mutex
	flights map[question]*flight
	turns   turns
	cache   cache
}

// A question identifies a look-up and its cached result.
type question struct {
	ip     netip.Addr
	double bool
}

// A flight is a look-up in progress, shared by all who ask the same question.
type flight struct {
	question
	source netip.Prefix
	done   chan struct{} // closed when names is set
	names  Names

	// Guarded by Lookups.mu:
	waiting  int                // clients
	queued   *list.Element      // its element in turns, nil while it runs
	cancel   context.CancelFunc // nil until it runs
	overtime *time.Timer        // calls Lookups.late
	cut      bool               // ended because too many were late
}

// Find looks up the name of ip, and with double also the addresses of that
// name. It returns after LookupConfig.Timeout at the latest, or when ctx ends.
func (l *Lookups) Find(ctx context.Context, ip netip.Addr, double bool) Names {
	q := question{plain(ip), double}
	if !q.ip.IsValid() {
		return Names{Err: ErrNoName}
	}
	if err := ctx.Err(); err != nil {
		return Names{Err: err}
	}
	limit := l.Config.timeout()
	l.mu.Lock()
	if n, ok := l.cache.get(q, time.Now()); ok {
		l.mu.Unlock()
		return n
	}
	f := l.flights[q]
	if f == nil {
		f = l.enqueue(q)
	}
	f.waiting++
	l.dispatch()
	l.mu.Unlock()

	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-f.done:
		return f.names
	case <-timer.C:
		return l.leave(f, Names{Err: ErrLookupTimeout})
	case <-ctx.Done():
		return l.leave(f, Names{Err: ctx.Err()})
	}
}

func (l *Lookups) enqueue(q question) *flight {
	f := &flight{question: q, source: sourceOf(q.ip), done: make(chan struct{})}
	if l.flights == nil {
		l.flights = make(map[question]*flight)
	}
	l.flights[q] = f
	l.turns.max = l.Config.maxRunning()
	l.turns.add(f, l.cache.speed(f.source, time.Now()))
	return f
}

// sourceOf returns the network that an address's look-ups count for. Its size
// is that of the reverse zones that name servers usually serve.
func sourceOf(ip netip.Addr) netip.Prefix {
	ones := 48
	if ip.Is4() {
		ones = 24
	}
	p, _ := ip.Prefix(ones) // cannot fail for these sizes
	return p
}

// dispatch starts the look-ups whose turn it is.
func (l *Lookups) dispatch() {
	for f := l.turns.next(); f != nil; f = l.turns.next() {
		ctx, cancel := context.WithTimeout(context.Background(), l.Config.timeout())
		f.cancel = cancel
		f.overtime = time.AfterFunc(l.Config.patience(), func() { l.late(f) })
		go l.fly(ctx, f)
	}
}

// fly runs one look-up.
func (l *Lookups) fly(ctx context.Context, f *flight) {
	names := l.resolve(ctx, f.question)
	f.cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if f.overtime.Stop() && (f.waiting > 0) {
		l.cache.putSpeed(f.source, quick, now, l.Config)
	}
	l.turns.done(f, l.cache.speed(f.source, now))
	if f.cut {
		names = Names{Err: ErrLookupTimeout}
	}
	if l.flights[f.question] == f { // otherwise everybody has left
		delete(l.flights, f.question)
		l.cache.put(f.question, names, now, l.Config)
	}
	f.names = names
	close(f.done)
	l.dispatch()
}

// late is called when a look-up takes long. Its network then yields its places
// to quick ones; if too many are late already, the look-up ends.
func (l *Lookups) late(f *flight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-f.done:
		return
	default:
	}
	l.cache.putSpeed(f.source, slow, time.Now(), l.Config)
	if l.turns.late(f) {
		f.cut = true
		f.cancel()
	}
	l.dispatch()
}

// leave removes a client that stopped waiting. When nobody waits any more, the
// look-up ends.
func (l *Lookups) leave(f *flight, n Names) Names {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-f.done:
		return f.names
	default:
	}
	if f.waiting--; f.waiting > 0 {
		return n
	}
	delete(l.flights, f.question)
	if f.cancel == nil {
		l.turns.drop(f)
		return n
	}
	f.cancel()
	if n.Err == ErrLookupTimeout && l.cache.speed(f.source, time.Now()) == slow {
		// A client that comes back at once must not wait again. A look-up that
		// never got its turn is not cached as failed.
		l.cache.put(f.question, n, time.Now(), l.Config)
	}
	return n
}

func (l *Lookups) resolve(ctx context.Context, q question) Names {
	r := l.Resolver
	if r == nil {
		r = net.DefaultResolver
	}
	found, err := r.LookupAddr(ctx, q.ip.String())
	host := firstName(found)
	if host == "" {
		if err == nil {
			err = ErrNoName
		}
		return Names{Err: err}
	}
	n := Names{Host: host}
	if q.double {
		var addrs []netip.Addr
		addrs, n.Err = r.LookupNetIP(ctx, "ip", absolute(host))
		n.Addrs = keepAddrs(addrs, q.ip)
	}
	return n
}

// firstName returns the first valid name, or "".
func firstName(found []string) string {
	for _, name := range found {
		if name = strings.TrimSuffix(name, "."); isHostname(name) {
			return name
		}
	}
	return ""
}

// absolute adds the final dot that keeps a resolver from trying the search
// list, where the name could mean another host. Go finds names without any
// dot, such as localhost, in the hosts file only unchanged.
func absolute(host string) string {
	if strings.Contains(host, ".") {
		return host + "."
	}
	return host
}

// keepAddrs copies at most maxAddrs of addrs, including own if it was among
// them.
func keepAddrs(addrs []netip.Addr, own netip.Addr) []netip.Addr {
	var keep []netip.Addr
	for _, a := range addrs {
		switch a = plain(a); {
		case len(keep) < maxAddrs:
			keep = append(keep, a)
		case a == own:
			keep[0] = a
			return keep
		}
	}
	return keep
}

var defaultLookups = DefaultLookups()

// DefaultLookups returns the defaults of a LookupConfig.
func DefaultLookups() LookupConfig {
	return LookupConfig{
		Timeout: 5 * time.Second, TTL: 5 * time.Minute, FailTTL: 30 * time.Second,
		CacheSize: 10_000, MaxRunning: 128,
	}
}

// Only the accessors below turn zero into the default.

func (c LookupConfig) timeout() time.Duration {
	if c.Timeout <= 0 {
		return defaultLookups.Timeout
	}
	return c.Timeout
}

// patience is how long a look-up may take before its network is considered
// slow.
func (c LookupConfig) patience() time.Duration {
	return min(500*time.Millisecond, c.timeout()/2)
}

func (c LookupConfig) ttl() time.Duration {
	if c.TTL == 0 {
		return defaultLookups.TTL
	}
	return c.TTL
}

func (c LookupConfig) failTTL() time.Duration {
	if c.FailTTL == 0 {
		return defaultLookups.FailTTL
	}
	return c.FailTTL
}

func (c LookupConfig) cacheSize() int {
	if c.CacheSize == 0 {
		return defaultLookups.CacheSize
	}
	return max(c.CacheSize, 0)
}

func (c LookupConfig) maxRunning() int {
	if c.MaxRunning <= 0 {
		return defaultLookups.MaxRunning
	}
	return c.MaxRunning
}
