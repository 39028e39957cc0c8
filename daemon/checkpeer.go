package daemon

import (
	"cmp"
	"net/netip"

	"netserver/access"
	"netserver/internal/admit"
)

// checkedPeer is what limits and ports do with the client that --check was
// asked about. Which limit would refuse it depends on what is connected, and a
// running server counts that.
type checkedPeer struct {
	Source        string        `json:"source,omitempty"`  // what it is counted as
	Network       string        `json:"network,omitempty"` // around it
	PenaltyExempt bool          `json:"penalty_exempt"`
	Ports         []checkedPort `json:"ports,omitempty"`
}

// checkedPort is what a port decides by the address of who connects.
type checkedPort struct {
	Port    string `json:"port"`
	Allowed bool   `json:"allowed"`
	Rule    string `json:"rule"`
}

// explainLimits tells how the client of --peer is counted, and which ports let
// it in; e is what the rules for addresses say, which hold for every port. What
// is wrong with the address or a port is reported elsewhere.
func (p *program) explainLimits(e *access.Explanation) *checkedPeer {
	peer, err := access.ParsePeer(p.conf.check.peer)
	if err != nil {
		return nil
	}
	var c checkedPeer
	if peer.IP.IsValid() {
		source, network := admit.Tiers(peer.IP)
		c.Source, c.Network = source.String(), network.String()
		c.PenaltyExempt = contains(p.conf.Server.PenaltyExempt, peer.IP)
	}
	for _, spec := range p.conf.Server.Ports {
		if spec.IsUnix() != peer.Unix {
			continue // it does not come that way
		}
		v, err := p.server.ExplainPort(spec, peer)
		if err != nil {
			continue
		}
		if v.Allowed && !v.Proxied && e != nil && !e.Allowed {
			v.Allowed, v.Why = false, e.Rule
		}
		c.Ports = append(c.Ports, checkedPort{Port: spec.Short(), Allowed: v.Allowed, Rule: v.Why})
	}
	return &c
}

// denyBy takes back what a port allows by the address where it denies the
// client's certificate.
func (c *checkedPeer) denyBy(verdicts []checkedTLS) {
	if c == nil {
		return
	}
	for _, v := range verdicts {
		for i := range c.Ports {
			if p := &c.Ports[i]; p.Port == v.Port && p.Allowed && !v.Allowed {
				p.Allowed, p.Rule = false, cmp.Or(v.Reason, v.Certificate)
			}
		}
	}
}

func contains(ps []netip.Prefix, a netip.Addr) bool {
	for _, p := range ps {
		if p.Contains(a.WithZone("")) {
			return true
		}
	}
	return false
}
