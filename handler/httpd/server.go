package httpd

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"netserver"
)

// slop is what net/http allows a head beside MaxHeaderBytes.
const slop = 4096

// servers are the http.Servers that a Handler has in one Serve of a
// netserver.Server, which drains by itself.
type servers struct {
	h       *Handler
	drained <-chan struct{} // closed when the server drains
	clients int             // guarded by h.mu
	once    sync.Once       // drain
	sparing atomic.Bool     // net/http closes what looks idle, and must not

	h1   http.Server // HTTP/1.1, over TLS and plain
	h2   http.Server // HTTP/2
	late http.Server // HTTP/2 of clients that come while the server drains
}

// enter returns the servers for a client of a server that tells by drained that
// it drains.
func (h *Handler) enter(drained <-chan struct{}) *servers {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.runs[drained]
	if s == nil {
		s = h.newServers(drained)
		if h.runs == nil {
			h.runs = make(map[<-chan struct{}]*servers)
		}
		h.runs[drained] = s
		go s.watch()
	}
	s.clients++
	return s
}

// leave notes that a client has ended.
func (h *Handler) leave(s *servers) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.clients--; s.clients == 0 && s.draining() {
		delete(h.runs, s.drained)
	}
}

func (h *Handler) newServers(drained <-chan struct{}) *servers {
	s := &servers{h: h, drained: drained}
	errs := log.New(&complaints{h.log()}, "", 0)
	for _, hs := range []*http.Server{&s.h1, &s.h2, &s.late} {
		hs.Handler = s
		hs.ConnContext = connContextFor(hs)
		hs.ConnState = connState
		hs.ErrorLog = errs
		hs.IdleTimeout = h.idleTimeout()
		hs.ReadHeaderTimeout = h.headerTimeout()
		hs.MaxHeaderBytes = h.maxHeader()
		hs.Protocols = new(http.Protocols)
		hs.Protocols.SetUnencryptedHTTP2(true)
		hs.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: h.maxStreams()}
	}
	s.h1.Protocols = new(http.Protocols)
	s.h1.Protocols.SetHTTP1(true)
	s.h1.MaxHeaderBytes -= slop
	s.late.IdleTimeout = h.headerTimeout()
	return s
}

// watch waits until the server drains.
func (s *servers) watch() {
	<-s.drained
	s.drain()
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	if s.clients == 0 {
		delete(s.h.runs, s.drained)
	}
}

func (s *servers) draining() bool {
	select {
	case <-s.drained:
		return true
	default:
		return false
	}
}

// drain makes every answer the last of its connection, and sends GOAWAY to
// clients of HTTP/2. A Shutdown of h1 would throw requests away that have just
// come, and so would what SetKeepAlivesEnabled closes. All that learns of the
// drain calls drain before it acts on that, as watch may not have run yet.
func (s *servers) drain() {
	s.once.Do(func() {
		s.sparing.Store(true)
		s.h1.SetKeepAlivesEnabled(false)
		s.sparing.Store(false)
		s.late.SetKeepAlivesEnabled(false)
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		s.h2.Shutdown(ended) // it waits for nobody then
	})
}

// noteDrain calls drain if the server drains.
func (s *servers) noteDrain() {
	if s.draining() {
		s.drain()
	}
}

// give has net/http serve hc on a goroutine of its own.
func (s *servers) give(hc *conn, overTLS bool) {
	var nc net.Conn = hc
	hs := &s.h1
	switch {
	case hc.h2:
		hs = &s.h2
	case overTLS:
		nc = tlsConn{hc}
	}
	if !serveOne(hs, nc) && !serveOne(&s.late, nc) {
		hc.Close()
	}
}

// serveOne gives one connection to hs, unless that was shut down.
func serveOne(hs *http.Server, nc net.Conn) bool {
	l := single{nc: nc}
	hs.Serve(&l)
	return l.nc == nil
}

// A single is a listener with one connection.
type single struct{ nc net.Conn }

var errNoMore = errors.New("there was one connection")

// Accept returns the connection, once.
func (l *single) Accept() (net.Conn, error) {
	nc := l.nc
	if nc == nil {
		return nil, errNoMore
	}
	l.nc = nil
	return nc, nil
}

// Close does nothing: the connection is no longer the listener's.
func (l *single) Close() error { return nil }

// Addr returns nothing of use.
func (l *single) Addr() net.Addr { return nil }

// connContextFor returns what makes the context of hs's clients.
func connContextFor(hs *http.Server) func(context.Context, net.Conn) context.Context {
	return func(_ context.Context, nc net.Conn) context.Context {
		hc := ours(nc)
		return &connContext{hc.ctx, hc, hs}
	}
}

func connState(nc net.Conn, state http.ConnState) { ours(nc).changed(state) }

func ours(nc net.Conn) *conn {
	if t, ok := nc.(tlsConn); ok {
		return t.conn
	}
	return nc.(*conn)
}

// ServeHTTP has the Handler answer a request.
func (s *servers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	hc := connOf(r.Context())
	if hc.h2 {
		if !hc.join() {
			panic(http.ErrAbortHandler) // its client has ended, and has no place any more
		}
		defer hc.leave()
	}
	hc.requests.Add(1)
	if hc.h2 {
		r.TLS = hc.tls
	} else {
		hc.phase.Store(phaseHandler)
	}
	defer hc.recovered()
	defer s.noteDrain() // before net/http writes the head of a short answer
	s.noteDrain()
	if s.h.Handler == nil {
		http.NotFound(w, r)
		return
	}
	s.h.Handler.ServeHTTP(w, r)
}

// recovered makes a panic of the Handler the client's error.
func (hc *conn) recovered() {
	v := recover()
	if v == nil {
		return
	}
	if v != http.ErrAbortHandler {
		err := &netserver.PanicError{Value: v, Stack: debug.Stack()}
		hc.fail(err)
		if hc.h2 { // whose connection goes on
			hc.c.Logger().Error("panic in a request", "panic", err.Error(), "stack", string(err.Stack))
		}
	}
	panic(http.ErrAbortHandler)
}

// complaints are what net/http logs.
type complaints struct{ log *slog.Logger }

// Write logs one line.
func (c *complaints) Write(b []byte) (int, error) {
	n := len(b)
	for n > 0 && b[n-1] == '\n' {
		n--
	}
	c.log.Debug("net/http", "says", string(b[:n]))
	return len(b), nil
}
