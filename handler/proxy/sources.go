package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// A source is a target of the configuration, with the addresses that it has
// now.
type source struct {
	Target
	where     address
	named     bool // the Backend looks it up, and not the dialer
	index     int  // in the list
	endpoints []*endpoint
	names     lookups // if it is a name
	times     *connectTimes
}

// setTargets makes targets those of b. What is known of the ones that stay is
// kept. An error is about the target at; then nothing has changed. Call it with
// b.mu held.
func (b *Backend) setTargets(targets []Target) (at string, err error) {
	if len(targets) > maxEndpoints {
		return "", fmt.Errorf("%d targets; the limit is %d", len(targets), maxEndpoints)
	}
	old := make(map[string]*source, len(b.sources))
	for _, s := range b.sources {
		old[s.Address] = s
	}
	list := make([]*source, 0, len(targets))
	seen := make(map[string]bool, len(targets))
	for _, t := range targets {
		where, err := parseAddress(t.Address)
		if err == nil {
			err = t.check()
		}
		if err == nil && seen[t.Address] {
			err = errors.New("the target is given twice")
		}
		if err != nil {
			return printable(t.Address), err
		}
		seen[t.Address] = true
		s := &source{Target: t, where: where, index: len(list), times: new(connectTimes), named: where.network == "srv" || where.isName() && !b.own}
		if was := old[t.Address]; was != nil {
			s.names, s.times = was.names, was.times
		}
		list = append(list, s)
	}
	for _, s := range list {
		var before []*endpoint
		if was := old[s.Address]; was != nil {
			before = was.endpoints
		}
		if s.named {
			s.place(b, s.names.places, before)
		} else {
			s.place(b, []place{{where: s.where, name: s.Address}}, before)
		}
	}
	b.sources = list
	b.arrange()
	return "", nil
}

// A place is an address that a target has.
type place struct {
	where    address
	second   string
	name     string // host:port, the host as it is called
	priority uint16 // of its SRV record
	weight   uint16
}

// place gives s the endpoints of places. Those of before that are still among
// them go on.
func (s *source) place(b *Backend, places []place, before []*endpoint) {
	s.endpoints = make([]*endpoint, 0, len(places))
	for _, p := range places {
		id := s.Address
		if s.where.isName() {
			id = p.name + " " + p.where.address + " " + p.second
		}
		same := func(ep *endpoint) bool { return ep.id == id }
		if slices.ContainsFunc(s.endpoints, same) {
			continue // two SRV records say the same
		}
		i := slices.IndexFunc(before, same)
		var ep *endpoint
		if i >= 0 {
			ep = before[i]
		} else {
			ep = s.endpoint(b, p, id)
		}
		ep.max, ep.backup = s.Max, s.Backup
		ep.from = s
		ep.weight = int64(max(1, s.Weight)) * int64(max(1, p.weight))
		ep.tier = int64(p.priority)
		if b.Balance == Priority {
			ep.tier |= int64(s.index) << 16
		}
		if s.Backup {
			ep.tier |= 1 << 62
		}
		s.endpoints = append(s.endpoints, ep)
	}
}

func (s *source) endpoint(b *Backend, p place, id string) *endpoint {
	ep := &endpoint{name: p.name, id: id, where: p.where, second: p.second, hash: hashOf(id), times: s.times, since: time.Now()}
	ep.to, ep.direct = directTo(p.where)
	ep.label = b.label + p.name
	ep.shared = b.sharedID(s, p.where)
	if s.where.isName() && p.where.address != p.name {
		host, _, _ := net.SplitHostPort(p.where.address)
		ep.label += " (" + host + ")"
	}
	if p.where.network == "tcp" && p.second == "" && !p.where.isName() {
		ep.fixed = canonical(p.where)
	}
	return ep
}

// canonical returns a's address as a connection to it shows it, or "".
func canonical(a address) string {
	t, err := net.ResolveTCPAddr("tcp", a.address) // no look-up: it has an address
	if err != nil || t.IP.IsUnspecified() || t.Zone != "" {
		return ""
	}
	return t.String()
}

// arrange makes the order of all endpoints. Call it with b.mu held, after every
// change of them.
func (b *Backend) arrange() {
	for _, ep := range b.order {
		ep.listed = false
	}
	b.order = b.order[:0:0]
	for _, s := range b.sources {
		for _, ep := range s.endpoints {
			if b.removed[s.Address] || b.removed[ep.shortName()] || len(b.order) == maxEndpoints {
				continue
			}
			ep.drain = b.drained[s.Address] || b.drained[ep.shortName()]
			ep.listed = true
			b.order = append(b.order, ep)
		}
	}
	slices.SortStableFunc(b.order, func(x, y *endpoint) int { return cmp.Compare(x.tier, y.tier) })
	b.lone.Store(nil)
	if len(b.sources) == 1 && len(b.order) == 1 && b.isPlain(b.order[0]) {
		b.lone.Store(b.order[0])
	}
	b.weigh()
	b.serveQueue()
	b.signal()
}

// isPlain reports whether ep, the only one, is used whatever is known of it.
func (b *Backend) isPlain(ep *endpoint) bool {
	return ep.max == 0 && !ep.drain && b.Check.Kind == CheckOff && (b.own || !ep.from.where.isName()) && ep.from.where.network != "srv"
}

// shortName is what List, Drain and Remove call ep: the address that is
// connected to.
func (ep *endpoint) shortName() string {
	if ep.where.network == "unix" {
		return ep.name
	}
	return ep.where.address
}

// about returns the reasons why no target is up, the first few of them.
func (b *Backend) about() string {
	var list []string
	for _, s := range b.sources {
		if len(s.endpoints) == 0 && s.names.err != nil {
			list = append(list, s.Address+": "+s.names.err.Error())
		}
	}
	for _, ep := range b.order {
		switch {
		case ep.drain:
			list = append(list, ep.shortName()+": drained")
		case ep.reason != "":
			list = append(list, ep.shortName()+": "+ep.reason)
		}
	}
	if n := len(list); n > 3 {
		list = append(list[:3], fmt.Sprintf("and %d more", n-3))
	}
	return strings.Join(list, "; ")
}
