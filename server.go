package netserver

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"

	"netserver/access"
	"netserver/port"
	"netserver/proto"
	"netserver/tlsparams"
)

// A Server serves the clients of any number of ports. A zero Server with a
// Handler is usable. Its fields must not change while Serve runs.
type Server struct {
	Handler   Handler                   // required
	Config    Config                    // values; a zero field means the default named there
	Hooks     Hooks                     // functions; nil ones are skipped
	Protocols map[string]proto.Protocol // added to the built-in ones, or replacing them
	Log       *slog.Logger              // slog.Default() if nil
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
	// filled in for each port.
	TLS tlsparams.Env
	// TLSFor, if set, changes what one port has of that: env is a copy of TLS
	// for it. It runs for each TLS port, and for the port "STARTTLS" that
	// stands for all plain ones whose clients may start TLS, when ports are
	// prepared and when they are opened.
	TLSFor func(p port.Spec, env *tlsparams.Env)

	// Resolver looks up clients' names; net.DefaultResolver if nil.
	Resolver access.Resolver

	mu     sync.Mutex
	runs   map[*run]struct{}
	last   Stats // of the run that ended last
	closed bool
}

// ListenAndServe opens the configured ports and serves their clients until
// ctx is done.
func (s *Server) ListenAndServe(ctx context.Context) error {
	ls, err := s.Listen(ctx)
	if err != nil {
		return err
	}
	return s.Serve(ctx, ls...)
}

// Serve serves the clients of ls until ctx is done or all listeners have
// ended. Then it stops accepting, lets clients finish for Config.Grace and
// cuts the rest. It closes ls, and returns when all clients are gone: nil
// after a clean end, or an error that wraps ErrCut and tells how many were
// cut.
//
// A listener that did not come from Listen is served plain. Serve may run
// several times at once, each with its own listeners; the limits of Config
// hold for each of them.
func (s *Server) Serve(ctx context.Context, ls ...net.Listener) error {
	if s.Handler == nil {
		closeAll(ls)
		return errors.New("netserver: Server has no Handler")
	}
	rules, err := s.compileRules()
	if err != nil {
		closeAll(ls)
		return err
	}
	headers, err := s.proxyHeaderRules(ls)
	if err != nil {
		closeAll(ls)
		return err
	}
	for _, l := range ls {
		if l, ok := l.(*listener); ok {
			if err := s.checkStart(l.spec, l.transport); err != nil {
				closeAll(ls)
				return err
			}
		}
	}
	r := newRun(s, rules, headers, ls)
	r.clients.init(ctx) // before Clients and the like can find it
	if !s.track(r) {
		r.clients.release()
		closeAll(ls)
		return ErrServerClosed
	}
	defer s.untrack(r)
	return r.serve(ctx)
}

// Close stops the server at once: nothing more is accepted, every client is
// cut, and a running Serve returns when their handlers have. It does not wait
// for that. For a graceful stop end the context of Serve instead; Close may
// follow to cut it short.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for r := range s.runs {
		r.stopNow()
	}
	return nil
}

func (s *Server) track(r *run) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.runs == nil {
		s.runs = make(map[*run]struct{})
	}
	s.runs[r] = struct{}{}
	return true
}

func (s *Server) untrack(r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.runs, r)
	s.last = Stats{}
	r.addTo(&s.last)
}

func (s *Server) log() *slog.Logger {
	if s.Log == nil {
		return slog.Default()
	}
	return s.Log
}

func closeAll(ls []net.Listener) {
	for _, l := range ls {
		l.Close()
	}
}
