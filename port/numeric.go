package port

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
)

// parseIPv4 reads an IPv4 address in every form of the C library's inet_aton,
// which Net::Server's configurations may use: up to four numbers, decimal,
// octal after a 0 or hexadecimal after 0x, the last of which fills all
// remaining bytes. So 127.1 is 127.0.0.1.
func parseIPv4(text string) (netip.Addr, bool) {
	words := strings.Split(text, ".")
	if len(words) > 4 {
		return netip.Addr{}, false
	}
	var sum uint64
	for i, w := range words {
		last := i == len(words)-1
		limit := uint64(0xff)
		if last {
			limit = 1<<(8*(4-i)) - 1
		}
		n, ok := parseCNumber(w)
		if !ok || n > limit {
			return netip.Addr{}, false
		}
		if last {
			sum |= n
		} else {
			sum |= n << (8 * (3 - i))
		}
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(sum))
	return netip.AddrFrom4(b), true
}

func parseCNumber(text string) (uint64, bool) {
	base := 10
	switch {
	case len(text) > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X'):
		base, text = 16, text[2:]
	case len(text) > 1 && text[0] == '0':
		base, text = 8, text[1:]
	}
	if strings.ContainsAny(text, "+-_") {
		return 0, false
	}
	n, err := strconv.ParseUint(text, base, 32)
	return n, err == nil
}

// formatAddr formats an address as the C library does. It differs from netip
// only for the obsolete form ::1.2.3.4.
func formatAddr(a netip.Addr) string {
	if !a.Is6() || a.Is4In6() {
		return a.String()
	}
	b := a.As16()
	for _, x := range b[:12] {
		if x != 0 {
			return a.String()
		}
	}
	if b[12] == 0 && b[13] == 0 {
		return a.String()
	}
	return "::" + netip.AddrFrom4([4]byte(b[12:])).String()
}
