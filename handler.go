package netserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"

	"netserver/internal/bridge"
	"netserver/internal/descriptors"
	"netserver/port"
	"netserver/proto"
	"netserver/sock"
)

// A Handler serves one client: a stream connection, or one datagram.
//
// Serve may run for many clients at the same time. The engine closes c when
// Serve returns, so c must not be used after that. ctx ends when the client
// must be cut, and after Serve has returned; a server that only drains says so
// by c.Draining. An error other than io.EOF and
// ErrDraining goes into the client's record. A
// panic becomes such an error and ends this client alone. The goroutine of a
// datagram may serve others after it: what Serve has locked to its thread there
// it must unlock.
//
// What else a Handler can do it says by further methods: those
// of Detacher, proto.Descriptors, proto.Sessions, proto.Runner (work of its own
// while it serves), proto.Passer and proto.Negotiator.
// One that wraps another has a method Unwrap() Handler, so that the wrapped
// one's are found.
type Handler interface {
	Serve(ctx context.Context, c *Conn) error
}

// A Detacher is a Handler that does not need its goroutine for as long as it
// serves a client.
type Detacher interface {
	Handler
	// ServeDetached does what Serve does, and is called instead of it. If it has
	// called c.Detach, the client is there until End is called, and what
	// ServeDetached returns counts for nothing. A Handler that wraps another must
	// call its Serve, unless it has nothing more to do with the client itself.
	ServeDetached(ctx context.Context, c *Conn) error
}

// mostSessions is the default of proto.Sessions.
const mostSessions = 1024

// sessionsOf returns how many sessions a port that h serves may have; 0 if each
// datagram is a client.
func sessionsOf(h Handler) int {
	s, ok := HandlerAs[proto.Sessions](h)
	if !ok {
		return 0
	}
	n := s.Sessions()
	if n == 0 {
		n = mostSessions
		if limit := descriptors.DescriptorLimit(); limit > 0 && limit/4 < uint64(n) {
			n = max(int(limit/4), 1)
		}
	}
	return max(n, 0)
}

// StartsTLS says of h that it starts TLS itself, with Conn.StartTLS. Ports that
// speak TLS, and whose clients begin in plain text (SSL_startHandshake 0), are
// refused to every other Handler: a client of theirs would never get TLS.
func StartsTLS(h Handler) Handler { return starting{h} }

type starting struct{ Handler }

func (starting) StartsTLS() bool   { return true }
func (s starting) Unwrap() Handler { return s.Handler }

// HandlerFunc makes a Handler of a function.
type HandlerFunc func(ctx context.Context, c *Conn) error

// Serve calls f.
func (f HandlerFunc) Serve(ctx context.Context, c *Conn) error { return f(ctx, c) }

// HandlerAs returns h as T, or the first of those it wraps that is one: h may be
// nil.
func HandlerAs[T any](h Handler) (t T, ok bool) {
	for h != nil {
		if t, ok = h.(T); ok {
			return t, true
		}
		w, wraps := h.(interface{ Unwrap() Handler })
		if !wraps {
			break
		}
		h = w.Unwrap()
	}
	return t, false
}

// handlerOf returns who serves the clients of a port, given as it was
// configured; nil for nobody.
func (s *Server) handlerOf(p port.Spec) Handler {
	if h, ok := s.Handlers[p.Short()]; ok && !missing(h) {
		return h
	}
	return s.Handler
}

// askedOf returns the port of a listener as it was configured.
func askedOf(l net.Listener) port.Spec {
	if l, ok := l.(bridge.Listener); ok {
		return l.Asked()
	}
	return sock.SpecOf(l)
}

// missing reports whether h is no Handler: every client would meet it as a
// panic.
func missing(h Handler) bool {
	if h == nil {
		return true
	}
	f, ok := HandlerAs[HandlerFunc](h)
	if w, wraps := h.(starting); wraps && w.Handler == nil {
		return true
	}
	return ok && f == nil
}

// checkHandlers reports ports without a Handler.
func (s *Server) checkHandlers(ps []port.Spec) error {
	var errs []error
	for _, p := range ps {
		switch {
		case !missing(s.handlerOf(p)):
		case len(s.Handlers) == 0:
			return errors.New("netserver: Server has no Handler")
		default:
			errs = append(errs, fmt.Errorf("port %s: neither Server.Handler nor Server.Handlers has a Handler for it", p.Short()))
		}
	}
	return errors.Join(errs...)
}

// checkNames reports Handlers of ports that are not there: their clients would
// be served by another.
func (s *Server) checkNames() error {
	var names []string
	for _, p := range s.ports() {
		names = append(names, p.Short())
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.Handlers)) {
		if !slices.Contains(names, name) {
			errs = append(errs, fmt.Errorf("netserver: Server.Handlers has %q, which is no port; there are %s", name, strings.Join(names, ", ")))
		}
	}
	return errors.Join(errs...)
}

// greediest returns the Handler whose clients need the most descriptors, and
// what is not for them.
func (s *Server) greediest() Handler {
	most := s.Handler
	for _, h := range s.Handlers {
		if descriptorsOf(h) > descriptorsOf(most) {
			most = h
		}
	}
	if n := s.sessionsDemanded(); n > 0 {
		return demand{most, n}
	}
	return most
}

// runHandlers runs what Handlers have to do beside serving clients, each once,
// until ctx ends.
func (r *run) runHandlers(ctx context.Context, wg *sync.WaitGroup) {
	var list []proto.Runner
	ctx = proto.WithDraining(ctx, r.draining)
	for _, l := range r.ls {
		w, ok := HandlerAs[proto.Runner](l.handler)
		same := func(o proto.Runner) bool { return reflect.ValueOf(o).Comparable() && o == w }
		if ok && !slices.ContainsFunc(list, same) {
			list = append(list, w)
			wg.Go(func() { w.Run(ctx) })
		}
	}
}
