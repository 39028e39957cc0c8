package admit

import (
	"encoding/binary"
	"net/netip"
)

// A prefix is a network as a map key. IPv4 addresses are in lo.
type prefix struct {
	hi, lo uint64
	bits   uint8 // 0 for the whole world
	v6     bool
}

// tiers4 and tiers6 are the networks that take turns, from the widest to the
// single address. One host can have a /48 or /64 of IPv6 addresses, so turns
// and limits must not be counted by address alone; likewise, 500 addresses of
// one IPv4 network are first of all one party.
var (
	tiers4 = [...]uint8{16, 24, 32}
	tiers6 = [...]uint8{32, 48, 64, 128}
)

// maxTiers is the number of networks that an address can belong to.
const maxTiers = len(tiers6)

// The tiers of the limits.
const (
	source4, wide4 = 32, 24
	source6, wide6 = 64, 48
)

// Tiers returns a's source for the limits, and the network around it: an IPv4
// address and its /24, or an IPv6 /64 and its /48. Both are the zero Prefix
// for the zero Addr.
func Tiers(a netip.Addr) (source, network netip.Prefix) {
	if !a.IsValid() {
		return netip.Prefix{}, netip.Prefix{}
	}
	s, w := tiers(a)
	return s.Prefix(), w.Prefix()
}

// path returns the networks that a belongs to, the widest first. Clients
// without an address, such as UNIX clients, form their own network.
func path(a netip.Addr) (keys [maxTiers]prefix, n int) {
	hi, lo, v6 := halves(a)
	if !a.IsValid() {
		keys[0] = prefix{bits: 255}
		return keys, 1
	}
	if !v6 {
		for i, bits := range tiers4 {
			keys[i] = mask4(lo, bits)
		}
		return keys, len(tiers4)
	}
	for i, bits := range tiers6 {
		keys[i] = mask6(hi, lo, bits)
	}
	return keys, len(tiers6)
}

// leafKey returns the last of path(a).
func leafKey(a netip.Addr) prefix {
	hi, lo, v6 := halves(a)
	switch {
	case !a.IsValid():
		return prefix{bits: 255}
	case v6:
		return prefix{hi: hi, lo: lo, bits: 128, v6: true}
	}
	return prefix{lo: lo, bits: 32}
}

// halves returns a's bits. IPv4 addresses, including mapped ones, are in lo.
func halves(a netip.Addr) (hi, lo uint64, v6 bool) {
	if !a.IsValid() {
		return 0, 0, false
	}
	b := a.As16()
	hi, lo = binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	if a.Is4() || a.Is4In6() {
		return 0, lo & 0xffffffff, false
	}
	return hi, lo, true
}

func mask4(lo uint64, bits uint8) prefix {
	return prefix{lo: lo &^ (1<<(32-bits) - 1), bits: bits}
}

func mask6(hi, lo uint64, bits uint8) prefix {
	if bits <= 64 {
		return prefix{hi: hi &^ (1<<(64-bits) - 1), bits: bits, v6: true}
	}
	return prefix{hi: hi, lo: lo &^ (1<<(128-bits) - 1), bits: bits, v6: true}
}

// addr returns the network's first address.
func (p prefix) addr() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], p.hi)
	binary.BigEndian.PutUint64(b[8:], p.lo)
	if p.v6 {
		return netip.AddrFrom16(b)
	}
	return netip.AddrFrom4([4]byte(b[12:]))
}

// Prefix returns p as a netip.Prefix; the zero Prefix if p is not a network.
func (p prefix) Prefix() netip.Prefix {
	if p.bits > 128 {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(p.addr(), int(p.bits))
}
