package route

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"netserver"
	"netserver/access"
	"netserver/proto"
)

// A Handler gives each client to the first of its Routes that fits. Its fields
// must not change while it serves; it may serve any number of clients at once.
type Handler struct {
	Routes []Route
	// Default serves the clients for whom there is no route; nil refuses them.
	Default netserver.Handler
	// Wait is how long the first bytes of a client are waited for, where a
	// condition looks at them: those who have not sent enough by then go to a
	// route that does not want them, and those in the middle of a ClientHello,
	// where a condition looks at that, end with proto.ErrHelloTimeout. 0 is 5 s;
	// it cannot be disabled.
	Wait time.Duration

	once  sync.Once
	index *index
}

// A Route is a set of conditions, and who serves the clients that meet them.
type Route struct {
	// Name stands in records and errors; "" is its number, from 1.
	Name string
	// When are the conditions, all of which must hold; a route without any
	// takes everybody.
	When []Condition
	// Handler serves the clients; nil refuses them, with access.ErrDenied.
	Handler netserver.Handler
	// PassThrough gives clients of TLS ports to the Handler as they come,
	// undecrypted; on plain ports it changes nothing. Such a route can have no
	// condition that is known after the handshake only.
	PassThrough bool
}

const defaultWait = 5 * time.Second

var (
	_ netserver.Detacher = (*Handler)(nil)
	_ proto.Negotiator   = (*Handler)(nil)
	_ proto.Passer       = (*Handler)(nil)
	_ proto.Runner       = (*Handler)(nil)
	_ proto.Descriptors  = (*Handler)(nil)
)

// name returns what the i-th route is called.
func (h *Handler) name(i int) string {
	if i == len(h.Routes) {
		return "default"
	}
	if n := h.Routes[i].Name; n != "" {
		return n
	}
	return fmt.Sprint(i + 1)
}

// Serve gives the client to the Handler of its route, and returns what that
// returns.
func (h *Handler) Serve(ctx context.Context, c *netserver.Conn) error {
	next, err := h.next(c)
	if err != nil {
		return err
	}
	return next.Serve(ctx, c)
}

// ServeDetached does so without a goroutine of the client's, if that Handler can.
func (h *Handler) ServeDetached(ctx context.Context, c *netserver.Conn) error {
	next, err := h.next(c)
	if err != nil {
		return err
	}
	if d, ok := next.(netserver.Detacher); ok {
		return d.ServeDetached(ctx, c)
	}
	return next.Serve(ctx, c)
}

// next returns the Handler of the client's route.
func (h *Handler) next(c *netserver.Conn) (netserver.Handler, error) {
	h.once.Do(h.build)
	l := look{h: h, c: c, facts: factsOf(c)}
	at, err := l.choose()
	if err != nil {
		return nil, err
	}
	if at < 0 && l.left {
		return nil, io.EOF // somebody who looks whether the port is open
	}
	if at < 0 {
		return nil, fmt.Errorf("%w for %s", proto.ErrNoRoute, &l.facts)
	}
	c.Note(slog.String("route", h.name(at)))
	next := h.handler(at)
	if next == nil {
		return nil, fmt.Errorf("%w by route %s", access.ErrDenied, h.name(at))
	}
	return next, nil
}

// handler returns who serves the clients of the i-th route.
func (h *Handler) handler(i int) netserver.Handler {
	if i == len(h.Routes) {
		return h.Default
	}
	return h.Routes[i].Handler
}

// factsOf returns what is known of a client before it says anything.
func factsOf(c *netserver.Conn) Facts {
	f := Facts{From: c.Peer().IP, Plain: true, Datagram: c.Datagram()}
	if hello := c.Hello(); hello != nil {
		f.fromHello(hello)
		return f
	}
	if cs := c.TLS(); cs != nil {
		f.Plain, f.Decrypted, f.ServerName = false, true, strings.ToLower(cs.ServerName)
		if cs.NegotiatedProtocol != "" {
			f.ALPN = []string{cs.NegotiatedProtocol}
		}
		if len(cs.PeerCertificates) > 0 {
			f.Certificate = cs.PeerCertificates[0]
		}
	}
	return f
}

// Passes reports whether a route passes clients on undecrypted.
func (h *Handler) Passes() bool {
	return slices.ContainsFunc(h.Routes, func(r Route) bool { return r.PassThrough })
}

// PassesThrough reports whether the route of a client that said hello passes it
// on undecrypted. A route before it that may be the client's, once it is
// decrypted, goes first.
func (h *Handler) PassesThrough(hello *proto.ClientHello, from netip.Addr) bool {
	h.once.Do(h.build)
	f := Facts{From: from}
	f.fromHello(hello)
	for i := range h.index.candidates(f.ServerName) {
		r := &h.Routes[i]
		switch r.verdict(&f) {
		case Yes:
			return r.PassThrough
		case More:
			return false
		}
	}
	return false
}

// Check says what is wrong with the routes before any client connects, and has
// the Handlers check theirs that can. ports are the addresses of the ports that
// they serve.
func (h *Handler) Check(ports ...net.Addr) error {
	var errs []error
	for i := range h.Routes {
		r := &h.Routes[i]
		for _, c := range r.When {
			if c == nil {
				errs = append(errs, fmt.Errorf("route %s: a condition is nil", h.name(i)))
			} else if k := c.kind(); r.PassThrough && k.decrypted() {
				errs = append(errs, fmt.Errorf("route %s passes clients on undecrypted, and %s is known after the handshake only: remove one of both", h.name(i), k))
			}
		}
		if r.PassThrough && r.Handler == nil {
			errs = append(errs, fmt.Errorf("route %s passes clients on undecrypted, but to nobody", h.name(i)))
		}
	}
	for next := range h.handlers() {
		if c, ok := netserver.HandlerAs[interface{ Check(...net.Addr) error }](next); ok {
			errs = append(errs, c.Check(ports...))
		}
	}
	return errors.Join(errs...)
}

// Run runs the Handlers that have work of their own, each once.
func (h *Handler) Run(ctx context.Context) {
	var list []proto.Runner
	var wg sync.WaitGroup
	for next := range h.handlers() {
		w, ok := netserver.HandlerAs[proto.Runner](next)
		same := func(o proto.Runner) bool { return reflect.ValueOf(o).Comparable() && o == w }
		if ok && !slices.ContainsFunc(list, same) {
			list = append(list, w)
			wg.Go(func() { w.Run(ctx) })
		}
	}
	wg.Wait()
}

// Descriptors returns the most that one of the Handlers opens for a client.
func (h *Handler) Descriptors() (most int) {
	for next := range h.handlers() {
		if d, ok := netserver.HandlerAs[proto.Descriptors](next); ok {
			most = max(most, d.Descriptors())
		}
	}
	return most
}

// Sessions returns the most sessions that one of the Handlers wants, if all have
// some: see proto.Sessions.
func (h *Handler) Sessions() (most int) {
	most = -1
	for next := range h.handlers() {
		s, ok := netserver.HandlerAs[proto.Sessions](next)
		if !ok || s.Sessions() < 0 {
			return -1
		}
		if n := s.Sessions(); most <= 0 || n > most {
			most = n
		}
	}
	return most
}

// handlers yields the Handlers of all routes.
func (h *Handler) handlers() func(func(netserver.Handler) bool) {
	return func(yield func(netserver.Handler) bool) {
		for i := range len(h.Routes) + 1 {
			if next := h.handler(i); next != nil && !yield(next) {
				return
			}
		}
	}
}
