package cluster

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// A Count is how much of a source or network there is. A source is an IPv4
// address or an IPv6 /64, a network an IPv4 /24 or an IPv6 /48.
type Count struct {
	Prefix     netip.Prefix
	Conns      uint32 // open connections, at most MaxCount
	Handshakes uint32 // of them unfinished, at most MaxCount
}

// MaxCount is the largest number in a Count.
const MaxCount = 1<<24 - 1

// Counts are sources and networks. Their text is compact: in JSON they are a
// string of some seven bytes each.
type Counts []Count

// The kinds of prefixes, in the order of their sections.
var countKinds = [...]struct {
	bits  int
	v6    bool
	shift uint // of the bits in a key
}{{32, false, 0}, {24, false, 8}, {64, true, 0}, {48, true, 16}}

const (
	countsVersion = 1
	maxCountsSize = 1 + len(countKinds)*3 + MaxCounts*(10+4+4) // bytes of an encoding
)

var errCounts = errors.New("not a list of counts")

// kindOf returns the section that p belongs to and its key there.
func kindOf(p netip.Prefix) (kind int, key uint64, ok bool) {
	a := p.Addr()
	for i, k := range countKinds {
		if p.Bits() != k.bits || a.Is6() != k.v6 || a.Zone() != "" || p != p.Masked() {
			continue
		}
		if k.v6 {
			b := a.As16()
			return i, binary.BigEndian.Uint64(b[:8]) >> k.shift, !a.Is4In6()
		}
		b := a.As4()
		return i, uint64(binary.BigEndian.Uint32(b[:])) >> k.shift, true
	}
	return 0, 0, false
}

func prefixOf(kind int, key uint64) netip.Prefix {
	k := countKinds[kind]
	key <<= k.shift
	if k.v6 {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:], key)
		return netip.PrefixFrom(netip.AddrFrom16(b), k.bits)
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(key))
	return netip.PrefixFrom(netip.AddrFrom4(b), k.bits)
}

// A countKey is a prefix in a form that is cheap to compare and to hash.
type countKey struct {
	key  uint64
	kind uint8
}

func (k countKey) compare(o countKey) int {
	return cmp.Or(cmp.Compare(k.kind, o.kind), cmp.Compare(k.key, o.key))
}

type keyedCount struct {
	countKey
	conns, handshakes uint32
}

// AppendBinary appends c in any order; of a prefix that is there twice the
// numbers are added. A prefix that is neither a source nor a network, and more
// than MaxCounts, are errors.
func (c Counts) AppendBinary(b []byte) ([]byte, error) {
	if len(c) > MaxCounts {
		return nil, fmt.Errorf("%d counts are more than %d", len(c), MaxCounts)
	}
	var sections [len(countKinds)][]keyedCount
	b = slices.Grow(b, 1+len(countKinds)*2+8*len(c))
	for _, n := range c {
		kind, key, ok := kindOf(n.Prefix)
		if !ok {
			return nil, fmt.Errorf("%v is neither a source nor a network", n.Prefix)
		}
		if sections[kind] == nil {
			sections[kind] = make([]keyedCount, 0, len(c))
		}
		sections[kind] = append(sections[kind], keyedCount{countKey{key, uint8(kind)}, min(n.Conns, MaxCount), min(n.Handshakes, MaxCount)})
	}
	b = append(b, countsVersion)
	for _, list := range sections {
		slices.SortFunc(list, func(x, y keyedCount) int { return cmp.Compare(x.key, y.key) })
		list = mergeCounts(list)
		b = binary.AppendUvarint(b, uint64(len(list)))
		last := uint64(0)
		for _, n := range list {
			b = binary.AppendUvarint(b, n.key-last)
			// Most have no handshake: a bit says so.
			b = binary.AppendUvarint(b, uint64(n.conns)<<1|min(uint64(n.handshakes), 1))
			if n.handshakes > 0 {
				b = binary.AppendUvarint(b, uint64(n.handshakes))
			}
			last = n.key
		}
	}
	return b, nil
}

// mergeCounts adds up neighbours with one key.
func mergeCounts(list []keyedCount) []keyedCount {
	out := list[:0]
	for _, n := range list {
		if i := len(out) - 1; i >= 0 && out[i].key == n.key {
			out[i].conns = min(out[i].conns+n.conns, MaxCount)
			out[i].handshakes = min(out[i].handshakes+n.handshakes, MaxCount)
			continue
		}
		out = append(out, n)
	}
	return out
}

// MarshalBinary returns what AppendBinary does.
func (c Counts) MarshalBinary() ([]byte, error) { return c.AppendBinary(nil) }

// UnmarshalBinary reads what AppendBinary wrote. It takes nothing else: no
// number out of range, no order but its own, nothing behind it.
func (c *Counts) UnmarshalBinary(b []byte) error {
	list, err := decodeCounts(b)
	if err != nil {
		return err
	}
	*c = make(Counts, len(list))
	for i, n := range list {
		(*c)[i] = Count{prefixOf(int(n.kind), n.key), n.conns, n.handshakes}
	}
	return nil
}

// decodeCounts returns what b holds, by kind and key.
func decodeCounts(b []byte) ([]keyedCount, error) {
	if len(b) > maxCountsSize || len(b) == 0 || b[0] != countsVersion {
		return nil, errCounts
	}
	b = b[1:]
	next := func(most uint64) (uint64, bool) {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > most || size > 1 && b[size-1] == 0 { // no padding
			return 0, false
		}
		b = b[size:]
		return n, true
	}
	var list []keyedCount
	for kind, k := range countKinds {
		n, ok := next(uint64(MaxCounts - len(list)))
		if !ok || n > uint64(len(b)) {
			return nil, errCounts
		}
		list = slices.Grow(list, int(n))
		most := ^uint64(0) >> (64 - uint(k.bits)) // of a key
		key := uint64(0)
		for i := range n {
			step, ok1 := next(most - key)
			conns, ok2 := next(MaxCount<<1 | 1)
			shakes, ok3 := uint64(0), true
			if conns&1 != 0 {
				shakes, ok3 = next(MaxCount)
				ok3 = ok3 && shakes > 0
			}
			if !ok1 || !ok2 || !ok3 || i > 0 && step == 0 {
				return nil, errCounts
			}
			key += step
			list = append(list, keyedCount{countKey{key, uint8(kind)}, uint32(conns >> 1), uint32(shakes)})
		}
	}
	if len(b) != 0 {
		return nil, errCounts
	}
	return list, nil
}

// MarshalText returns the binary form in base64.
func (c Counts) MarshalText() ([]byte, error) {
	b, err := c.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.AppendEncode(nil, b), nil
}

// UnmarshalText reads what MarshalText wrote.
func (c *Counts) UnmarshalText(text []byte) error {
	if len(text) > base64.StdEncoding.EncodedLen(maxCountsSize) {
		return errCounts
	}
	b, err := base64.StdEncoding.Strict().AppendDecode(nil, text)
	if err != nil {
		return errCounts
	}
	return c.UnmarshalBinary(b)
}
