package serving

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"netserver"
	"netserver/conf"
	"netserver/handler/proxy"
	"netserver/port"
	"netserver/tlsparams/outbound"
)

// keyBackendTLS is the key that has targets spoken to over TLS.
const keyBackendTLS = "backend_tls"

// defineTLS defines the keys of TLS to targets with def.
func (d *DialConfig) defineTLS(def func(conf.Key, conf.Binder)) {
	def(conf.Key{Name: keyBackendTLS, When: FactProxies + " " + factStream, Help: "speak TLS to targets, whose certificates are verified; with a plain port, what stunnel calls client mode"},
		conf.Bool(&d.TLS))
	d.TLSParams.Define(FactProxies+" "+keyBackendTLS, def)
}

// overTLS returns what has a target spoken to over TLS, nil if it is not. where
// names the targets in messages.
func (m *maker) overTLS(d *DialConfig, where string, targets ...string) (func(context.Context, net.Conn, proxy.Target, *netserver.Conn) (net.Conn, error), error) {
	if !d.TLS {
		return nil, nil
	}
	env := m.env.TLS
	env.Where = where
	s, err := d.TLSParams.Open(env)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, to := range targets {
		if err := s.CheckTarget(to); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", keyBackendTLS, err))
		}
	}
	m.outbound = append(m.outbound, s)
	m.warnings = append(m.warnings, s.Warnings()...)
	return proxy.OverTLS(s), errors.Join(errs...)
}

// Outbound returns what the configuration says of TLS to targets.
func (s *Services) Outbound() (list []outbound.Params) {
	if s.faulty || s.in.Result == nil {
		return nil
	}
	add := func(d *DialConfig) {
		if d.TLS {
			list = append(list, d.TLSParams)
		}
	}
	for _, one := range s.Used() {
		if one.is(proxies) && !one.byName() {
			add(&one.Dial)
		}
	}
	backends, _ := s.backendConfigs() // what is wrong with them is said elsewhere
	for _, b := range backends {
		add(&b.Dial)
	}
	return list
}

// Identified reports whether targets are shown certificates, whose keys somebody
// has to have.
func (s *Services) Identified() bool {
	return slices.ContainsFunc(s.Outbound(), func(p outbound.Params) bool { return p.CertFile != "" })
}

// streams reports whether there is a port with connections; without one it has
// been said that backend_tls has no effect.
func (m *maker) streams() bool {
	return slices.ContainsFunc(m.s.in.Ports, func(s port.Spec) bool { return !s.IsDatagram() })
}
