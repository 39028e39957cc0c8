package httpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"netserver"
	"netserver/proto"
)

// A Handler serves HTTP/1.1 and HTTP/2 to the clients of stream ports. Its
// fields must not change while it serves; it may serve any number of clients at
// once.
//
// TLS clients agree on the protocol by ALPN, which needs no setting: the port
// offers h2 and http/1.1 unless SSL_alpn_protocols or TLSConfig.NextProtos says
// otherwise. On ports without TLS a client may begin with HTTP/2 ("prior
// knowledge"); Upgrade: h2c is not there, as net/http has it not.
//
// The time limits below are HTTP's own. Those of the port (netserver.Config)
// hold as well, and the nearest counts: Timeouts.Idle, for one, also cuts a
// client that waits for an answer while no byte passes.
//
// When the server drains, connections between two requests end at once, what is
// being answered is answered, with "Connection: close", and HTTP/2 clients get
// GOAWAY.
type Handler struct {
	// Handler answers the requests. A nil one answers 404 to all.
	//
	// Its requests are those of net/http: TLS is the client's state, RemoteAddr
	// its address by the PROXY header if there is one ("@" or "" on UNIX
	// sockets), and the context that of the client, which Hooks.Accepted may
	// have made; Conn finds the client in it. A ResponseWriter can be hijacked
	// on HTTP/1.1; the client then stays until the connection is closed.
	//
	// A panic ends the request's connection, or of HTTP/2 its stream, and is the
	// error of the client's record; http.ErrAbortHandler does so without an
	// error.
	Handler http.Handler
	// HeaderTimeout is how long the head of a request may take from its first
	// byte; for the first request, from when the client may send. Default 10 s;
	// it cannot be disabled.
	HeaderTimeout time.Duration
	// IdleTimeout is how long a connection may wait for its next request.
	// Default 60 s; negative means no limit.
	IdleTimeout time.Duration
	// MaxHeader is how many bytes the head of a request may have, request line
	// included; a longer one is answered with 431. Default 100000; less than
	// 4097 means 4097.
	MaxHeader int
	// MaxStreams is how many requests an HTTP/2 client may have open at once.
	// Default 100; negative means 1.
	MaxStreams int
	// Refused is called for each request of HTTP/1 that net/http answers by itself,
	// as one that it cannot read or whose head is too long (400, 431, 501, 505), one
	// that expects what it does not know (417), and OPTIONS * (200), with the size of the answer's body
	// and head; it must not wait. May be nil. Log.Refused of package accesslog
	// writes a line.
	Refused func(c *netserver.Conn, status int, size, head int64)
	// NoHTTP2 leaves HTTP/1.1 only.
	NoHTTP2 bool
	// Log gets what net/http has to say of the Handler's answers, such as a
	// status that is set twice. slog.Default() if nil.
	Log *slog.Logger

	mu   sync.Mutex
	runs map[<-chan struct{}]*servers // by what tells that a server drains
}

const (
	defaultHeaderTimeout = 10 * time.Second
	defaultIdleTimeout   = 60 * time.Second
	defaultMaxHeader     = 100000
	defaultMaxStreams    = 100
)

var (
	_ netserver.Detacher = (*Handler)(nil)
	_ proto.Negotiator   = (*Handler)(nil)
)

var errDatagram = errors.New("httpd: a datagram cannot carry HTTP")

func (h *Handler) headerTimeout() time.Duration {
	if h.HeaderTimeout <= 0 {
		return defaultHeaderTimeout
	}
	return h.HeaderTimeout
}

func (h *Handler) idleTimeout() time.Duration {
	switch {
	case h.IdleTimeout == 0:
		return defaultIdleTimeout
	case h.IdleTimeout < 0:
		return 0
	}
	return h.IdleTimeout
}

func (h *Handler) maxHeader() int {
	if h.MaxHeader <= 0 {
		return defaultMaxHeader
	}
	return max(h.MaxHeader, slop+1)
}

func (h *Handler) maxStreams() int {
	switch {
	case h.MaxStreams == 0:
		return defaultMaxStreams
	case h.MaxStreams < 0:
		return 1
	}
	return h.MaxStreams
}

func (h *Handler) log() *slog.Logger {
	if h.Log == nil {
		return slog.Default()
	}
	return h.Log
}

// NextProtos returns what TLS clients can agree on with h by ALPN.
func (h *Handler) NextProtos(*proto.ClientHello) []string {
	if h.NoHTTP2 {
		return onlyHTTP1
	}
	return bothHTTP
}

var (
	onlyHTTP1 = []string{"http/1.1"}
	bothHTTP  = []string{"h2", "http/1.1"}
)

// Serve answers the requests of one client, and returns when it is done.
func (h *Handler) Serve(ctx context.Context, c *netserver.Conn) error {
	done := make(chan struct{})
	hc, err := h.begin(ctx, c, func() { close(done) })
	if err != nil {
		return err
	}
	<-done
	return hc.end()
}

// ServeDetached begins to answer the requests of one client, and returns when
// net/http does so on a goroutine of its own.
func (h *Handler) ServeDetached(ctx context.Context, c *netserver.Conn) error {
	_, err := h.begin(ctx, c, nil)
	return err
}

// begin waits for the first request and gives the client to net/http. done is
// called when the client is done; nil detaches it.
func (h *Handler) begin(ctx context.Context, c *netserver.Conn, done func()) (*conn, error) {
	if c.Datagram() {
		return nil, errDatagram
	}
	s := h.enter(c.Draining())
	c.EndReadsOnDrain()
	hc := &conn{c: c, ctx: ctx, s: s, done: done}
	hc.open.Store(1)
	tls := c.TLS()
	if tls != nil && tls.NegotiatedProtocol == "h2" && !h.NoHTTP2 {
		hc.tls, hc.h2 = tls, true
	} else if err := hc.first(tls == nil && !h.NoHTTP2); err != nil {
		h.leave(s)
		return nil, err
	}
	if done == nil {
		c.Detach()
	}
	s.give(hc, tls != nil)
	return hc, nil
}

// first waits for the first bytes of the client's first request, until when
// there is nothing of net/http, and looks whether they are those of HTTP/2.
func (hc *conn) first(mayBeHTTP2 bool) error {
	limit := hc.s.h.headerTimeout()
	hc.reads.want = time.Now().Add(limit)
	hc.reads.arm(hc)
	n := 1
	if mayBeHTTP2 {
		n = len(preface)
	}
	b, err := hc.c.Peek(n)
	switch {
	case err == nil:
		hc.h2 = string(b) == preface
	case errors.Is(err, io.EOF) && len(b) > 0: // net/http says what it is
	case err == os.ErrDeadlineExceeded:
		return fmt.Errorf("%w (%v)", netserver.ErrFirstRequestTimeout, limit)
	default:
		return err
	}
	return nil
}

// preface is what an HTTP/2 client begins with, as far as no HTTP/1.1 request
// does.
const preface = "PRI "

// Check says what is wrong with h before any client connects.
func (h *Handler) Check(...net.Addr) error {
	if h.Handler == nil {
		return errors.New("httpd: nobody answers the requests: set Handler")
	}
	return nil
}

// Conn returns the client of a request, by its context, or by one that derives
// from it; nil for others. Notes that a request adds to the client's record go
// through Note, as requests of HTTP/2 run at the same time.
func Conn(ctx context.Context) *netserver.Conn {
	if hc := connOf(ctx); hc != nil {
		return hc.c
	}
	return nil
}

// Note adds attributes to the record of the client whose request has that
// context. It may be called by several requests at once; what is over 16 of them
// is not kept.
func Note(ctx context.Context, attrs ...slog.Attr) {
	if hc := connOf(ctx); hc != nil {
		hc.note(attrs...)
	}
}

// Fail notes err as the error of the client whose request has that context: it
// becomes that of its record, if it is the first. The client goes on.
func Fail(ctx context.Context, err error) {
	if hc := connOf(ctx); hc != nil {
		hc.fail(err)
	}
}

// Challenge notes that the request with that context was one by which a
// certificate authority looks whether name is ours (HTTP-01, RFC 8555), and that
// it was answered. A client that had no other request, and nothing went wrong
// with, ends with proto.ErrChallenge.
func Challenge(ctx context.Context, name string) {
	hc := connOf(ctx)
	if hc == nil {
		return
	}
	hc.mu.Lock()
	defer hc.mu.Unlock()
	hc.answered++
	hc.proof = fmt.Errorf("%w: %q", proto.ErrChallenge, name)
}
