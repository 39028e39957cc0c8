package netserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"slices"
	"sync"

	"netserver/access"
	"netserver/internal/metric"
	"netserver/port"
	"netserver/proto"
	"netserver/sock"
	"netserver/tlsparams"
)

// A Server serves the clients of any number of ports. A zero Server with a
// Handler is usable. Its fields must not change while Serve runs; its methods
// may be called at any time, from any goroutine.
//
// There are two ways to stop it. Ending the context of Serve drains the server
// within Config.Shutdown.Grace, and Serve returns when the last client is gone. Shutdown
// and Close are those of net/http: Serve returns ErrServerClosed at once, and
// the Server cannot be used again.
type Server struct {
	Handler   Handler                   // required, unless Handlers has one for every port
	Config    Config                    // values; a zero field means the default named there
	Hooks     Hooks                     // functions; nil ones are skipped
	Protocols map[string]proto.Protocol // added to the built-in ones, or replacing them
	// Log takes the server's lines and clients' records, at levels of slog and
	// logs.Notice, which slog's own handlers print as INFO+2; slog.Default() if
	// nil.
	Log *slog.Logger
	// Handlers are those of ports that have their own, by what Short returns
	// of the port as Config.Ports has it; the others have Handler. A name that
	// is no port's is an error of Listen.
	Handlers map[string]Handler
	// TLSConfig is the program's own configuration of TLS, for all TLS ports and
	// for StartTLS on plain ones; nil is none. It is not changed, and what the
	// caller changes in it after Listen counts for nothing.
	//
	// SSL_ parameters (Config.TLS and those of a port) go before it. What both
	// cannot say, such as certificates, is an error of Listen. Of its fields
	//
	//   - Certificates, GetCertificate, GetConfigForClient, ClientAuth,
	//     ClientCAs, VerifyPeerCertificate, VerifyConnection, NextProtos,
	//     CipherSuites, MinVersion, MaxVersion, CurvePreferences, Rand, Time,
	//     SessionTicketsDisabled, DynamicRecordSizingDisabled, KeyLogWriter,
	//     EncryptedClientHelloKeys and GetEncryptedClientHelloKeys mean what
	//     crypto/tls says. Client certificates are verified by the engine, which
	//     asks revocation lists, responders and allow lists too and does so
	//     again for resumed sessions and while clients are connected; so
	//     VerifyPeerCertificate is called for resumed sessions as well.
	//   - GetConfigForClient may change all for a client but ClientAuth and
	//     ClientCAs, by which clients are judged again; a configuration without
	//     certificates is served with those of TLSConfig.
	//   - NameToCertificate, SessionTicketKey, WrapSession and UnwrapSession are
	//     refused: tickets are the engine's, whose keys Config.TLS or
	//     TLS.Hooks.TicketKey gives. Keys set with SetSessionTicketKeys are not
	//     used.
	//   - RootCAs, ServerName, InsecureSkipVerify, GetClientCertificate,
	//     ClientSessionCache, Renegotiation, EncryptedClientHelloConfigList and
	//     EncryptedClientHelloRejectionVerify are for clients, and
	//     PreferServerCipherSuites does nothing, as in crypto/tls.
	//
	// With a supervisor (package daemon) each worker runs the program's main and
	// has the TLSConfig made there: its keys are in the workers, and
	// key_isolation is for keys in files only.
	TLSConfig *tls.Config
	// TLS is what TLS ports have beside their parameters: certificates and
	// functions from code, and where files are read. Where and Loopback are
	// filled in for each port. TLS.ForPort runs for each TLS port, and for the
	// port "STARTTLS" that stands for all plain ones whose clients may start
	// TLS, when ports are prepared and when they are opened.
	TLS tlsparams.Env

	// Resolver looks up clients' names; net.DefaultResolver if nil.
	Resolver access.Resolver

	mu          sync.Mutex
	runs        map[*run]struct{}
	last        Stats           // of the run that ended last
	lastSamples []metric.Sample // of the same
	closed      bool            // by Shutdown or Close
	onServing   func()          // of bridge.Engine
}

// ListenAndServe opens the configured ports and serves their clients, as Serve
// does. After Shutdown or Close it opens nothing and returns ErrServerClosed.
func (s *Server) ListenAndServe(ctx context.Context) error {
	if s.isClosed() {
		return ErrServerClosed
	}
	if err := s.checkHandlers(s.ports()); err != nil {
		return err
	}
	ls, err := s.Listen(ctx)
	if err != nil {
		return err
	}
	return s.Serve(ctx, ls...)
}

// Serve serves the clients of ls until ctx is done, Shutdown or Close is
// called, or all listeners have ended. It closes ls in any case. It returns
//
//   - after ctx is done: it stops accepting, lets clients finish for
//     Config.Shutdown.Grace, cuts the rest, and returns when all are gone: nil, or an
//     error that wraps ErrCut and tells how many were cut. Clients' contexts do
//     not end with ctx, but when they are cut.
//   - after Shutdown or Close: ErrServerClosed, once it has stopped accepting,
//     while clients may still be served; Shutdown waits for them. A program
//     must not exit before Shutdown has returned. If ctx was done before, what
//     is said above holds.
//   - when all listeners have ended by themselves and their clients are gone:
//     nil, or, if somebody closed a listener, an error that wraps net.ErrClosed
//     and names the port. That is logged when it happens; the other listeners
//     go on.
//
// A listener that did not come from Listen or NewListener is served plain, or as
// TLS if it does that itself: the engine shakes hands then, within the limits of
// Config, for listeners of tls.NewListener and those that are proto.TLSFirst and
// whose connections are proto.Handshakers and proto.Layers. Serve
// may run several times at once, each with its own listeners; the limits of
// Config hold for each of them. A listener can be served once; one that another Serve
// has is an error, and stays with that.
func (s *Server) Serve(ctx context.Context, ls ...net.Listener) error {
	if s.isClosed() {
		sock.CloseAll(ls)
		return ErrServerClosed
	}
	if err := take(ls); err != nil {
		return err
	}
	r, err := s.newRun(ctx, ls)
	if err != nil {
		sock.CloseAll(ls)
		return err
	}
	if err := s.track(r); err != nil {
		for _, l := range ls {
			if !s.isServing(l) {
				l.Close()
			}
		}
		return err
	}
	s.tellServing()
	return r.serve(ctx)
}

// tellServing calls what bridge.Engine.OnServing was given.
func (s *Server) tellServing() {
	s.mu.Lock()
	f := s.onServing
	s.onServing = nil
	s.mu.Unlock()
	if f != nil {
		f()
	}
}

// newRun checks what Serve was given.
func (s *Server) newRun(ctx context.Context, ls []net.Listener) (*run, error) {
	asked := make([]port.Spec, len(ls))
	for i, l := range ls {
		asked[i] = askedOf(l)
	}
	if err := s.checkHandlers(asked); err != nil {
		return nil, err
	}
	configs, err := s.configsOf(ls)
	if err != nil {
		return nil, err
	}
	rules, err := s.compileRules(configs)
	if err != nil {
		return nil, err
	}
	for _, l := range ls {
		if l, ok := l.(*listener); ok {
			if err := s.checkStart(l.Asked(), l.transport); err != nil {
				return nil, err
			}
		}
	}
	r := newRun(s, rules, configs, ls)
	r.clients.init(ctx) // before the Monitor can find it
	return r, nil
}

// take marks ls as being served. After an error, those that another Serve has
// are left to it and the others are closed.
func take(ls []net.Listener) error {
	if len(ls) == 0 {
		return errors.New("netserver: Serve needs a listener")
	}
	var errs []error
	var own []net.Listener
	for i, l := range ls {
		switch o, ok := l.(*listener); {
		case l == nil || ok && (o == nil || o.Listener == nil):
			errs = append(errs, fmt.Errorf("netserver: listener %d is nil", i))
		case slices.ContainsFunc(ls[:i], func(b net.Listener) bool { return same(l, b) }):
			errs = append(errs, fmt.Errorf("netserver: listener %d was given to Serve twice", i))
		case ok && o.taken.Swap(true):
			errs = append(errs, fmt.Errorf("netserver: port %s: this listener was given to Serve before", o.spec.Short()))
		default:
			own = append(own, l)
		}
	}
	if len(errs) > 0 {
		sock.CloseAll(own)
	}
	return errors.Join(errs...)
}

// Shutdown stops the server gracefully, as that of net/http does: nothing more
// is accepted, Serve returns ErrServerClosed, and clients stay until they end
// by themselves; Conn.Draining tells their handlers. Clients that had connected
// already are still accepted. Shutdown returns nil when the last client is
// gone, or, if ctx is done before, ctx's error. Those who are left then stay
// connected and are served until they end or Close cuts them: Config.Shutdown.Grace does
// not hold for them, the other limits of Config do.
//
// If the context of Serve was done before, its grace time goes on, and Shutdown
// waits for that end. Shutdown may be called several times and before Serve,
// which then returns ErrServerClosed: a Server that was shut down cannot be
// used again.
func (s *Server) Shutdown(ctx context.Context) error {
	for _, r := range s.stop((*run).shutdown) {
		select {
		case <-r.done:
			continue
		default:
		}
		select {
		case <-r.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Close stops the server at once: nothing more is accepted, every client is
// cut, with ErrCut in its record, and Serve returns ErrServerClosed; it waits
// for neither. If the context of Serve was done before, or Shutdown was called,
// Close cuts that short. A Shutdown returns when the handlers have; they must
// do so when their context ends, or their Conn fails. Close may be called
// several times and before Serve. It returns nil.
func (s *Server) Close() error {
	s.stop((*run).closeNow)
	return nil
}

// stop lets no Serve begin any more, and how end those that run.
func (s *Server) stop(how func(*run)) []*run {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	runs := make([]*run, 0, len(s.runs))
	for r := range s.runs {
		how(r)
		runs = append(runs, r)
	}
	return runs
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// track makes r one of the runs, unless the server has stopped or another run
// has one of its listeners.
func (s *Server) track(r *run) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrServerClosed
	}
	for _, l := range r.ls {
		if s.hasListener(l.Listener) {
			return fmt.Errorf("netserver: port %s: another Serve has this listener", l.spec.Short())
		}
	}
	if s.runs == nil {
		s.runs = make(map[*run]struct{})
	}
	s.runs[r] = struct{}{}
	return nil
}

// hasListener reports whether a run has l, with s.mu held. take has marked those
// that are ours.
func (s *Server) hasListener(l net.Listener) bool {
	for r := range s.runs {
		if slices.ContainsFunc(r.ls, func(o *listening) bool { return same(l, o.Listener) }) {
			return true
		}
	}
	return false
}

func (s *Server) isServing(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hasListener(l)
}

// same reports whether both are one listener; a program's own may have a type
// that cannot be compared.
func same(a, b net.Listener) bool { return reflect.ValueOf(a).Comparable() && a == b }

// untrack forgets r, whose last client is gone.
func (s *Server) untrack(r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.runs, r)
	s.last = Stats{}
	r.addTo(&s.last)
	s.lastSamples = r.counted(nil, 0)
	close(r.done)
}

func (s *Server) log() *slog.Logger {
	if s.Log == nil {
		return slog.Default()
	}
	return s.Log
}

// Hooks are functions that the engine calls at fixed points of a client's
// life, in the client's goroutine and in the order of the fields. Nil ones are
// skipped. Hooks of different clients run at the same time. A hook that panics
// ends its client alone.
type Hooks struct {
	// Accepted runs first, before any rule and any byte. What it returns is
	// the client's context from then on; it must derive from ctx. A client
	// that will name itself in a PROXY header still has its sender's address.
	Accepted func(ctx context.Context, c *Conn) context.Context
	// HandshakeFailed runs for a client whose handshake failed, with c still
	// open and plain, for two seconds at most: an HTTP client on a TLS port
	// can be told where to go, say (Net::Server's SSL_error_trap). What the
	// client has sent is gone, but for what err tells of it.
	HandshakeFailed func(ctx context.Context, c *Conn, err *Error)
	// Allow runs after the handshake and all rules. An error denies the client.
	Allow func(ctx context.Context, c *Conn) error
	// Denied runs for a client that a rule, a limit or Allow refused, before
	// it is closed. why.Stage tells whether c can be written to: at
	// StageAccess it can, at StageHeader and StageAdmit there was no handshake
	// yet, and at StageHandshake that was refused for the client's certificate.
	Denied func(ctx context.Context, c *Conn, why *Error)
	// Handled runs when the Handler is done, with its error and c still open.
	Handled func(ctx context.Context, c *Conn, err error)
	// Logged runs when c was closed, with the record that was logged, and unlike
	// Closed for connections too that never became clients, as a limit refused
	// them or they had left when they were accepted: then c is nil. It must not
	// wait: accept loops do meanwhile. Neither c nor r may be kept.
	Logged func(c *Conn, r *Record)
	// Trace says what is noted on the way of the clients of a port, for
	// Record.Trace. It is called when Serve begins, with the port as it was
	// configured and as it is bound, which is that of records.
	Trace func(asked, bound port.Spec) Tracing
	// Closed runs last, after c was closed, with the record that was logged.
	Closed func(c *Conn, r Record)
}

// seeClients reports whether a hook sees clients that get no handshake.
func (h *Hooks) seeClients() bool {
	return h.Accepted != nil || h.Denied != nil || h.HandshakeFailed != nil || h.Closed != nil
}
