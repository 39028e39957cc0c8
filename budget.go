package netserver

import (
	"fmt"
	"math"

	"netserver/access"
	"netserver/internal/proc"
	"netserver/port"
)

// A Budget is what the limits of a Server come to in this process, those among
// them whose default depends on the machine. 0 is no limit.
type Budget struct {
	MaxConns               int   `json:"max_connections"`
	MaxPerSource           int   `json:"max_per_source"`
	MaxPerPrefix           int   `json:"max_per_prefix"`
	MaxHandshakes          int   `json:"max_handshakes"`
	MaxHandshakesPerSource int   `json:"max_handshakes_per_source"`
	MaxHandshakesPerPrefix int   `json:"max_handshakes_per_prefix"`
	MaxMemory              int64 `json:"max_memory"`
	// What a connection is counted as in MaxMemory, in bytes: one that is in
	// its handshake, one that is served without TLS, and one over TLS.
	Waiting int64 `json:"memory_waiting"`
	Plain   int64 `json:"memory_plain"`
	TLS     int64 `json:"memory_tls"`
}

// Budget returns it for s.Config and s.Handler.
func (s *Server) Budget() Budget {
	c := &s.Config
	conns := c.maxConnsOf(s.Handler)
	l := c.limits(conns)
	return Budget{
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

// A PortVerdict is what a port alone decides about a client by its address.
type PortVerdict struct {
	Allowed bool
	Proxied bool   // rules and limits go by the address in its PROXY header
	Why     string // "in proxy_protocol_from: ..."
}

// ExplainPort says what the port alone decides about a client that connects to
// it, before any byte of the client's own and any access rule. The error is
// about the port's parameters.
func (s *Server) ExplainPort(p port.Spec, peer access.Peer) (PortVerdict, error) {
	cfg, _, err := s.Config.forPort(p)
	if err != nil {
		return PortVerdict{}, err
	}
	datagrams := p.Kind() == "udp" || p.Kind() == "unixdgram"
	rule, err := cfg.headerRule(!datagrams)
	switch {
	case err != nil:
		return PortVerdict{}, fmt.Errorf("port %s: %w", p.Short(), err)
	case rule == nil:
		return PortVerdict{Allowed: true, Why: keyProxyProtocol + " off: the rules go by this address"}, nil
	case rule.trusts(peer):
		return PortVerdict{Allowed: true, Proxied: true, Why: "in " + keyProxyFrom + ": the rules and limits go by the address in its PROXY header"}, nil
	case rule.optional:
		return PortVerdict{Allowed: true, Why: "not in " + keyProxyFrom + ": the rules go by this address, and a PROXY header is refused"}, nil
	}
	return PortVerdict{Why: fmt.Sprintf("%s %s: not in %s", keyProxyProtocol, ProxyRequire, keyProxyFrom)}, nil
}
