package access

import (
	"errors"
	"fmt"
	"net/netip"
)

// ErrNoNetwork is wrapped by ParseNetwork's error about a text that is neither
// an address nor a network.
var ErrNoNetwork = errors.New("is not an address or network such as 192.0.2.1 or 2001:db8::/32")

// ParseNetwork reads ADDRESS or ADDRESS/BITS, without a zone. An IPv4 address
// in the form of IPv6 is the IPv4 one; a network in that form is refused. Bits
// behind the network's length stay: p != p.Masked() tells of them. The error
// begins with the text, quoted and cut short.
func ParseNetwork(text string) (p netip.Prefix, err error) {
	p, err = netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return p, fmt.Errorf("%.100q %w", text, ErrNoNetwork)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	if p.Addr().Is4In6() {
		return p, fmt.Errorf("%.100q: write the IPv4 network without the prefix ::ffff:0:0/96", text)
	}
	return p, nil
}

// ParseExactNetwork is ParseNetwork that refuses bits behind the network's
// length: who writes 10.0.0.1/8 may mean 10.0.0.1.
func ParseExactNetwork(text string) (netip.Prefix, error) {
	p, err := ParseNetwork(text)
	if err == nil {
		err = CheckExact(p)
	}
	return p, err
}

// CheckExact refuses a valid network with bits behind its length. The error begins
// with the network, quoted.
func CheckExact(p netip.Prefix) error {
	if p == p.Masked() {
		return nil
	}
	return fmt.Errorf("\"%v\" has bits set behind the first %d: write %v or %v", p, p.Bits(), p.Addr(), p.Masked())
}
