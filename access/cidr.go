package access

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
)

// A key is an address as a 128-bit number. IPv4 addresses are mapped into
// ::ffff:0:0/96, as in Net::CIDR, so that rules in either form match the same
// clients.
type key struct{ hi, lo uint64 }

func keyOf(ip netip.Addr) key {
	b := ip.As16()
	return key{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (a key) less(b key) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

// compare is for sorting.
func (a key) compare(b key) int {
	switch {
	case a.less(b):
		return -1
	case b.less(a):
		return 1
	}
	return 0
}

// next returns the key after a, and false if a is the last.
func (a key) next() (key, bool) {
	lo, carry := bits.Add64(a.lo, 1, 0)
	hi, carry := bits.Add64(a.hi, 0, carry)
	return key{hi, lo}, carry == 0
}

// A span is the range of addresses that one rule covers, ends included.
type span struct {
	first, last key
	rule        int32 // index in the list of rules
}

// A cidrError is a network that cannot be parsed. Its first part is
// Net::CIDR's own message where there is one.
type cidrError struct{ says, advice string }

func (e *cidrError) Error() string { return e.says + ": " + e.advice }

func badCIDR(says, format string, args ...any) *cidrError {
	return &cidrError{says, fmt.Sprintf(format, args...)}
}

// noRange is Net::CIDR's message for everything that it cannot split.
const noRange = "This doesn't look like start-end"

// parseCIDR reads ADDRESS/BITS, FIRST-LAST or ADDRESS. Blanks are ignored, as
// in Net::CIDR.
func parseCIDR(text string) (span, *cidrError) {
	s := strings.Join(strings.Fields(text), "")
	if i := strings.LastIndexByte(s, '/'); i >= 0 {
		return parsePrefix(s, s[:i], s[i+1:])
	}
	if i := strings.LastIndexByte(s, '-'); i >= 0 {
		return parseRange(s, s[:i], s[i+1:])
	}
	if err := badZone(s); err != nil {
		return span{}, err
	}
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return span{}, badCIDR(noRange, "write ADDRESS/BITS, FIRST-LAST or ADDRESS")
	}
	k := keyOf(ip)
	return span{first: k, last: k}, nil
}

func parsePrefix(whole, addr, length string) (span, *cidrError) {
	var ip netip.Addr
	var err *cidrError
	most := 32
	if strings.Contains(addr, ":") {
		most = 128
		ip, err = parseIPv6(addr)
	} else {
		ip, err = parseIPv4(addr)
	}
	if err != nil {
		return span{}, err
	}
	n, e := strconv.ParseUint(length, 10, 8)
	if e != nil || int(n) > most {
		return span{}, badCIDR(fmt.Sprintf("%s, as in '%s', does not make sense", length, whole),
			"write 0 to %d behind the slash", most)
	}
	ones := int(n) + 128 - most
	return spanOf(keyOf(ip), ones), nil
}

// spanOf returns the addresses that share the first bits of k.
func spanOf(k key, ones int) span {
	mask := key{^uint64(0), ^uint64(0)}
	if ones < 64 {
		mask = key{^(^uint64(0) >> ones), 0}
	} else if ones < 128 {
		mask.lo = ^(^uint64(0) >> (ones - 64))
	}
	return span{
		first: key{k.hi & mask.hi, k.lo & mask.lo},
		last:  key{k.hi | ^mask.hi, k.lo | ^mask.lo},
	}
}

// parseIPv4 reads one to four bytes; missing ones are 0, as in Net::CIDR.
func parseIPv4(s string) (netip.Addr, *cidrError) {
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}, badCIDR("Different number of octets in IP addresses", "%s has more than four parts", s)
	}
	var b [4]byte
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return netip.Addr{}, badCIDR(fmt.Sprintf("%s, in %s, is not a byte", part, s),
				"write an address before the slash, not a name")
		}
		if len(part) > 1 && part[0] == '0' {
			return netip.Addr{}, badCIDR(fmt.Sprintf("%s, in %s, begins with 0", part, s),
				"write %d, or %d if it was meant to be octal", n, octal(part))
		}
		b[i] = byte(n)
	}
	return netip.AddrFrom4(b), nil
}

// octal reads digits as octal, for the hint only.
func octal(s string) uint64 {
	n, _ := strconv.ParseUint(s, 8, 32)
	return n
}

func parseIPv6(s string) (netip.Addr, *cidrError) {
	if err := badZone(s); err != nil {
		return netip.Addr{}, err
	}
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, badCIDR("Syntax error: "+s, "write an IPv6 address before the slash")
	}
	return ip, nil
}

// badZone refuses zones: such a rule would apply to one interface only, which
// a look-up by number cannot distinguish.
func badZone(s string) *cidrError {
	if i := strings.IndexByte(s, '%'); i >= 0 {
		return badCIDR("Syntax error: "+s, "leave out the zone, %s: a rule applies to every interface", s[i:])
	}
	return nil
}

func parseRange(whole, from, to string) (span, *cidrError) {
	if err := badZone(whole); err != nil {
		return span{}, err
	}
	a, err1 := netip.ParseAddr(from)
	b, err2 := netip.ParseAddr(to)
	if err1 != nil || err2 != nil {
		return span{}, badCIDR(noRange, "write two whole addresses, FIRST-LAST")
	}
	if a.Unmap().Is4() != b.Unmap().Is4() && (a.Is4() || b.Is4()) {
		return span{}, badCIDR(noRange, "%s reaches from one address family into the other", whole)
	}
	s := span{first: keyOf(a), last: keyOf(b)}
	if s.last.less(s.first) {
		return span{}, badCIDR(noRange, "%s ends before it begins", whole)
	}
	return s, nil
}
