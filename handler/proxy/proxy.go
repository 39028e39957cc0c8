package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"netserver"
)

const (
	defaultAnswerTimeout  = 2 * time.Second
	defaultSessionTimeout = 30 * time.Second
)

// A Handler forwards clients to a backend. Its fields must not change while it
// serves; it may serve any number of clients at once.
type Handler struct {
	// Target is short for a Backend of one target: host:port, [address]:port,
	// or the path of a UNIX stream socket, as /path, unix:/path or unix:path
	// (unix:@name is an abstract one of Linux). A host name is looked up for
	// each client, and its addresses are tried in turn. Either Target or Backend
	// is required.
	Target string
	// ConnectTimeout bounds connecting to Target, including the look-up and all
	// addresses. Default 5 s; negative leaves it to the system, which may take
	// minutes. A Backend has its own.
	ConnectTimeout time.Duration
	// Bind, Header, StartTLS, MySQL and TLS are what is done on connections to
	// Target, as the fields of a Backend that have these names.
	Bind     func(from netip.Addr, rc syscall.RawConn) error
	Header   func(b []byte, c *netserver.Conn) ([]byte, error)
	StartTLS func(ctx context.Context, nc net.Conn, t Target) (greeting []byte, err error)
	MySQL    bool
	TLS      func(ctx context.Context, nc net.Conn, t Target, c *netserver.Conn) (net.Conn, error)
	// Backend is used in place of Target; Handlers may share it.
	Backend *Backend

	// SessionTimeout ends the session of a datagram port's client when no
	// datagram has been passed on for so long. Default 30 s; there is always
	// one, because each session holds a socket.
	SessionTimeout time.Duration
	// MaxSessions is how many sessions each datagram port may have at once; see
	// proto.Sessions. Default 1024, but no more than a quarter of the
	// descriptors allowed. Negative makes each datagram one of its own, with
	// one answer if Answers does not tell otherwise.
	MaxSessions int
	// Answers is how many datagrams the target sends back for each of the
	// client's: when all have come, the session is over. Default any number, at
	// any time. Negative means that none is expected: each datagram is sent,
	// and that is all.
	Answers int
	// AnswerTimeout is how long answers are waited for where their number is
	// known, and while the server drains. Default 2 s; there is always one.
	AnswerTimeout time.Duration

	once   sync.Once
	opened *Backend // Backend, or one for Target
	err    error    // what is wrong with it
}

// backend returns the Backend to use, once it is known to be right.
func (h *Handler) backend() (*Backend, error) {
	h.once.Do(func() {
		switch h.opened = h.Backend; {
		case h.opened == nil:
			h.opened = &Backend{Targets: []Target{{Address: h.Target}}, ConnectTimeout: h.ConnectTimeout,
				Bind: h.Bind, Header: h.Header, StartTLS: h.StartTLS, MySQL: h.MySQL, TLS: h.TLS}
			h.opened.own, h.opened.label = true, "proxy_to "
		case h.Target != "" || h.ConnectTimeout != 0 || h.Bind != nil || h.Header != nil || h.StartTLS != nil || h.MySQL || h.TLS != nil:
			h.err = errors.New("proxy.Handler has a Backend, and a Target or what belongs to that beside it: set one or the other")
			return
		}
		h.err = h.opened.init()
	})
	return h.opened, h.err
}

// Pool returns the Backend that h uses, which is one of its own for a Target. An
// error says what is wrong with it.
func (h *Handler) Pool() (*Backend, error) { return h.backend() }

// Run runs the Backend until ctx ends; see Backend.Run. The server of h calls
// it. For a Target without SRV records there is nothing to do.
func (h *Handler) Run(ctx context.Context) {
	if b, err := h.backend(); err == nil && !(b.own && b.lone.Load() != nil) {
		b.Run(ctx)
	}
}

func (h *Handler) answerTimeout() time.Duration {
	if h.AnswerTimeout <= 0 {
		return defaultAnswerTimeout
	}
	return h.AnswerTimeout
}

func (h *Handler) sessionTimeout() time.Duration {
	if h.SessionTimeout <= 0 {
		return defaultSessionTimeout
	}
	return h.SessionTimeout
}

// Sessions returns MaxSessions: see proto.Sessions.
func (h *Handler) Sessions() int { return h.MaxSessions }

// Descriptors returns what a client takes beside its own connection: that to its
// target. Clients for whom there would be none wait in the backlog.
func (h *Handler) Descriptors() int { return 1 }

// Serve connects to the backend and copies in both directions until both have
// ended, one side breaks off, or ctx is done. Errors caused by the backend
// begin with "proxy_to TARGET: ", or with "backend NAME: TARGET: ".
func (h *Handler) Serve(ctx context.Context, c *netserver.Conn) error {
	b, err := h.backend()
	if err != nil {
		return err
	}
	if c.Datagram() {
		return h.datagrams(ctx, c, b)
	}
	deepen(0)
	nc, ep, err := b.meet(ctx, c)
	if err != nil {
		return err
	}
	return join(ctx, c, nc, b, ep)
}

// meet connects c to a target, up to where bytes may pass between them, unless
// c leaves meanwhile.
func (b *Backend) meet(ctx context.Context, c *netserver.Conn) (net.Conn, *endpoint, error) {
	watch := b.watchClient(ctx, c)
	defer watch.stop()
	nc, ep, err := b.reach(watch, c)
	if err != nil {
		return nil, ep, err
	}
	nc, err = b.introduce(watch, c, nc, ep)
	return nc, ep, err
}
