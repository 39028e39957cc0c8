package proxy

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"netserver/internal/metric"
	"netserver/proto"
)

// An endpoint is one address that clients are connected to. A target that is a
// name has as many as it has addresses.
type endpoint struct {
	name   string // host:port, with the host that certificates are for
	id     string // tells it from the Backend's others
	label  string // how errors name it
	where  address
	second string         // another address of the same host, of the other family
	direct bool           // nothing of where has to be looked up, and the system can be asked at once
	to     netip.AddrPort // where, then, if it is TCP
	fixed  string         // the remote address of its connections, if that is known before
	hash   uint64         // of id

	active atomic.Int64  // clients that it has or that are being connected
	total  atomic.Uint64 // clients connected
	misses atomic.Uint64 // connections to it that failed
	checks atomic.Uint64 // that were done
	faults atomic.Uint64 // of them: it failed
	took   atomic.Int64  // connect time of late, in ns
	times  *connectTimes // of its target

	// The rest is guarded by the Backend's mutex.
	from   *source // the target it belongs to
	listed bool    // it is in the Backend's order
	weight int64   // with that of its SRV record
	tier   int64   // those of a lower one go first
	max    int
	backup bool
	ahead  int64     // smooth round robin: how far behind its share it is
	since  time.Time // it is up, or not
	ready  time.Time // it began to take clients; its slow start runs from there
	reason string    // why it is not up
	drain  bool
	health health

	shared   uint64 // by which other servers know it; 0: they do not have it
	outvoted bool   // other servers' checks keep it out of use; see weigh
}

// A health is what is known of an endpoint.
type health struct {
	checked   bool // a check has ended
	down      bool // checks say so
	streak    int  // checks in a row that say otherwise
	failing   bool // clients found out
	resets    int  // connections in a row that it reset before its first byte
	failures  int  // times in a row that it was tried in vain since it fails
	datagrams bool // it fails since a datagram found nobody there
	lastTried time.Time
	next      time.Time // of the next check; zero is none
	checking  bool
	err       string // of the last check
}

// isUp reports whether ep takes new clients.
func (ep *endpoint) isUp() bool { return ep.isUpHere() && !ep.outvoted }

// isUpHere reports whether ep would take new clients by what is found here.
func (ep *endpoint) isUpHere() bool { return !ep.drain && !ep.health.down && !ep.health.failing }

func (ep *endpoint) hasRoom() bool { return ep.max == 0 || ep.active.Load() < int64(ep.max) }

// shareUnit is the share of weight 1; a slow start has that many steps.
const shareUnit = 256

// share is the weight of ep now, in units of 1/shareUnit.
func (ep *endpoint) share(now time.Time, slowStart time.Duration) int64 {
	full := ep.weight * shareUnit
	if slowStart <= 0 || ep.ready.IsZero() {
		return full
	}
	passed := now.Sub(ep.ready)
	if passed >= slowStart {
		ep.ready = time.Time{}
		return full
	}
	return max(1, int64(float64(full)*float64(passed)/float64(slowStart)))
}

// connected notes that a connection took d. It is called for each client.
func (ep *endpoint) connected(d time.Duration) {
	ep.total.Add(1)
	ep.times.observe(d)
	old := ep.took.Load()
	if old == 0 {
		ep.took.Store(int64(d))
		return
	}
	ep.took.Store(old + (int64(d)-old)/8) // a lost update of a mean is no loss
}

// connectTimes are how long connections to a target took. The histogram is made
// with the first of them: it has 3 KiB, and a Backend thousands of targets.
type connectTimes struct {
	atomic.Pointer[metric.Histogram]
}

func (t *connectTimes) observe(d time.Duration) {
	h := t.Load()
	if h == nil {
		t.CompareAndSwap(nil, new(metric.Histogram))
		h = t.Load()
	}
	h.Observe(d)
}

// A failure is what went wrong in connecting to an endpoint.
type failure struct {
	ep   *endpoint
	step string // "" is the connection itself
	err  error
}

// Error names the target, the step and what failed.
func (f *failure) Error() string { return f.ep.label + ": " + f.what() }

func (f *failure) what() string {
	if f.step == "" {
		return f.err.Error()
	}
	return f.step + ": " + f.err.Error()
}

// Unwrap returns what failed.
func (f *failure) Unwrap() error { return f.err }

// Is makes f a proto.ErrNoTarget, unless this process or system lacks something:
// no other target would help, and this one is not to blame.
func (f *failure) Is(target error) bool {
	return target == proto.ErrNoTarget && lacking(f.err) == 0
}

// A noTarget is the error of a client that no target took.
type noTarget struct{ error }

// Unwrap returns what kept it from one.
func (n noTarget) Unwrap() error { return n.error }

// Is makes n a proto.ErrNoTarget.
func (noTarget) Is(target error) bool { return target == proto.ErrNoTarget }

// A brokenOff is the error of a client whose target broke off.
type brokenOff string

func (b brokenOff) Error() string { return string(b) }

// Is makes b a proto.ErrTargetFailed.
func (brokenOff) Is(target error) bool { return target == proto.ErrTargetFailed }

// A targetFailed is the error of a session whose target does not answer.
type targetFailed struct{ error }

// Unwrap returns what happened.
func (t targetFailed) Unwrap() error { return t.error }

// Is makes t a proto.ErrTargetFailed.
func (targetFailed) Is(target error) bool { return target == proto.ErrTargetFailed }

// failedIn says that err came in step.
func (ep *endpoint) failedIn(step string, err error) *failure {
	return &failure{ep: ep, step: step, err: err}
}

// failed adds to err which target it is about.
func (ep *endpoint) failed(err error) error { return fmt.Errorf("%s: %w", ep.label, err) }
