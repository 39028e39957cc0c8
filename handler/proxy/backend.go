package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"netserver"
)

// Defaults of a Backend.
const (
	defaultConnectTimeout = 5 * time.Second
	defaultQueue          = 1000
	defaultQueueTime      = 5 * time.Second
	defaultResolve        = 30 * time.Second
)

// maxEndpoints bounds the addresses of one Backend.
const maxEndpoints = 4096

// A Backend is where a Handler connects its clients to: one target, or several
// that share the clients. Any number of Handlers may share a Backend. Its fields
// must not change once it is in use, and it must not be copied then.
//
// Run looks up names again, follows TargetsFile and checks targets. Without it
// names are looked up when clients come, and a target that has failed is tried
// again only when no other is up.
type Backend struct {
	// Name stands in errors, records and lists.
	Name string
	// Targets are where clients may be connected to. At least one is required,
	// but with a TargetsFile.
	Targets []Target
	// TargetsFile holds more targets, one a line as ParseTarget reads them; empty
	// lines and those that begin with # do not count. Run follows its changes. A
	// version with a mistake in it, or that may be half written, is rejected, and
	// the current targets stay.
	TargetsFile string
	// Balance says how clients are shared.
	Balance Balance
	// ConnectTimeout bounds connecting to one target: all its addresses, and the
	// steps after that, up to the end of its TLS handshake. Default 5 s;
	// negative leaves it to the system, which may take minutes. A client whose
	// target fails is connected to another, up to 8 of them; none is begun after
	// twice this time.
	ConnectTimeout time.Duration
	// Queue is how many clients may wait for a place when each target has as
	// many as it may, and QueueTime is how long. Default 1000 clients and 5 s;
	// a negative Queue lets none wait, a negative QueueTime waits for as long as
	// the client does.
	Queue     int
	QueueTime time.Duration
	// Resolve is how often names are looked up again. Default 30 s; negative
	// looks them up once. Go's resolver does not tell how long an answer is
	// valid (its TTL), which is therefore not followed. When a look-up fails, the
	// addresses of the last good one stay.
	Resolve time.Duration
	// Resolver looks up names; net.DefaultResolver if nil.
	Resolver Resolver
	// Check is how targets are checked while Run runs. The zero Check checks
	// only those to which a client could not be connected, by connecting to
	// them, until that succeeds.
	Check Check
	// SlowStart is how long a target that was down takes to get its full share
	// of clients. Zero is at once.
	SlowStart time.Duration
	// Log is told of targets that go down and come back, and of look-ups and
	// versions of TargetsFile that fail. Nil logs nothing.
	Log *slog.Logger

	// Bind, if set, makes a TCP socket connect to its target from the client's
	// address instead of one of this machine, as BindTransparent does: it is
	// called with the socket before that is connected. The target's answers have
	// to be routed through this machine. A client of another address family than
	// the target's, or without an address, is not connected; health checks come
	// from this machine. It may run for many clients at once. Datagrams and UNIX
	// sockets as targets are refused beside it.
	Bind func(from netip.Addr, rc syscall.RawConn) error
	// Header, if set, appends to b what a target gets before anything else, a
	// PROXY header that tells of c, and returns the result, as Header.Append does.
	// c is nil when no client is behind the connection, as with a health check. It
	// may run for many clients at once. With an error the client is not connected
	// to any target.
	Header func(b []byte, c *netserver.Conn) ([]byte, error)
	// StartTLS, if set, plays the dialog by which the protocol of the target
	// changes to TLS: see starttls.Protocol.Start. nc has a deadline. It must read
	// no byte too many. What it returns is what the target has greeted with, and
	// what clients read first; t is the target.
	StartTLS func(ctx context.Context, nc net.Conn, t Target) (greeting []byte, err error)
	// MySQL says that the target speaks MySQL or MariaDB, where TLS begins
	// within a handshake in which the client takes part. It wants TLS, and no
	// StartTLS. What fails there is not tried with another target. Checks do
	// without TLS.
	MySQL bool
	// TLS, if set, makes a TLS client connection of nc, handshake included; see
	// OverTLS. t is the target, with the host that its certificate must be for in
	// Address. c is the client, nil for a health check. nc has a deadline. An
	// error closes nothing.
	TLS func(ctx context.Context, nc net.Conn, t Target, c *netserver.Conn) (net.Conn, error)

	state
}

// A state is what a Backend does at the time.
type state struct {
	once    sync.Once
	err     error  // what is wrong with the fields
	label   string // how errors begin
	own     bool   // it is a Handler's own, for its Target
	lone    atomic.Pointer[endpoint]
	running chan struct{} // holds a value while Run runs
	wake    chan struct{} // tells Run of something to do
	looking chan struct{} // holds a value while a client has names looked up

	joints joints // of clients that are connected

	file fileState // for init and Run only

	mu      sync.Mutex
	looks   time.Time // when Run looks for what is due, unless it is told to before
	sources []*source
	order   []*endpoint // of all sources, by tier
	turn    uint        // Least: which one is looked at first
	queue   []*waiter
	added   []Target
	removed map[string]bool // addresses that Remove took away
	drained map[string]bool // addresses that Drain named
	others  opinions
}

// init parses the fields, once.
func (b *Backend) init() error {
	b.once.Do(func() {
		if b.label == "" {
			b.label = "backend: "
			if b.Name != "" {
				b.label = "backend " + printable(b.Name) + ": "
			}
		}
		b.running, b.wake, b.looking = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)
		b.removed, b.drained = make(map[string]bool), make(map[string]bool)
		b.err = b.parse()
	})
	return b.err
}

func (b *Backend) parse() error {
	if len(b.Targets) == 0 && b.TargetsFile == "" {
		return b.failed("", errors.New("no target: "+forms))
	}
	if err := b.Check.check(); err != nil {
		return b.failed("", err)
	}
	if b.MySQL && (b.TLS == nil || b.StartTLS != nil) {
		return b.failed("", errors.New("MySQL wants TLS, and no StartTLS beside it"))
	}
	if int(b.Balance) >= len(balances) {
		return b.failed("", fmt.Errorf("Balance %d is not known", b.Balance))
	}
	targets := b.Targets
	if b.TargetsFile != "" {
		var more []Target
		var err error
		if b.file.path, err = filepath.Abs(b.TargetsFile); err == nil {
			more, err = b.file.read(b.file.path)
		}
		if err != nil {
			return b.failed("", err)
		}
		targets = append(targets[:len(targets):len(targets)], more...)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.Check.Kind != CheckOff {
		b.others.machine = thisMachine()
	}
	if at, err := b.setTargets(targets); err != nil {
		return b.failed(at, err)
	}
	return nil
}

// failed adds the backend's name to err, and what of it it is about.
func (b *Backend) failed(what string, err error) error {
	if what == "" {
		return fmt.Errorf("%s%w", b.label, err)
	}
	return fmt.Errorf("%s%s: %w", b.label, what, err)
}

// title is the backend's name in a sentence.
func (b *Backend) title() string {
	switch {
	case b.own:
		return strings.TrimSpace(b.label) + " " + b.Targets[0].Address
	case b.Name == "":
		return "the backend"
	}
	return "backend " + printable(b.Name)
}

func (b *Backend) connectTimeout() time.Duration {
	return orDefault(b.ConnectTimeout, defaultConnectTimeout)
}

// orDefault returns def for zero, and zero for a negative d.
func orDefault[T int | time.Duration](d, def T) T {
	if d == 0 {
		return def
	}
	return max(d, 0)
}

// now returns the time if anything depends on it.
func (b *Backend) now() time.Time {
	if b.SlowStart <= 0 {
		return time.Time{}
	}
	return time.Now()
}

// signal has Run look again at what there is to do.
func (b *Backend) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// log tells of a change.
func (b *Backend) log(level slog.Level, msg string, attrs ...slog.Attr) {
	if b.Log == nil {
		return
	}
	if b.Name != "" {
		attrs = append([]slog.Attr{slog.String("backend", b.Name)}, attrs...)
	}
	b.Log.LogAttrs(context.Background(), level, msg, attrs...)
}
