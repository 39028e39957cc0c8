package netserver

import (
	"fmt"

	"netserver/access"
	"netserver/internal/bridge"
	"netserver/port"
)

// budget returns the effective limits of s.Config with s.Handler whose defaults
// depend on the machine.
func (s *Server) budget() bridge.Budget {
	e := s.Config.effective(s.Handler)
	b := bridge.Budget{"memory_waiting": priceWaiting, "memory_plain": pricePlain, "memory_tls": priceTLS}
	for i := range settings {
		if t := &settings[i]; t.budget {
			b[t.key] = t.value((*Config)(&e)).Int()
		}
	}
	return b
}

// explainPort says what the port alone decides about a client that connects to
// it.
func (s *Server) explainPort(p port.Spec, peer access.Peer) (bridge.PortVerdict, error) {
	pc, err := s.configOf(p)
	if err != nil {
		return bridge.PortVerdict{}, err
	}
	if err := pc.checkStream(p.Kind() != port.UDP && p.Kind() != port.UnixDgram); err != nil {
		return bridge.PortVerdict{}, err
	}
	switch rule := pc.header; {
	case rule == nil:
		return bridge.PortVerdict{Allowed: true, Why: keyProxyProtocol + " off: the rules go by this address"}, nil
	case rule.trusts(peer):
		return bridge.PortVerdict{Allowed: true, Proxied: true, Why: "in " + keyProxyFrom + ": the rules and limits go by the address in its PROXY header"}, nil
	case rule.optional:
		return bridge.PortVerdict{Allowed: true, Why: "not in " + keyProxyFrom + ": the rules go by this address, and a PROXY header is refused"}, nil
	}
	return bridge.PortVerdict{Why: fmt.Sprintf("%s %s: not in %s", keyProxyProtocol, ProxyRequire, keyProxyFrom)}, nil
}
