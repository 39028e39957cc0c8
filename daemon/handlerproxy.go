package daemon

import (
	"fmt"
	"slices"

	"netserver"
	"netserver/conf"
	"netserver/handler/proxy"
)

// proxyHandler makes a handler that connects each client to a target.
func (m *handlers) proxyHandler(s *service) (netserver.Handler, error) {
	h := &proxy.Handler{SessionTimeout: s.SessionTimeout, MaxSessions: s.MaxSessions, Answers: s.Answers, AnswerTimeout: s.AnswerTimeout}
	if s.byName() {
		b, ok := m.backends.made[s.Backend]
		switch {
		case !ok && slices.Contains(m.backends.names(), s.Backend):
			return h, nil // what is wrong with it has been said
		case !ok:
			return nil, m.backends.missing(s.Backend)
		}
		h.Backend = b
	} else {
		h.Target, h.ConnectTimeout = s.ProxyTo[0], s.Dial.ConnectTimeout
	}
	return h, h.Check()
}

// missing says that there is no backend called name.
func (b *backends) missing(name string) error {
	p := &conf.Problem{Err: fmt.Errorf("there is no [[backend]] named %q", name)}
	if near := conf.Nearest(name, b.names()); near != "" {
		p.Hint = "did you mean " + near + "?"
	}
	return p
}
