package serving

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"netserver"
	"netserver/conf"
	"netserver/handler/exec"
	"netserver/handler/httpd/challenge"
	"netserver/handler/proxy"
	"netserver/internal/foreign"
	"netserver/tlsparams"
	"netserver/tlsparams/outbound"
)

// MaxPrograms is how many programs may run at once where max_servers is not
// given: Net::Server's own default for its children.
const MaxPrograms = 256

// An Env is what handlers need of the process.
type Env struct {
	Exit   func()        // ends the server, for who may ask for it
	TLS    tlsparams.Env // how files of TLS to targets are read
	Access func([]byte)  // writes a line of the access log; nil if there is none
	// Answers has what certificate authorities are answered by HTTP; nil is none.
	Answers *challenge.Answers
	// Serves reports whether a TLS port has a certificate for a host. It is asked
	// when clients come.
	Serves func(host string) bool
	Type   string // of the server, without HTTP: Fork, say
	// ServesAs is the user of the serving processes, if they are to be another
	// one than this process and not root; else "".
	ServesAs string
	Jailed   bool // files are below a root directory that this process does not have yet
}

// Made are the handlers of a server.
type Made struct {
	Handler  netserver.Handler            // of ports that have none of their own
	Handlers map[string]netserver.Handler // of the others, as Server.Handlers has them
	Outbound []*outbound.Source           // TLS to targets
	Notes    []string                     // for the log: what HTTP paths lead to
	Warnings []string                     // of routes that no client comes to, and of TLS to targets

	Foreign *foreign.Source // of sockets that connect from clients' addresses

	backends *backends
	programs []*exec.Handler
	starters []Starter
}

// A Starter is a handler that starts programs, and counts them: how many it has
// started, and how many have ended with status 0, with another, and by a signal.
type Starter interface {
	Counts() (started, succeeded, failed, killed uint64)
}

// Starters returns the handlers that start programs.
func (m *Made) Starters() []Starter { return m.starters }

// Follow follows the files of TLS to targets until the returned function is
// called, and tells log of what happens to them.
func (m *Made) Follow(ctx context.Context, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var jobs sync.WaitGroup
	for _, s := range m.Outbound {
		s.LogTo(log)
		jobs.Go(func() { s.Run(ctx) })
	}
	return func() { cancel(); jobs.Wait() }
}

// LogTo has backends tell log of targets that go down and come back, and
// programs of spare ones that fail. It is called before any client comes.
func (m *Made) LogTo(log *slog.Logger) {
	m.backends.logTo(log)
	for _, h := range m.programs {
		h.Log = log
	}
}

// Backends returns the backends in the order of the configuration, and those
// that targets of proxy_to have, which have no name.
func (m *Made) Backends() []*proxy.Backend {
	if m.backends == nil {
		return nil
	}
	return append(m.backends.all(), m.backends.own...)
}

// A maker makes the handlers of Services, one for each.
type maker struct {
	s        *Services
	env      Env
	backends *backends
	made     map[*Service]netserver.Handler
	foreign  *foreign.Source
	programs []*exec.Handler
	starters []Starter
	outbound []*outbound.Source
	warnings []string
	notes    []string
	targets  map[*Service]*proxy.Handler // of HTTP
}

// Make makes the handlers. The error joins all that is wrong with them; that of
// Resolve is not in it.
func (s *Services) Make(env Env) (*Made, error) {
	m := &maker{s: s, env: env, made: make(map[*Service]netserver.Handler), foreign: new(foreign.Source)}
	if s.faulty {
		return &Made{Handler: m.placeholder()}, nil // what is wrong has been said
	}
	var errs []error
	var err error
	m.backends, err = m.readBackends(!env.Jailed)
	errs = append(errs, err)
	all := &Made{Foreign: m.foreign, backends: m.backends, Handlers: make(map[string]netserver.Handler)}
	if s.Shared() {
		if all.Handler, err = m.portHandler(s.server); err != nil {
			errs = append(errs, err)
			all.Handler = m.placeholder()
		}
	}
	byName := make(map[string]*Service)
	var back []error // of handlers that are whole
	for i, spec := range s.in.Ports {
		one, name := s.Of(i), spec.Short()
		if other, ok := byName[name]; ok && other != one && spec.Port == "0" {
			errs = append(errs, fmt.Errorf("port %s is there twice, with different handlers, which are told apart by the port", name))
		}
		byName[name] = one
		errs = append(errs, m.checkDatagrams(spec, one), checkArguments(spec, one), m.checkRedirect(spec, one))
		if one == s.server {
			back = append(back, m.leadsBack(all.Handler, spec, one))
			continue
		}
		h, err := m.portHandler(one)
		if err != nil {
			errs = append(errs, each(err, func(err error) error { return fmt.Errorf("port %s: %w", name, err) }))
			all.Handlers[name] = m.placeholder()
			continue
		}
		back = append(back, m.leadsBack(h, spec, one))
		all.Handlers[name] = h
	}
	all.Outbound, all.Warnings, all.programs, all.starters, all.Notes = m.outbound, m.warnings, m.programs, m.starters, m.notes
	if err := errors.Join(errs...); err != nil {
		return all, err
	}
	if err := errors.Join(back...); err != nil {
		return all, err
	}
	return all, m.circles(m.made)
}

// placeholder stands where a handler cannot be made, which has been said. It
// fits every port: nothing has to be said of it beside that.
func (m *maker) placeholder() netserver.Handler {
	return netserver.StartsTLS(m.echoHandler(m.s.server))
}

// handler makes the handler of a service, once.
func (m *maker) handler(s *Service) (netserver.Handler, error) {
	if h, ok := m.made[s]; ok {
		return h, nil
	}
	h, err := m.makeHandler(s)
	if err != nil {
		return nil, each(err, func(err error) error { return located(err, s.at) })
	}
	m.made[s] = h
	return h, nil
}

func (m *maker) makeHandler(s *Service) (netserver.Handler, error) {
	if s.web() {
		return m.webHandler(s)
	}
	switch s.kind {
	case runs:
		return m.runHandler(s)
	case proxies:
		return m.proxyHandler(s)
	case routes:
		return m.routeHandler(s)
	case answers:
		return m.echoHandler(s), nil // nobody comes to it
	case refuses:
		return nil, errors.New("refuse is for routes")
	}
	if m.s.in.Events {
		return eventEchoHandler(m.echoHandler(s)), nil
	}
	return m.echoHandler(s), nil
}

// each returns f of an error, or of each of those that it joins: those have
// several lines.
func each(err error, f func(error) error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || !strings.Contains(err.Error(), "\n") {
		return f(err)
	}
	var list []error
	for _, one := range joined.Unwrap() {
		list = append(list, each(one, f))
	}
	return errors.Join(list...)
}

// located says in an error where in the configuration its cause stands, if it
// does not say that.
func located(err error, at conf.Origin) error {
	if at == (conf.Origin{}) {
		return err
	}
	p, ok := err.(*conf.Problem)
	switch {
	case ok && p.Origin != (conf.Origin{}):
		return err
	case ok:
		placed := *p
		placed.Origin = at
		return &placed
	}
	return &conf.Problem{Origin: at, Err: err}
}
