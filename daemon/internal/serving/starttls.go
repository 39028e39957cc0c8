package serving

import (
	"context"
	"fmt"
	"net"
	"strings"

	"netserver"
	"netserver/conf"
	"netserver/handler/proxy"
	"netserver/handler/starttls"
	"netserver/port"
	dialog "netserver/starttls"
	"netserver/tlsparams/outbound"
)

// keyBackendStartTLS is the key that has TLS to targets begin in plain text.
const keyBackendStartTLS = "backend_starttls"

// defineStartTLS defines that key with def.
func (d *DialConfig) defineStartTLS(def func(conf.Key, conf.Binder)) {
	def(conf.Key{Name: keyBackendStartTLS, When: FactProxies + " " + keyBackendTLS, Arg: "PROTOCOL", Help: "begin in plain text with targets, and start TLS as this protocol has it: " + strings.Join(dialog.Names(), ", ")},
		conf.Func(d.setStartTLS))
}

func (d *DialConfig) setStartTLS(vals []conf.Value) (err error) {
	v := vals[len(vals)-1]
	if d.StartTLS, err = dialog.Parse(v.Text); err != nil {
		return v.Errorf("%v", err)
	}
	return nil
}

// startTLS returns what plays the dialog before TLS with a target; nil if there
// is none, or if it is MySQL's, which is part of a handshake.
func (d *DialConfig) startTLS() func(context.Context, net.Conn, proxy.Target) ([]byte, error) {
	if !d.TLS || d.StartTLS == 0 || d.mysql() {
		return nil
	}
	name := d.TLSParams.ServerName
	return func(_ context.Context, nc net.Conn, t proxy.Target) ([]byte, error) {
		domain := name
		if domain == "" || domain == outbound.ServerNameOfClient {
			if host, _, err := net.SplitHostPort(t.Address); err == nil {
				domain = host
			}
		}
		return d.StartTLS.Start(nc, "", domain)
	}
}

func (d *DialConfig) mysql() bool { return d.TLS && d.StartTLS == dialog.MySQL }

// portHandler makes the handler of a port's service.
func (m *maker) portHandler(s *Service) (netserver.Handler, error) {
	next, err := m.handler(s)
	if err != nil || s.StartTLS == "" {
		return next, err
	}
	h, err := starttls.Parse(s.StartTLS)
	if err != nil {
		return nil, err
	}
	for _, to := range s.Leaves() {
		if d := m.dialOf(to); to.is(proxies) && d.TLS && d.StartTLS != 0 && d.StartTLS != h.Protocol {
			return nil, located(fmt.Errorf("%s is %v, and %s of %s is %v: clients and targets speak one protocol", keyStartTLS, h.Protocol, keyBackendStartTLS, to.Name(), d.StartTLS), to.at)
		}
	}
	h.Next = next
	return h, nil
}

// startsTLS has the clients of a port begin in plain text, and says what
// contradicts that.
func (s *Service) startsTLS(p *port.Spec) error {
	no := func(format string, args ...any) error {
		return &conf.Problem{Key: keyStartTLS, Origin: p.Origin, Err: fmt.Errorf("port %s: "+format, append([]any{p.Short()}, args...)...)}
	}
	const plainKey = "SSL_startHandshake"
	switch given := p.Params[plainKey]; {
	case !p.IsTLS():
		return no("clients start TLS on TLS ports: write it as PORT/ssl or PATH|unixssl, or give %s in the [[listen]] block of another", keyStartTLS)
	case len(given) > 0 && isTrue(given):
		return no("%s and %s 1 contradict each other: remove one of both", keyStartTLS, plainKey)
	}
	if h, err := starttls.Parse(s.StartTLS); err == nil && h.Protocol == dialog.MySQL && s.kind == routes {
		return no("a target of MySQL greets its clients before TLS, when nothing is known that a route could be chosen by: give it a port of its own")
	}
	for _, to := range s.Leaves() {
		if !to.is(proxies) && !to.is(refuses) {
			return no("%s wants a target, whose greeting it takes, and not %s", keyStartTLS, to.Name())
		}
	}
	if p.Params == nil {
		p.Params = make(conf.Values)
	}
	p.Params.Set(plainKey, "0")
	return nil
}
