package serving

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"netserver/conf"
	"netserver/daemon/internal/wire"
	"netserver/handler/route"
	"netserver/port"
)

// A serviceKind is which of the ready handlers serves.
type serviceKind uint8

const (
	echoes     serviceKind = iota // the default
	runs                          // a program
	proxies                       // to proxy_to or to a backend
	routes                        // to one of several others
	refuses                       // nobody
	dispatches                    // programs, by the path of an HTTP request
	sends                         // files, by HTTP
	redirects                     // to https, by HTTP
	answers                       // balancers, by the port's key health: nobody is served
)

// A Service is what serves the clients of a port, or those of a route.
type Service struct {
	Config
	kind   serviceKind
	chosen string      // the key that chose it; "" for the default
	own    bool        // it was chosen for this port alone
	at     conf.Origin // where it was chosen; zero for the default
	routes []*routed   // of kind routes
	wire   route.Wire  // of their port
}

// Services are what serves the clients of a server. They do not change.
type Services struct {
	in     Input
	server *Service   // of ports that have none of their own
	faulty bool       // something is wrong with them
	ports  []*Service // of each of Server.Ports, in order
}

// Of returns the service of the port at position i.
func (s *Services) Of(i int) *Service {
	if i < len(s.ports) {
		return s.ports[i]
	}
	return s.server
}

// Used returns every service that clients can come to, those of routes among
// them.
func (s *Services) Used() []*Service {
	if len(s.ports) == 0 {
		return s.server.Leaves()
	}
	var list []*Service
	for _, p := range s.ports {
		if p != s.server || !slices.Contains(list, p) {
			list = append(list, p.Leaves()...)
		}
	}
	return list
}

// Shared reports whether a port has no service of its own.
func (s *Services) Shared() bool {
	for _, p := range s.ports {
		if !p.own {
			return true
		}
	}
	// Of several proxy_to each goes with a port.
	return len(s.ports) == 0 || len(s.server.ProxyTo) > 1
}

// Differ reports whether a port has something of its own.
func (s *Services) Differ() bool {
	return slices.ContainsFunc(s.ports, func(p *Service) bool { return p.own || p != s.server }) ||
		slices.ContainsFunc(s.in.Own, func(b conf.Block) bool { return len(b.Values) > 0 || len(b.Tables) > 0 })
}

// Programs returns each program that serves clients, with its arguments, once.
func (s *Services) Programs() (list [][]string) {
	for _, x := range s.Used() {
		for _, p := range programsOf(x) {
			if !slices.ContainsFunc(list, func(argv []string) bool { return slices.Equal(argv, p) }) {
				list = append(list, p)
			}
		}
	}
	return list
}

// RunPrograms reports whether a program serves clients.
func (s *Services) RunPrograms() bool { return len(s.Programs()) > 0 }

// proxyTargets returns the target of each proxy_to in use, once. Those of
// backends are not among them.
func (s *Services) proxyTargets() (list []string) {
	for _, x := range s.Used() {
		if x.kind == proxies && !x.byName() && !slices.Contains(list, x.ProxyTo[0]) {
			list = append(list, x.ProxyTo[0])
		}
	}
	return list
}

// Leaves returns the services that serve clients: s, or those of its routes.
func (s *Service) Leaves() []*Service {
	if s == nil {
		return nil
	}
	if s.kind != routes {
		return []*Service{s}
	}
	var list []*Service
	for _, r := range s.routes {
		list = append(list, r.to.Leaves()...)
	}
	return list
}

// is reports whether s is of a kind; a nil one is of none.
func (s *Service) is(kind serviceKind) bool { return s != nil && s.kind == kind }

// byName reports whether the targets are those of a [[backend]].
func (s *Service) byName() bool { return s.chosen == keyBackend }

// echoesLines reports whether s is the echo of lines.
func (s *Service) echoesLines() bool { return s.kind == echoes && s.Echo != "raw" && !s.web() }

// Name says in a few words what serves.
func (s *Service) Name() string {
	if s.web() {
		return s.webName()
	}
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
	case answers:
		return keyHealth
	}
	return "echo"
}

// An Input is what a configuration says of handlers.
type Input struct {
	Config  Config
	Result  *conf.Result
	Program []string     // what stood behind --
	Ports   []port.Spec  // in order; Resolve sets the parameters that follow from their handlers
	Own     []conf.Block // what these have for themselves; none is nothing
	Events  bool         // what is built in serves its clients by events
}

// Resolve reads what serves the clients of each port. The error joins all that
// is wrong with that; then the Services are Faulty.
func Resolve(in Input) (*Services, error) {
	s := &Services{in: in}
	var errs []error
	given := in.Result.Given()
	delete(given, keyEcho) // the default of all, beside which others may stand
	h := in.Config
	if len(in.Program) > 0 {
		vals := given[keyProgram]
		if len(vals) > 0 && vals[0].Origin.Source == conf.SourceArgs {
			errs = append(errs, vals[0].Errorf("program is given, and a program after --: a client can be served by one of them"))
		}
		h.Program = in.Program
		given[keyProgram] = []conf.Value{{Text: in.Program[0]}}
	}
	own, err := h.choose(given)
	errs = append(errs, err)
	if own == nil {
		own = &Service{Config: h, at: origin(in.Result.Get(keyEcho))}
	}
	own.own = false
	s.server = own
	for i := range in.Ports {
		one, err := s.serviceOf(i)
		errs = append(errs, err)
		if one == nil {
			one = own
		}
		if one.kind == routes {
			one.wire = wireOf(in.Ports[i])
		}
		if one.StartTLS != "" {
			errs = append(errs, one.startsTLS(&in.Ports[i]))
		}
		s.ports = append(s.ports, one)
	}
	err = errors.Join(errs...)
	s.faulty = err != nil
	return s, err
}

// serviceOf reads what serves the clients of the port at position i.
func (s *Services) serviceOf(i int) (*Service, error) {
	b, p := s.Own(i), s.in.Ports[i]
	server := s.server
	h := server.Config
	if err := b.Read(h.Define); err != nil {
		return nil, err
	}
	if err := emptyList(b, keyProgram, KeyProxyTo, keyApp); err != nil {
		return nil, err
	}
	own, err := h.choose(b.Values)
	hasRoutes := len(b.Tables[TableRoute]) > 0
	switch {
	case err != nil:
		return nil, err
	case s.answers(p) && (own != nil || hasRoutes):
		at := b.Origin
		if own != nil {
			at = own.at
		}
		return nil, &conf.Problem{Origin: at, Err: fmt.Errorf("port %s has %s, and what serves clients beside it: it can only do one", p.Short(), keyHealth)}
	case s.answers(p):
		return &Service{kind: answers, chosen: keyHealth, own: true, at: origin(p.Params[keyHealth])}, nil
	case hasRoutes && own != nil:
		return nil, &conf.Problem{Origin: own.at, Err: fmt.Errorf("port %s has routes, and a handler beside them", p.Short()),
			Hint: "write it as the last [[listen.route]], without conditions"}
	case hasRoutes:
		return h.route(b)
	case own != nil && own.kind == proxies && len(b.Values[KeyProxyTo]) > 1:
		return nil, &conf.Problem{Key: KeyProxyTo, Origin: b.Values[KeyProxyTo][1].Origin, Err: errors.New("a port has one target"), Hint: SeveralTargets}
	case own != nil:
		return own, besideBackend(own, b.Values)
	case server.kind == proxies && len(server.ProxyTo) > 1:
		return nil, &conf.Problem{Key: KeyProxyTo, Origin: server.at,
			Err:  fmt.Errorf("there are %d targets, which go with as many ports of the key port, and port %s has none", len(server.ProxyTo), p.Short()),
			Hint: "give its [[listen]] block its own"}
	case len(b.Values) == 0:
		return server, nil
	}
	kept := *server // with settings of its own
	kept.Config = h
	if isTrue(b.Values[KeyHTTP]) && server.chosen == keyEcho {
		kept.chosen = "" // the page takes its place
	}
	return &kept, besideBackend(&kept, b.Values)
}

// answers reports whether a port has the engine's key health, or all have it.
func (s *Services) answers(p port.Spec) bool {
	vals, own := p.Params[keyHealth]
	if !own {
		vals = s.in.Result.Get(keyHealth)
	}
	return len(vals) > 0 && !slices.Contains([]string{"", "0", "false"}, vals[len(vals)-1].Text)
}

// Own returns what the port at position i has for itself.
func (s *Services) Own(i int) conf.Block {
	if i < len(s.in.Own) {
		return s.in.Own[i]
	}
	return conf.Block{}
}

// choose returns the service that values, which h has been read from, ask for;
// nil if for none.
func (h *Config) choose(values conf.Values) (*Service, error) {
	s := &Service{Config: *h, own: true}
	var chosen []string
	for _, c := range []struct {
		key  string
		kind serviceKind
	}{{keyProgram, runs}, {KeyProxyTo, proxies}, {keyBackend, proxies}, {keyEcho, echoes}, {keyApp, dispatches}, {KeyRoot, sends}, {keyRedirect, redirects}, {keyRefuse, refuses}} {
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

// emptyList refuses lists without a value among keys that say who is served by
// whom: with a condition of none a route would take everybody, and with a
// program of none a port would be served by another handler.
func emptyList(b conf.Block, keys ...string) error {
	for _, key := range keys {
		if vals, given := b.Values[key]; given && len(vals) == 0 {
			return &conf.Problem{Key: key, Origin: b.Origin, Err: errors.New("it is an empty list"), Hint: "give it a value, or leave it out"}
		}
	}
	return nil
}

// isTrue reports whether the value of a boolean is true, as its binder has read
// it.
func isTrue(vals []conf.Value) bool {
	if len(vals) == 0 {
		return false
	}
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

// Name says in a few words what serves the clients.
func (s *Services) Name() string {
	var names []string
	for _, one := range s.Used() {
		name := one.Name()
		if len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return wire.ShortName(strings.Join(names, ", "))
}

// ClientsMayExit reports whether a client can end the server, as that of a line
// echo can.
func (s *Services) ClientsMayExit() bool {
	return slices.ContainsFunc(s.Used(), (*Service).echoesLines)
}
