package serving

import (
	"fmt"

	"netserver"
	"netserver/conf"
	"netserver/handler/starttls"
	"netserver/port"
	dialog "netserver/starttls"
)

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
	case p.Kind() != port.SSL:
		return no("clients start TLS on TLS ports: write it as PORT/ssl, or give %s in the [[listen]] block of another", keyStartTLS)
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
