package netserver

import (
	"fmt"
	"math"

	"netserver/access"
	"netserver/internal/bridge"
	"netserver/internal/proc"
	"netserver/port"
)

// budget returns the effective limits of s.Config with s.Handler.
func (s *Server) budget() bridge.Budget {
	c := &s.Config
	conns := c.maxConnsOf(s.Handler)
	l := c.limits(conns)
	return bridge.Budget{
		MaxConns: conns, MaxPerSource: l.MaxPerSource, MaxPerPrefix: l.MaxPerPrefix,
		MaxHandshakes: c.maxHandshakesOf(conns), MaxHandshakesPerSource: c.maxHandshakesPerSource(), MaxHandshakesPerPrefix: c.maxHandshakesPerPrefix(),
		MaxMemory: l.MaxMemory, Waiting: priceWaiting, Plain: pricePlain, TLS: priceTLS,
	}
}

// warnDescriptors tells of a max_connections that the descriptor limit does not
// allow: accept will fail before it is reached.
func (r *run) warnDescriptors() {
	limit := proc.DescriptorLimit()
	if n := r.cfg.maxConns(); n > 0 && limit > 0 && limit <= math.MaxInt32 && n > connsFor(limit, r.srv.Handler) {
		r.log.Warn(fmt.Sprintf("max_connections %d is more than %d descriptors are enough for (%d clients): raise the limit (ulimit -n, limit_nofile), or clients will wait in the backlog for descriptors",
			n, limit, connsFor(limit, r.srv.Handler)))
	}
}

// explainPort says what the port alone decides about a client that connects to
// it.
func (s *Server) explainPort(p port.Spec, peer access.Peer) (bridge.PortVerdict, error) {
	cfg, _, err := s.Config.forPort(p)
	if err != nil {
		return bridge.PortVerdict{}, err
	}
	datagrams := p.Kind() == "udp" || p.Kind() == "unixdgram"
	rule, err := cfg.headerRule(!datagrams)
	switch {
	case err != nil:
		return bridge.PortVerdict{}, fmt.Errorf("port %s: %w", p.Short(), err)
	case rule == nil:
		return bridge.PortVerdict{Allowed: true, Why: keyProxyProtocol + " off: the rules go by this address"}, nil
	case rule.trusts(peer):
		return bridge.PortVerdict{Allowed: true, Proxied: true, Why: "in " + keyProxyFrom + ": the rules and limits go by the address in its PROXY header"}, nil
	case rule.optional:
		return bridge.PortVerdict{Allowed: true, Why: "not in " + keyProxyFrom + ": the rules go by this address, and a PROXY header is refused"}, nil
	}
	return bridge.PortVerdict{Why: fmt.Sprintf("%s %s: not in %s", keyProxyProtocol, ProxyRequire, keyProxyFrom)}, nil
}
