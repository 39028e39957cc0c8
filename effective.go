package netserver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"netserver/access"
	"netserver/conf"
	"netserver/port"
	"netserver/proto"
	"netserver/sock"
)

// effective is a Config with its defaults filled in, made once when ports are
// opened. A limit that is zero here is none, and no field is negative.
type effective Config

// effective fills in the defaults of c for a Handler, which may be nil. This,
// and nothing else, makes zero the default and negative none.
func (c Config) effective(h Handler) effective {
	e := effective(c)
	for i := range settings {
		settings[i].fill(&e, h)
	}
	return e
}

// fill sets the row's field to its default if it is zero, and to zero if it is
// negative.
func (t *setting) fill(e *effective, h Handler) {
	if t.outside || t.table != nil || t.key == "" {
		return
	}
	v := t.value((*Config)(e))
	switch v.Kind() {
	case reflect.Int, reflect.Int64:
		switch n := v.Int(); {
		case n < 0:
			v.SetInt(0)
		case n == 0 && t.calc != nil:
			v.SetInt(t.calc(e, h))
		case n == 0 && t.def != nil:
			v.SetInt(reflect.ValueOf(t.def).Int())
		}
	}
}

// take sets what only the whole server has, and what follows from the machine,
// to what all came to: memory and descriptors are asked for once and not for
// each of hundreds of ports (0.4 ms each).
func (c *Config) take(all *effective) {
	for i := range settings {
		t := &settings[i]
		if t.calc == nil || t.port {
			continue
		}
		if v := t.value(c); v.Int() == 0 {
			v.Set(t.value((*Config)(all)))
		}
	}
}

// graceTimes returns Grace and GraceSpread with their defaults filled in. Zero
// is at once.
func (c Config) graceTimes() (grace, spread time.Duration) {
	e := effective(c)
	for i := range settings {
		if t := &settings[i]; strings.HasPrefix(t.field, "Shutdown.") {
			t.fill(&e, nil)
		}
	}
	return e.Shutdown.Grace, e.Shutdown.Spread
}

// check returns what is wrong with the values of c, all of it.
func (c *Config) check() error {
	var errs []error
	for i := range settings {
		t := &settings[i]
		if t.table != nil || t.key == "" {
			continue
		}
		v := t.value(c)
		switch {
		case v.CanInt() && t.zero == noneIsRefused && v.Int() < 0:
			errs = append(errs, fmt.Errorf("%s cannot be none (Config.%s is %v)", t.key, t.field, v))
		case t.words != nil && v.CanUint() && v.Uint() >= uint64(len(t.words)):
			errs = append(errs, fmt.Errorf("%s is not one of %s (Config.%s is %d)", t.key, strings.Join(t.words, ", "), t.field, v.Uint()))
		}
	}
	return errors.Join(append(errs, c.contradictions()...)...)
}

// contradictions returns which values of c cannot be meant together.
func (c *Config) contradictions() (errs []error) {
	a := &c.Admission
	if a.NoQueue && (a.Handshakes.All > 0 || a.Handshakes.PerSource > 0 || a.Handshakes.PerPrefix > 0) {
		errs = append(errs, errors.New("handshake_queue none counts no handshakes: leave out max_handshakes, max_handshakes_per_source and max_handshakes_per_prefix, or the queue fair"))
	}
	if p := &a.Penalty; p.MaxTime > 0 && p.Time > p.MaxTime {
		errs = append(errs, fmt.Errorf("penalty_time %v is more than penalty_max_time %v", p.Time, p.MaxTime))
	}
	for _, list := range []struct {
		key  string
		nets []netip.Prefix
	}{{"penalty_exempt", a.Penalty.Exempt}, {keyProxyFrom, c.Proxy.From}, {keyQuietFrom, c.QuietFrom}} {
		for _, p := range list.nets {
			if err := checkPrefix(p); err != nil {
				errs = append(errs, fmt.Errorf("%s %w", list.key, err))
			}
		}
	}
	return errs
}

// ports returns the ports to open.
func (s *Server) ports() []port.Spec {
	if len(s.Config.Ports) == 0 {
		return []port.Spec{{Host: "*", Port: "20203", Proto: "tcp", IPv: "*"}}
	}
	return s.Config.Ports
}

// A portConfig is what holds on one port: the Server's configuration with the
// port's own values over it.
type portConfig struct {
	effective
	spec   port.Spec   // whose Params are those that the protocol reads
	header *headerRule // for PROXY headers, if its clients begin with them
	rules  bool        // it has access rules of its own
	beside *Admission  // what it allows beside the Server's limits; nil for no limit of its own
}

// configOf reads what a port has for itself. The error joins all that is wrong
// with that. all is the Server's own configuration with its defaults.
func (s *Server) configOf(p port.Spec, all *effective) (*portConfig, error) {
	c := s.Config
	spec, err := c.setParams(p)
	if err == nil {
		err = c.check()
	}
	c.take(all)
	pc := &portConfig{effective: c.effective(s.greediest()), spec: spec, rules: hasRules(p)}
	if err != nil {
		return pc, portError(p, err)
	}
	if pc.beside, err = all.besideOf(p); err != nil {
		return pc, portError(p, err)
	}
	if pc.header, err = pc.headerRule(); err != nil {
		return pc, portError(p, err)
	}
	return pc, nil
}

// configsOf reads what the ports of listeners have for themselves, in order.
func (s *Server) configsOf(ls []net.Listener) ([]*portConfig, error) {
	list := make([]*portConfig, len(ls))
	all := s.Config.effective(s.greediest())
	var errs []error
	for i, l := range ls {
		spec := sock.SpecOf(l)
		if o, ok := l.(*listener); ok {
			spec = o.spec
		}
		pc, err := s.configOf(spec, &all)
		if err == nil {
			_, datagrams := below(l).(*sock.DatagramListener)
			err = errors.Join(pc.checkStream(!datagrams), pc.checkHealth())
			if proto.DoesTLS(l) && pc.Health != HealthOff {
				err = portError(spec, fmt.Errorf("%s is for those who only connect, and this listener does TLS", keyHealth))
			}
		}
		list[i] = pc
		errs = append(errs, err)
	}
	return list, errors.Join(errs...)
}

// setParams sets the fields of c that a port has own values for, and returns
// the port without them.
func (c *Config) setParams(p port.Spec) (port.Spec, error) {
	if len(p.Params) == 0 {
		return p, nil
	}
	var s, beside conf.Set
	for i := range settings {
		switch t := &settings[i]; {
		case t.port && t.group != groupSockets:
			t.define(c, &s)
		case t.beside:
			t.define(new(Config), &beside) // which besideOf reads
		}
	}
	own, rest := make(conf.Values), make(conf.Values)
	for key, v := range p.Params {
		if _, ok := s.Lookup(key); ok {
			own[key] = v
		} else if _, ok := beside.Lookup(key); !ok {
			rest[key] = v
		}
	}
	p.Params = rest
	return p, s.Apply(own)
}

// besideOf returns the limits that a port has of its own, beside those of e,
// which hold for the clients of all ports together; nil if it has none. One that
// allows more than e does would have no effect, and is an error.
func (e *effective) besideOf(p port.Spec) (*Admission, error) {
	var c Config
	var s conf.Set
	own := make(conf.Values)
	var errs []error
	for i := range settings {
		t := &settings[i]
		if v, ok := p.Params[t.key]; ok && t.beside {
			t.define(&c, &s)
			own[t.key] = v
		}
	}
	if len(own) == 0 {
		return nil, nil
	}
	if err := s.Apply(own); err != nil {
		return nil, err
	}
	for i := range settings {
		t := &settings[i]
		v := own[t.key]
		if !t.beside || len(v) == 0 {
			continue
		}
		n, all := t.value(&c), t.value((*Config)(e)).Int()
		switch {
		case n.Int() < 0:
			n.SetInt(0)
		case all > 0 && n.Int() > all:
			errs = append(errs, &conf.Problem{Key: t.key, Origin: v[len(v)-1].Origin,
				Err:  fmt.Errorf("%d is more than the %d of the whole server, which hold as well", n.Int(), all),
				Hint: "raise that, or leave this out"})
		}
	}
	return &c.Admission, errors.Join(errs...)
}

// hasRules reports whether a port has access rules of its own.
func hasRules(p port.Spec) bool {
	if len(p.Params) == 0 {
		return false
	}
	_, ok := p.Params[keyRulesClose]
	return ok || slices.ContainsFunc(access.Keys(), func(k access.KeyInfo) bool { _, ok := p.Params[k.Name]; return ok })
}

// sockOptions returns how the port's socket is opened.
func (pc *portConfig) sockOptions() (sock.Options, error) {
	o, err := pc.Sock.With(pc.spec.Params)
	o.SendTimeout = pc.Timeouts.Write
	if err != nil {
		return o, portError(pc.spec, err)
	}
	return o, nil
}

// checkStream refuses PROXY headers on a port for datagrams.
func (pc *portConfig) checkStream(stream bool) error {
	if pc.header == nil || stream {
		return nil
	}
	return portError(pc.spec, fmt.Errorf("%s %s is for tcp, ssl and unix ports, and this one takes datagrams: give it %s off in its [[listen]] block",
		keyProxyProtocol, pc.Proxy.Mode, keyProxyProtocol))
}

// checkHealth refuses a port that cannot answer by Health.
func (pc *portConfig) checkHealth() error {
	if pc.Health == HealthOff {
		return nil
	}
	own := "give the answer a plain port of its own, by a [[listen]] block"
	switch k := pc.spec.Kind(); {
	case k == port.SSL || k == port.UnixSSL:
		return portError(pc.spec, fmt.Errorf("%s is for those who only connect, and here clients speak TLS: %s", keyHealth, own))
	case k == port.UDP || k == port.UnixDgram:
		return portError(pc.spec, fmt.Errorf("%s is for those who connect, and this port takes datagrams: %s", keyHealth, own))
	case k != port.TCP && k != port.Unix:
		return portError(pc.spec, fmt.Errorf("%s is for tcp and unix ports, and this one speaks %s: %s", keyHealth, pc.spec.Proto, own))
	case pc.header != nil:
		return portError(pc.spec, fmt.Errorf("%s answers before anything is read, and %s %s has clients begin with a header: give the port %s off in its [[listen]] block",
			keyHealth, keyProxyProtocol, pc.Proxy.Mode, keyProxyProtocol))
	}
	return nil
}

func portError(p port.Spec, err error) error { return fmt.Errorf("port %s: %w", p.Short(), err) }
