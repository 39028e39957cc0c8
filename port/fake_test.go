package port

import (
	"context"
	"net"
	"net/netip"
)

// A fake is the machine that the reference was taken on: dual stack, localhost
// only 127.0.0.1. testdata/netserver.pl has the same tables.
type fake struct{ noStack bool }

var fakeNames = map[string][]string{
	"localhost":   {"127.0.0.1"},
	"dual.test":   {"2001:db8::1", "192.0.2.1"},
	"v6.test":     {"2001:db8::6"},
	"two.test":    {"192.0.2.1", "192.0.2.2"},
	"twice.test":  {"192.0.2.7", "192.0.2.7"},
	"any.test":    {"0.0.0.0", "::"},
	"mapped.test": {"::ffff:192.0.2.9", "192.0.2.9"},
}

var fakeServices = map[string]int{
	"tcp/http": 80, "tcp/https": 443, "tcp/domain": 53, "tcp/http-alt": 8080, "tcp/smtp": 25,
	"udp/https": 443, "udp/domain": 53, "udp/ntp": 123,
}

func (fake) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, text := range fakeNames[host] {
		out = append(out, netip.MustParseAddr(text))
	}
	if out == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return out, nil
}

func (fake) LookupPort(_ context.Context, network, service string) (int, error) {
	if n, ok := fakeServices[network+"/"+service]; ok {
		return n, nil
	}
	return 0, &net.DNSError{Err: "unknown port", Name: network + "/" + service, IsNotFound: true}
}

func (f fake) DualStack() bool { return !f.noStack }
