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
