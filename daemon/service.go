package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"netserver/conf"
	"netserver/daemon/internal/wire"
	"netserver/handler/starttls"
	"netserver/port"
	dialog "netserver/starttls"
)

// A serviceKind is which of the ready handlers serves.
type serviceKind uint8

const (
	echoes  serviceKind = iota // the default
	runs                       // a program
	proxies                    // to proxy_to or to a backend
	routes                     // to one of several others
	refuses                    // nobody
)

// A service is what serves the clients of a port, or those of a route.
type service struct {
	HandlerConfig
	kind   serviceKind
	chosen string      // the key that chose it; "" for the default
	own    bool        // it was chosen for this port alone
	at     conf.Origin // where it was chosen; zero for the default
	route  conf.Origin // where its [[listen.route]] begins, if it is of one
	routes []*routed   // of kind routes
}

// services are what serves the clients of a server.
type services struct {
	server *service   // of ports that have none of their own
	faulty bool       // something is wrong with them
	ports  []*service // of each of Server.Ports, in order
}

// of returns the service of the port at position i.
func (s *services) of(i int) *service {
	if i < len(s.ports) {
		return s.ports[i]
	}
	return s.server
}

// used returns every service that clients can come to, those of routes among
// them.
func (s *services) used() []*service {
	if len(s.ports) == 0 {
		return s.server.leaves()
	}
	var list []*service
	for _, p := range s.ports {
		if p != s.server || !slices.Contains(list, p) {
			list = append(list, p.leaves()...)
		}
	}
	return list
}

// shared reports whether a port has no service of its own.
func (s *services) shared() bool {
	for _, p := range s.ports {
		if !p.own {
			return true
		}
	}
	// Of several proxy_to each goes with a port.
	return len(s.ports) == 0 || len(s.server.ProxyTo) > 1
}

// differ reports whether a port has something of its own: blocks are what the
// conf file says of each.
func (s *services) differ(blocks []conf.Block) bool {
	return slices.ContainsFunc(s.ports, func(p *service) bool { return p.own || p != s.server }) ||
		slices.ContainsFunc(blocks, func(b conf.Block) bool { return len(b.Values) > 0 || len(b.Tables) > 0 })
}

// programs returns each program that serves clients, with its arguments, once.
func (s *services) programs() (list [][]string) {
	for _, x := range s.used() {
		if x.kind == runs && !slices.ContainsFunc(list, func(argv []string) bool { return slices.Equal(argv, x.Program) }) {
			list = append(list, x.Program)
		}
	}
	return list
}

func (s *services) runPrograms() bool { return len(s.programs()) > 0 }

// proxyTargets returns the target of each proxy_to in use, once. Those of
// backends are not among them.
func (s *services) proxyTargets() (list []string) {
	for _, x := range s.used() {
		if x.kind == proxies && !x.byName() && !slices.Contains(list, x.ProxyTo[0]) {
			list = append(list, x.ProxyTo[0])
		}
	}
	return list
}

// leaves returns the services that serve clients: s, or those of its routes.
func (s *service) leaves() []*service {
	if s == nil {
		return nil
	}
	if s.kind != routes {
		return []*service{s}
	}
	var list []*service
	for _, r := range s.routes {
		list = append(list, r.to.leaves()...)
	}
	return list
}

// is reports whether s is of a kind; a nil one is of none.
func (s *service) is(kind serviceKind) bool { return s != nil && s.kind == kind }

// byName reports whether the targets are those of a [[backend]].
func (s *service) byName() bool { return s.chosen == keyBackend }

// echoesLines reports whether s is the echo of lines.
func (s *service) echoesLines() bool { return s.kind == echoes && s.Echo != "raw" }

// name says in a few words what serves.
func (s *service) name() string {
	switch s.kind {
	case runs:
		return "program " + s.Program[0]
	case proxies:
		if s.byName() {
			return "backend " + s.Backend
		}
		return "proxy to " + s.ProxyTo[0]
	case routes:
		return fmt.Sprintf("%d routes", len(s.routes))
	case refuses:
		return "refuse"
	}
	return "echo"
}

// resolveServices reads what serves the clients of each port. The error joins
// all that is wrong with that.
func (c *Config) resolveServices(res *conf.Result) error {
	c.services = services{}
	var errs []error
	given := res.Given()
	delete(given, keyEcho) // the default of all, beside which others may stand
	h := c.Handler
	if len(c.Program) > 0 {
		vals := given[keyProgram]
		if len(vals) > 0 && vals[0].Origin.Source == conf.SourceArgs {
			errs = append(errs, vals[0].Errorf("program is given, and a program after --: a client can be served by one of them"))
		}
		h.Program = c.Program
		given[keyProgram] = []conf.Value{{Text: c.Program[0]}}
	}
	own, err := h.choose(given)
	errs = append(errs, err)
	if own == nil {
		own = &service{HandlerConfig: h, at: origin(res.Get(keyEcho))}
	}
	own.own = false
	c.services.server = own
	for i := range c.Server.Ports {
		s, err := c.serviceOf(i)
		errs = append(errs, err)
		if s == nil {
			s = own
		}
		if s.StartTLS != "" {
			errs = append(errs, s.startsTLS(&c.Server.Ports[i]))
		}
		c.services.ports = append(c.services.ports, s)
	}
	err = errors.Join(errs...)
	c.services.faulty = err != nil
	return err
}

// startsTLS has the clients of a port begin in plain text, and says what
// contradicts that.
func (s *service) startsTLS(p *port.Spec) error {
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
	for _, to := range s.leaves() {
		if !to.is(proxies) && !to.is(refuses) {
			return no("%s wants a target, whose greeting it takes, and not %s", keyStartTLS, to.name())
		}
	}
	if p.Params == nil {
		p.Params = make(conf.Values)
	}
	p.Params.Set(plainKey, "0")
	return nil
}

// serviceOf reads what serves the clients of the port at position i.
func (c *Config) serviceOf(i int) (*service, error) {
	var b conf.Block
	if i < len(c.serving) {
		b = c.serving[i]
	}
	server, p := c.services.server, c.Server.Ports[i]
	h := server.HandlerConfig
	if err := b.Read(h.define); err != nil {
		return nil, err
	}
	s, err := h.choose(b.Values)
	hasRoutes := len(b.Tables[tableRoute]) > 0
	switch {
	case err != nil:
		return nil, err
	case hasRoutes && s != nil:
		return nil, &conf.Problem{Origin: s.at, Err: fmt.Errorf("port %s has routes, and a handler beside them", p.Short()),
			Hint: "write it as the last [[listen.route]], without conditions"}
	case hasRoutes:
		return h.route(b)
	case s != nil && s.kind == proxies && len(b.Values[keyProxyTo]) > 1:
		return nil, &conf.Problem{Key: keyProxyTo, Origin: b.Values[keyProxyTo][1].Origin, Err: errors.New("a port has one target"), Hint: severalTargets}
	case s != nil:
		return s, nil
	case server.kind == proxies && len(server.ProxyTo) > 1:
		return nil, &conf.Problem{Key: keyProxyTo, Origin: server.at,
			Err:  fmt.Errorf("there are %d targets, which go with as many ports of the key port, and port %s has none", len(server.ProxyTo), p.Short()),
			Hint: "give its [[listen]] block its own"}
	case len(b.Values) == 0:
		return server, nil
	}
	kept := *server // with settings of its own
	kept.HandlerConfig = h
	return &kept, nil
}

const severalTargets = "write several as a [[backend]] of a TOML conf file"

// choose returns the service that values, which h has been read from, ask for;
// nil if for none.
func (h *HandlerConfig) choose(values conf.Values) (*service, error) {
	s := &service{HandlerConfig: *h, own: true}
	var chosen []string
	for _, c := range []struct {
		key  string
		kind serviceKind
	}{{keyProgram, runs}, {keyProxyTo, proxies}, {keyBackend, proxies}, {keyEcho, echoes}, {keyRefuse, refuses}} {
		vals := values[c.key]
		if len(vals) == 0 || c.key == keyRefuse && !isTrue(vals) {
			continue
		}
		s.kind, s.chosen, s.at = c.kind, c.key, origin(vals)
		chosen = append(chosen, c.key)
	}
	switch {
	case len(chosen) == 0:
		return nil, nil
	case len(chosen) > 1:
		return nil, &conf.Problem{Origin: s.at, Err: fmt.Errorf("%s are both given: a client can be served by one of them", strings.Join(chosen[:2], " and "))}
	}
	return s, nil
}

// isTrue reports whether the value of a boolean is true, as its binder has read
// it.
func isTrue(vals []conf.Value) bool {
	on, err := conf.ParseBool(vals[len(vals)-1])
	return err == nil && on
}

// origin is the place of the first of vals.
func origin(vals []conf.Value) conf.Origin {
	if len(vals) == 0 {
		return conf.Origin{}
	}
	return vals[0].Origin
}

// handlerName says in a few words what serves the clients.
func (c *Config) handlerName(library bool) string {
	if library {
		return "handler"
	}
	var names []string
	for _, s := range c.services.used() {
		name := s.name()
		if len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return wire.ShortName(strings.Join(names, ", "))
}
