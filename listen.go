package netserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"netserver/internal/bridge"
	"netserver/internal/hello"
	"netserver/port"
	"netserver/proto"
	"netserver/sock"
	"netserver/tlsparams"
)

// A listener is a net.Listener that Listen opened, with what its port speaks.
type listener struct {
	net.Listener
	spec      port.Spec
	transport proto.Transport
	taken     atomic.Bool // by a Serve
	retired   atomic.Bool // closed on purpose while it is served
}

// checkedTransports makes what each configured port speaks, and checks the
// access rules too. The error joins one for each port or rule that is wrong.
func (s *Server) checkedTransports() ([]proto.Transport, error) {
	_, rulesErr := s.Config.Access.Compile()
	ts, err := s.transports()
	if err := errors.Join(rulesErr, s.checkNames(), err); err != nil {
		return nil, err
	}
	return ts, nil
}

func (s *Server) transports() ([]proto.Transport, error) {
	ps := s.ports()
	protocols, err := s.protocols(ps)
	if err != nil {
		return nil, err
	}
	ts := make([]proto.Transport, len(ps))
	all := s.Config.effective(s.greediest())
	var errs []error
	answering := 0
	for i, p := range ps {
		f := lookup(protocols, p.Kind())
		if f == nil {
			errs = append(errs, fmt.Errorf("port %s: no protocol is called %q; there are %s%s",
				p.Short(), p.Proto, strings.Join(slices.Sorted(maps.Keys(protocols)), ", "), meantBy(p.Proto)))
			continue
		}
		pc, err := s.configOf(p, &all)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if pc.rules {
			if _, err := pc.Access.Compile(); err != nil {
				errs = append(errs, portError(p, err))
			}
		}
		if ts[i], err = f(pc.spec); err != nil {
			errs = append(errs, err)
		}
		errs = append(errs, s.checkStart(p, ts[i]), s.checkPasser(p, ts[i]), pc.checkStream(err != nil || isStream(ts[i])), pc.checkHealth())
		if pc.Health != HealthOff {
			answering++
		}
	}
	if answering == len(ps) && errors.Join(errs...) == nil {
		errs = append(errs, fmt.Errorf("%s: every port answers balancers, and none serves clients: give it to one port, in its [[listen]] block", keyHealth))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return ts, s.startable(ps, ts)
}

// checkStart refuses a TLS port whose clients begin in plain text to a Handler
// that leaves them there.
func (s *Server) checkStart(p port.Spec, t proto.Transport) error {
	if t, ok := t.(proto.StartsPlain); !ok || !t.StartsPlain() {
		return nil
	}
	if h, ok := HandlerAs[bridge.TLSStarter](s.handlerOf(p)); ok && h.StartsTLS() {
		return nil
	}
	return fmt.Errorf("port %s: SSL_startHandshake 0 lets clients begin in plain text, and what serves them here never starts TLS: all would stay in plain text; remove it, or serve the port with a Go handler that calls StartTLS (netserver.StartsTLS)", p.Short())
}

// checkPasser refuses a Handler that takes clients undecrypted on a TLS port
// where their hellos cannot be seen without being taken.
func (s *Server) checkPasser(p port.Spec, t proto.Transport) error {
	if _, tls := t.(proto.Judge); !tls || passerOf(s.handlerOf(p)) == nil {
		return nil
	}
	first, ok := t.(proto.TLSFirst)
	switch {
	case ok && !first.TLSFirst():
		return fmt.Errorf("port %s: clients who begin in plain text (SSL_startHandshake 0) cannot be passed on undecrypted: remove one of both", p.Short())
	case !ok:
		return fmt.Errorf("port %s: clients cannot be passed on undecrypted here: give them a TLS port", p.Short())
	case !hello.CanCopy:
		return fmt.Errorf("port %s: this system cannot pass TLS clients on undecrypted", p.Short())
	}
	return nil
}

// startable lets the clients of plain stream ports start TLS, if there is a
// certificate for that.
func (s *Server) startable(ps []port.Spec, ts []proto.Transport) error {
	p := s.Config.TLS
	if p.CertFile == "" && p.CertDir == "" && len(p.CertFiles) == 0 && len(s.TLS.Certificates) == 0 && !s.certified() {
		return nil
	}
	var t proto.Transport
	for i, spec := range ps {
		if k := spec.Kind(); k != port.TCP && k != port.Unix {
			continue
		}
		if t == nil {
			var err error
			on := port.Spec{Host: "*", Port: "STARTTLS", Proto: port.SSL, IPv: "*"}
			later := s.tls(ps)
			later.Where = "StartTLS on plain ports"
			if t, err = later.Protocol(on); err != nil {
				return err
			}
		}
		ts[i] = proto.Startable{Transport: ts[i], TLS: t.(*proto.TLSTransport)}
	}
	return nil
}

// tls returns what ssl ports stand for.
func (s *Server) tls(ps []port.Spec) proto.TLS {
	env := s.TLS
	if env.Log == nil {
		env.Log = s.log()
	}
	if s.TLSConfig != nil {
		env.TLSConfig = s.TLSConfig
	}
	return proto.TLS{Params: s.Config.TLS, Loopback: tlsOnLoopback(ps), SelfSigned: env.SelfSigned, Env: env}
}

// certified reports whether the program's TLSConfig brings certificates.
func (s *Server) certified() bool {
	c := s.TLSConfig
	return c != nil && (len(c.Certificates) > 0 || c.GetCertificate != nil || c.GetConfigForClient != nil)
}

// protocols returns the protocols that ports may name: the built-in ones, and
// the Server's own over them.
func (s *Server) protocols(ps []port.Spec) (map[string]proto.Protocol, error) {
	m := proto.Builtin()
	t := s.tls(ps)
	if t.Loopback && t.Params.CertFile == "" && t.SelfSigned == nil && !s.certified() {
		var err error
		if t.SelfSigned, err = tlsparams.SelfSigned(time.Now()); err != nil {
			return nil, err
		}
	}
	m[port.SSL] = s.negotiating(t)
	m[port.UnixSSL] = m[port.SSL]
	for name, p := range s.Protocols {
		m[name] = p
	}
	return m, nil
}

// negotiating returns the Protocol of TLS ports, which offer by ALPN what their
// Handlers speak.
func (s *Server) negotiating(t proto.TLS) proto.Protocol {
	return func(p port.Spec) (proto.Transport, error) {
		t := t
		if n, ok := HandlerAs[proto.Negotiator](s.handlerOf(p)); ok && t.Env.NextProtos == nil {
			t.Env.NextProtos = func(h *tls.ClientHelloInfo) []string {
				hello := proto.ClientHello{ServerName: strings.ToLower(h.ServerName), ALPN: h.SupportedProtos, Versions: h.SupportedVersions}
				return n.NextProtos(&hello)
			}
		}
		return t.Protocol(p)
	}
}

// lookup finds a protocol by its name, or else by its name in any case.
func lookup(m map[string]proto.Protocol, name string) proto.Protocol {
	if p, ok := m[name]; ok {
		return p
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if strings.EqualFold(k, name) {
			return m[k]
		}
	}
	return nil
}

// tlsOnLoopback reports whether every TLS port is bound to a loopback address or
// is a UNIX socket.
func tlsOnLoopback(ps []port.Spec) bool {
	for _, p := range ps {
		if p.Kind() != port.SSL {
			continue
		}
		if a, err := netip.ParseAddr(p.Host); p.Host != "localhost" && (err != nil || !a.IsLoopback()) {
			return false
		}
	}
	return true
}

// Listen opens every configured port: all of them or none. The error joins one
// for each port that could not be opened. The caller closes the listeners,
// unless it passes them to Serve.
func (s *Server) Listen(ctx context.Context) ([]net.Listener, error) {
	ps := s.ports()
	ts, err := s.checkedTransports()
	if err != nil {
		return nil, err
	}
	reqs, err := s.requests(ts)
	if err != nil {
		return nil, err
	}
	opened, err := sock.ListenAll(ctx, reqs)
	if err != nil {
		return nil, err
	}
	ls := make([]net.Listener, len(opened))
	for i, l := range opened {
		p := ps[i]
		if b, ok := l.(sock.Named); ok {
			p = b.Spec() // with the number that port 0 became
		}
		p.Params = ps[i].Params // all of them: Serve reads the port's own limits
		ls[i] = NewListener(l, p, ts[i])
	}
	return ls, nil
}

// requests says which sockets the configured ports need.
func (s *Server) requests(ts []proto.Transport) ([]sock.Request, error) {
	ps := s.ports()
	reqs := make([]sock.Request, len(ps))
	all := s.Config.effective(s.greediest())
	var errs []error
	for i, p := range ps {
		pc, err := s.configOf(p, &all)
		o, optionsErr := pc.sockOptions()
		errs = append(errs, err, optionsErr)
		reqs[i] = sock.Request{Network: ts[i].Network(), Spec: p, Options: o}
	}
	return reqs, errors.Join(errs...)
}

// NewListener makes Serve speak t with the clients of l, which was opened by
// other means than Listen: inherited, for instance. p names the port in
// errors and records.
func NewListener(l net.Listener, p port.Spec, t proto.Transport) net.Listener {
	return &listener{Listener: l, spec: p, transport: t}
}

// SetDeadline sets the deadline of Accept where the listener below has one.
func (l *listener) SetDeadline(t time.Time) error {
	if d, ok := l.Listener.(sock.Deadliner); ok {
		return d.SetDeadline(t)
	}
	return errors.ErrUnsupported
}

// Transport returns what the port speaks.
func (l *listener) Transport() proto.Transport { return l.transport }

// Retire closes the listener on purpose.
func (l *listener) Retire() error {
	l.retired.Store(true)
	return l.Close()
}

// Spec returns the port, with the number it is really bound to.
func (l *listener) Spec() port.Spec { return l.spec }

// Asked returns the port as it was configured: with 0 or a service's name
// where Spec has the number.
func (l *listener) Asked() port.Spec {
	if a, ok := l.Listener.(sock.Named); ok {
		return a.Asked()
	}
	return l.spec
}

// below returns the listener that sock opened, if there is one.
func below(l net.Listener) net.Listener {
	if o, ok := l.(*listener); ok {
		return o.Listener
	}
	return l
}

// meantBy says what to write instead of a protocol that is spoken above those of
// ports.
func meantBy(name string) string {
	switch strings.ToLower(name) {
	case "https":
		return "; write ssl, and have a handler for HTTP"
	case "http":
		return "; write tcp, and have a handler for HTTP"
	}
	return ""
}
