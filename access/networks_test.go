package access

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

// naive is what networks must agree with: the first span that holds the key.
func naive(spans []span, ip netip.Addr) int32 {
	best := int32(-1)
	k := keyOf(ip)
	for _, s := range spans {
		if !k.less(s.first) && !s.last.less(k) && (best < 0 || s.rule < best) {
			best = s.rule
		}
	}
	return best
}

// randomNetwork returns a network or range as a rule would have it. Small
// worlds make overlaps likely.
func randomNetwork(r *rand.Rand, small bool) string {
	ip := randomIP(r, small)
	switch r.IntN(4) {
	case 0:
		return ip.String()
	case 1:
		other := randomIP(r, small)
		for other.Is4() != ip.Is4() {
			other = randomIP(r, small)
		}
		if other.Less(ip) {
			ip, other = other, ip
		}
		return ip.String() + "-" + other.String()
	default:
		return fmt.Sprintf("%s/%d", ip, r.IntN(ip.BitLen()+1))
	}
}

func randomIP(r *rand.Rand, small bool) netip.Addr {
	if r.IntN(2) == 0 {
		v := r.Uint32()
		if small {
			v = 0x0a000000 | v&0x0f0f
		}
		return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
	}
	var b [16]byte
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	if small {
		clear(b[2:14])
		b[0], b[1], b[14] = 0x20, 1, b[14]&3
		if r.IntN(8) == 0 { // a mapped one, or near them
			b[0], b[1] = 0, 0
			b[10], b[11], b[12], b[13] = 0xff, 0xff-byte(r.IntN(2)), 10, 0
		}
	}
	return netip.AddrFrom16(b)
}

func TestNetworksFindTheFirstRule(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		small := round%3 != 0
		var spans []span
		for i := range r.IntN(60) {
			text := randomNetwork(r, small)
			s, err := parseCIDR(text)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			s.rule = int32(i)
			spans = append(spans, s)
		}
		n := newNetworks(spans)
		try := func(ip netip.Addr) {
			if got, want := n.find(ip), naive(spans, ip); got != want {
				t.Fatalf("round %d: %v: rule %d, want %d", round, ip, got, want)
			}
		}
		for range 200 {
			try(randomIP(r, small).Unmap())
		}
		for _, s := range spans { // and both sides of every edge
			for _, k := range []key{s.first, s.last} {
				ip := addrOf(k)
				try(ip.Unmap())
				if ip.Next().IsValid() {
					try(ip.Next().Unmap())
				}
				if ip.Prev().IsValid() {
					try(ip.Prev().Unmap())
				}
			}
		}
	}
}

func addrOf(k key) netip.Addr {
	var b [16]byte
	for i := range 8 {
		b[i] = byte(k.hi >> (56 - 8*i))
		b[8+i] = byte(k.lo >> (56 - 8*i))
	}
	return netip.AddrFrom16(b)
}

func TestManyNestedNetworks(t *testing.T) {
	// Nested rules make the deepest trie.
	var spans []span
	for ones := 128; ones >= 0; ones-- {
		s := spanOf(key{1, 1}, ones)
		s.rule = int32(128 - ones)
		spans = append(spans, s)
	}
	n := newNetworks(spans)
	for bit := range 128 {
		k := key{1, 1}
		if bit < 64 {
			k.hi ^= 1 << (63 - bit)
		} else {
			k.lo ^= 1 << (127 - bit)
		}
		if got, want := n.v6.find(k), int32(128-bit); got != want {
			t.Errorf("bit %d: rule %d, want %d", bit, got, want)
		}
	}
}

func TestParseCIDR(t *testing.T) {
	for _, c := range []struct{ text, first, last string }{
		{"10.0.0.0/8", "10.0.0.0", "10.255.255.255"},
		{"10.0.0.77/8", "10.0.0.0", "10.255.255.255"},
		{"10/8", "10.0.0.0", "10.255.255.255"},
		{"192.168/16", "192.168.0.0", "192.168.255.255"},
		{" 10.0.0.0 / 8 ", "10.0.0.0", "10.255.255.255"},
		{"0.0.0.0/0", "0.0.0.0", "255.255.255.255"},
		{"10.0.0.1/32", "10.0.0.1", "10.0.0.1"},
		{"10.0.0.1", "10.0.0.1", "10.0.0.1"},
		{"10.0.0.1-10.0.0.9", "10.0.0.1", "10.0.0.9"},
		{"10.0.0.1 - 10.0.0.9", "10.0.0.1", "10.0.0.9"},
		{"10.0.0.1-::ffff:10.0.0.9", "10.0.0.1", "10.0.0.9"},
		{"::ffff:10.0.0.0/104", "10.0.0.0", "10.255.255.255"},
		{"2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"2001:db8::1/64", "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff"},
		{"::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"::1", "::1", "::1"},
		{"::1/128", "::1", "::1"},
		{"2001:db8::1-2001:db8::5", "2001:db8::1", "2001:db8::5"},
	} {
		s, err := parseCIDR(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if first, last := addrOf(s.first).Unmap().String(), addrOf(s.last).Unmap().String(); first != c.first || last != c.last {
			t.Errorf("%s: %s to %s, want %s to %s", c.text, first, last, c.first, c.last)
		}
	}
}

func TestParseCIDRRefuses(t *testing.T) {
	for _, c := range []struct{ text, begins string }{
		{"10.0.0.0/40", "40, as in '10.0.0.0/40', does not make sense: "},
		{"10.0.0.0/-1", "-1, as in '10.0.0.0/-1', does not make sense: "},
		{"10.0.0.0/", ", as in '10.0.0.0/', does not make sense: "},
		{"::1/129", "129, as in '::1/129', does not make sense: "},
		{"10.0.0.0/8-10.0.0.9", "8-10.0.0.9, as in '10.0.0.0/8-10.0.0.9', does not make sense: "},
		{"", "This doesn't look like start-end: "},
		{"example.com", "This doesn't look like start-end: "},
		{"10.0.0", "This doesn't look like start-end: "},
		{"10.0-10.5", "This doesn't look like start-end: "},
		{"a-b", "This doesn't look like start-end: write two whole addresses"},
		{"a-::1", "This doesn't look like start-end: write two whole addresses"},
		{"::1-b", "This doesn't look like start-end: write two whole addresses"},
		{"10.0.0.1-b", "This doesn't look like start-end: write two whole addresses"},
		{"10.0.0.9-10.0.0.1", "This doesn't look like start-end: 10.0.0.9-10.0.0.1 ends before it begins"},
		{"10.0.0.1-2001::", "This doesn't look like start-end: "},
		{"300.0.0.0/8", "300, in 300.0.0.0, is not a byte: "},
		{"foo/8", "foo, in foo, is not a byte: "},
		{"10.0.0.0/8/9", "0/8, in 10.0.0.0/8, is not a byte: "},
		{"1.2.3.4.5/8", "Different number of octets in IP addresses: "},
		{"010.0.0.0/8", "010, in 010.0.0.0, begins with 0: write 10, or 8"},
		{"::g/8", "Syntax error: ::g: "},
		{"fe80::1%eth0/64", "Syntax error: fe80::1%eth0: "},
		{"fe80::1%eth0", "Syntax error: fe80::1%eth0: "},
	} {
		_, err := parseCIDR(c.text)
		if err == nil {
			t.Errorf("%s was accepted", c.text)
		} else if !strings.HasPrefix(err.Error(), c.begins) {
			t.Errorf("%s: %q does not begin with %q", c.text, err, c.begins)
		}
	}
}

// manyNetworks returns rules as published block lists have them, and
// addresses of which half are in them.
func manyNetworks(n int, v6 bool) ([]string, []netip.Addr) {
	r := rand.New(rand.NewPCG(3, 4))
	rules := make([]string, n)
	var ips []netip.Addr
	for i := range rules {
		ip := randomIP(r, false)
		for ip.Is6() != v6 {
			ip = randomIP(r, false)
		}
		ones := 16 + r.IntN(17)
		if v6 {
			b := ip.As16()
			b[0], b[1] = 0x2a, b[1]&0x0f
			ip, ones = netip.AddrFrom16(b), 32+r.IntN(33)
		}
		rules[i] = fmt.Sprintf("%s/%d", ip, ones)
		if len(ips) < 1<<16 {
			if r.IntN(2) == 0 && ip.Is4() {
				b := ip.As4()
				b[0] ^= 0x55
				ip = netip.AddrFrom4(b)
			} else if r.IntN(2) == 0 && ip.Is6() {
				b := ip.As16()
				b[2] ^= 0x55
				ip = netip.AddrFrom16(b)
			}
			ips = append(ips, ip)
		}
	}
	r.Shuffle(len(ips), func(i, j int) { ips[i], ips[j] = ips[j], ips[i] })
	return rules, ips
}

func benchmarkEarly(b *testing.B, v6 bool) {
	rules, ips := manyNetworks(100_000, v6)
	p, err := Rules{CIDRDeny: Texts(rules...), CIDRAllow: Texts("0.0.0.0/0", "::/0")}.Compile()
	if err != nil {
		b.Fatal(err)
	}
	peers := make([]Peer, len(ips))
	for i, ip := range ips {
		peers[i].IP = ip
	}
	b.ReportAllocs()
	b.ResetTimer()
	refused := 0
	for i := 0; b.Loop(); i++ {
		if !p.Early(peers[i%len(peers)]).Allowed {
			refused++
		}
	}
	b.ReportMetric(float64(refused)/float64(b.N), "refused/op")
}

func BenchmarkEarlyIPv4(b *testing.B) { benchmarkEarly(b, false) }
func BenchmarkEarlyIPv6(b *testing.B) { benchmarkEarly(b, true) }

func benchmarkFind(b *testing.B, v6 bool) {
	rules, ips := manyNetworks(100_000, v6)
	var spans []span
	for _, text := range rules {
		s, err := parseCIDR(text)
		if err != nil {
			b.Fatal(err)
		}
		spans = append(spans, s)
	}
	n := newNetworks(spans)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		n.find(ips[i%len(ips)])
	}
}

func BenchmarkFindIPv4(b *testing.B) { benchmarkFind(b, false) }
func BenchmarkFindIPv6(b *testing.B) { benchmarkFind(b, true) }

func BenchmarkCompileNetworks(b *testing.B) {
	rules, _ := manyNetworks(100_000, false)
	vals := Texts(rules...)
	for b.Loop() {
		if _, err := (Rules{CIDRDeny: vals}).Compile(); err != nil {
			b.Fatal(err)
		}
	}
}

func TestManyNetworksAreFast(t *testing.T) {
	rules, ips := manyNetworks(100_000, false)
	var spans []span
	for i, text := range rules {
		s, err := parseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		s.rule = int32(i)
		spans = append(spans, s)
	}
	few := append([]span(nil), spans[:1000]...)
	n := newNetworks(append([]span(nil), spans...))
	i := 0
	find := fastest(func() { n.find(ips[i%len(ips)]); i++ })
	scan := fastest(func() { naive(few, ips[i%len(ips)]); i++ })
	if find > scan/2 {
		t.Errorf("a look-up among 100,000 networks takes %v, trying 1,000 one by one %v", find, scan)
	}
}
