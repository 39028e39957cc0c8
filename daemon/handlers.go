package daemon

import (
	"errors"
	"fmt"

	"netserver"
	"netserver/conf"
	"netserver/handler/starttls"
)

// maxPrograms is how many programs may run at once where max_servers is not
// given: Net::Server's own default for its children.
const maxPrograms = 256

// A handlers makes the handlers of a program, one for each service.
type handlers struct {
	p        *program
	backends *backends
	made     map[*service]netserver.Handler
}

// makeHandlers makes the handlers of the server and of the ports that have one
// of their own. The error joins all that is wrong with them.
func (p *program) makeHandlers() error {
	c := p.conf
	if c.services.faulty {
		p.server.Handler = p.echoHandler(c.services.server) // what is wrong has been said
		return nil
	}
	if c.services.runPrograms() && c.Server.Limits.MaxServing == 0 {
		c.Server.Limits.MaxServing = maxPrograms
	}
	var errs []error
	m := &handlers{p: p, made: make(map[*service]netserver.Handler)}
	var err error
	m.backends, err = c.readBackends(p.res)
	p.backends = m.backends
	errs = append(errs, err)
	if c.services.shared() {
		p.server.Handler, err = m.portHandler(c.services.server)
		errs = append(errs, err)
	}
	byName := make(map[string]*service)
	for i, spec := range c.Server.Ports {
		s, name := c.services.of(i), spec.Short()
		if other, ok := byName[name]; ok && other != s && spec.Port == "0" {
			errs = append(errs, fmt.Errorf("port %s is there twice, with different handlers, which are told apart by the port", name))
		}
		byName[name] = s
		errs = append(errs, m.checkDatagrams(spec, s))
		if s == c.services.server {
			continue
		}
		h, err := m.portHandler(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("port %s: %w", spec.Short(), err))
			continue
		}
		if p.server.Handlers == nil {
			p.server.Handlers = make(map[string]netserver.Handler)
		}
		p.server.Handlers[name] = h
	}
	return errors.Join(errs...)
}

// portHandler makes the handler of a port's service.
func (m *handlers) portHandler(s *service) (netserver.Handler, error) {
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

// handler makes the handler of a service, once.
func (m *handlers) handler(s *service) (netserver.Handler, error) {
	if h, ok := m.made[s]; ok {
		return h, nil
	}
	h, err := m.makeHandler(s)
	if err != nil {
		return nil, located(err, s.at)
	}
	m.made[s] = h
	return h, nil
}

func (m *handlers) makeHandler(s *service) (netserver.Handler, error) {
	switch s.kind {
	case runs:
		return m.p.runHandler(s)
	case proxies:
		return m.proxyHandler(s)
	case routes:
		return m.routeHandler(s)
	case refuses:
		return nil, errors.New("refuse is for routes")
	}
	return m.p.echoHandler(s), nil
}

// located says in an error where in the configuration its cause stands.
func located(err error, at conf.Origin) error {
	if at == (conf.Origin{}) {
		return err
	}
	if p, ok := err.(*conf.Problem); ok && p.Origin == (conf.Origin{}) {
		placed := *p
		placed.Origin = at
		return &placed
	}
	return &conf.Problem{Origin: at, Err: err}
}
