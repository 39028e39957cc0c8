package serving

import (
	"fmt"
	"net"
	"strings"

	"netserver"
	"netserver/port"
)

// A hop is a port whose clients all go to one target.
type hop struct {
	spec    port.Spec
	service *Service
	check   interface{ Check(...net.Addr) error } // tells whether the target is an address
	to      string                                // what addressKey makes of the target
}

// circles refuses ports whose clients go from one to the other and back: each
// would be an endless chain of clients. Only what is certain is looked at:
// proxies with one target, each to another port of this server.
func (m *maker) circles(handlers map[*Service]netserver.Handler) error {
	var hops []hop
	byKey := make(map[string][]int)
	for i, spec := range m.s.in.Ports {
		s := m.s.Of(i)
		target := m.onlyTarget(s)
		c, ok := netserver.HandlerAs[interface{ Check(...net.Addr) error }](handlers[s])
		own := addressOf(spec)
		if target == "" || !ok || own == nil {
			continue
		}
		network := "tcp"
		if k := spec.Kind(); k == port.UDP || k == port.UnixDgram {
			network = "udp"
		}
		byKey[addressKey(network, own.String())] = append(byKey[addressKey(network, own.String())], len(hops))
		hops = append(hops, hop{spec, s, c, addressKey(network, strings.TrimPrefix(target, "unix:"))})
	}
	next := make([]int, len(hops))
	for i, h := range hops {
		next[i] = -1
		for _, j := range byKey[h.to] {
			if i != j && h.check.Check(addressOf(hops[j].spec)) != nil {
				next[i] = j
				break
			}
		}
	}
	seen := make([]int, len(hops)) // by which walk, plus one
	for begin := range hops {
		for i := begin; i >= 0 && seen[i] != begin+1; i = next[i] {
			if seen[i] != 0 {
				break // an earlier walk has been here
			}
			seen[i] = begin + 1
			if j := next[i]; j >= 0 && seen[j] == begin+1 {
				return located(fmt.Errorf("port %s leads to port %s of this server, which leads back to it: each client would be an endless chain of clients",
					hops[j].spec.Short(), hops[next[j]].spec.Short()), hops[j].service.at)
			}
		}
	}
	return nil
}

// onlyTarget returns the target of a proxy that has no other; "" for every other
// service.
func (m *maker) onlyTarget(s *Service) string {
	if s.kind != proxies {
		return ""
	}
	if !s.byName() {
		return s.ProxyTo[0]
	}
	for _, b := range m.backends.list {
		if b.Name == s.Backend && len(b.Targets) == 1 && b.TargetsFile == "" {
			return b.Targets[0].Address
		}
	}
	return ""
}

// addressKey is the same for addresses that can be the same port.
func addressKey(network, address string) string {
	_, number, err := net.SplitHostPort(address)
	if err != nil {
		return network + " " + address // a path
	}
	if n, err := net.LookupPort(network, number); err == nil {
		number = fmt.Sprint(n)
	}
	return network + " :" + number
}
