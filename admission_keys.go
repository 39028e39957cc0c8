package netserver

import (
	"math"
	"net/netip"
	"time"

	"netserver/conf"
)

// defineAdmission names what decides who is served next.
func (c *Config) defineAdmission(s *conf.Set) {
	number := func(when conf.When, name, help string, p *int) {
		s.Define(conf.Key{Name: name, Group: groupAdmission, Arg: "N", Help: help, When: "listens " + when}, limitBinder(name, p))
	}
	s.Define(conf.Key{Name: "handshake_queue", Group: groupAdmission, When: "listens handshake", Arg: "fair|none", Default: "fair", Help: "fair: handshakes get the CPU in turns, by source; none: as they come"},
		conf.Choice(&c.HandshakeQueue, "fair", "none"))
	number("handshake", "max_handshakes", "handshakes unfinished at once; one more ends the oldest of the source with the most (default 16384; -1 is no limit)", &c.MaxHandshakes)
	number("handshake", "max_handshakes_per_source", "the same, of one IPv4 address or IPv6 /64 (default: no limit of its own)", &c.MaxHandshakesPerSource)
	number("handshake", "max_handshakes_per_prefix", "the same, of one IPv4 /24 or IPv6 /48 (default: no limit of its own)", &c.MaxHandshakesPerPrefix)
	number("tcp", "max_per_source", "clients of one IPv4 address or IPv6 /64 at once; further ones are closed (default: three quarters of max_connections)", &c.MaxPerSource)
	number("tcp", "max_per_prefix", "clients of one IPv4 /24 or IPv6 /48 at once; further ones are closed (default: seven eighths of max_connections)", &c.MaxPerPrefix)
	number("stream", "connection_rate", "connections a second; further ones are closed (default: no limit)", &c.ConnRate)
	number("tcp", "connection_rate_per_source", "the same, of one IPv4 address or IPv6 /64 (default: no limit)", &c.ConnRatePerSource)
	number("tcp", "connection_rate_per_prefix", "the same, of one IPv4 /24 or IPv6 /48 (default: no limit)", &c.ConnRatePerPrefix)
	number("datagram", "datagram_rate", "datagrams a second; further ones are dropped (default: no limit)", &c.DatagramRate)
	number("udp", "datagram_rate_per_source", "the same, of one IPv4 address or IPv6 /64 (default: no limit)", &c.DatagramRatePerSource)
	number("udp", "datagram_rate_per_prefix", "the same, of one IPv4 /24 or IPv6 /48 (default: no limit)", &c.DatagramRatePerPrefix)
	s.Define(conf.Key{Name: "max_memory", Group: groupAdmission, When: "listens stream", Arg: "BYTES", Help: "that connections may take, at 6 KiB for one that waits or is plain and 12 KiB over TLS (default: half of GOMEMLIMIT or of the memory; -1 is no limit)"},
		notZero{conf.Size(&c.MaxMemory, -1, math.MaxInt64)})
	s.Define(conf.Key{Name: "limits_shadow", Group: groupAdmission, When: "listens", Arg: "0|1", Help: "refuse nothing for these limits, the minimum rates and the penalty box, but count and log what they would refuse"},
		conf.Bool(&c.LimitsShadow))
	number("tcp", "penalty_points", "points that put a source into the penalty box, for failed handshakes, denials and timeouts; half are forgotten in a minute (default: no box, as clients behind one address would keep each other out)", &c.PenaltyPoints)
	seconds := func(name, def, help string, p *time.Duration) {
		s.Define(conf.Key{Name: name, Group: groupAdmission, When: "listens penalty_points", Arg: "SECONDS", Default: def, Help: help}, conf.Seconds(p, time.Second, maxDuration))
	}
	seconds("penalty_time", "60", "in the penalty box at first; twice as long each further time", &c.PenaltyTime)
	seconds("penalty_max_time", "3600", "in the penalty box at most", &c.PenaltyMaxTime)
	s.Define(conf.Key{Name: "penalty_exempt", Group: groupAdmission, When: "listens penalty_points", Arg: "NETWORKS", List: true, Help: "addresses and networks that are never put into the penalty box, separated by commas or blanks"},
		conf.Func(func(v []conf.Value) error { return setPrefixes(&c.PenaltyExempt, v) }))
	s.Define(conf.Key{Name: "penalty_close", Group: groupAdmission, When: "listens penalty_points", Arg: "0|1", Help: "cut the clients of a source that is put into the penalty box"},
		conf.Bool(&c.PenaltyClose))
}

// limitBinder binds a number of admission. Where no limit is the default, 0 may
// say so.
func limitBinder(name string, p *int) conf.Binder {
	b := conf.Int(p, -1, math.MaxInt32)
	switch name {
	case "max_handshakes", "max_per_source", "max_per_prefix":
		return notZero{b}
	}
	return b
}

// setPrefixes reads addresses and networks, one or several a value.
func setPrefixes(to *[]netip.Prefix, vals []conf.Value) error {
	*to = nil
	for _, v := range vals {
		for _, s := range conf.Words(v.Text) {
			p, err := netip.ParsePrefix(s)
			if err != nil {
				a, aerr := netip.ParseAddr(s)
				if aerr != nil || a.Zone() != "" {
					return v.Errorf("%q is no address or network, as 192.0.2.1 or 2001:db8::/32", s)
				}
				a = a.Unmap()
				p = netip.PrefixFrom(a, a.BitLen())
			}
			if p.Addr().Is4In6() {
				return v.Errorf("%q: write the IPv4 network without the prefix ::ffff:0:0/96", s)
			}
			*to = append(*to, p.Masked())
		}
	}
	return nil
}
