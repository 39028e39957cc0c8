package access

import (
	"encoding/json"
	"net/netip"
	"slices"
)

// A perlCase is one question to Net::Server, as testdata/allow_deny.pl reads
// it.
type perlCase struct {
	Rules  perlRules  `json:"rules"`
	Client perlClient `json:"client"`
	DNS    perlDNS    `json:"dns"`
}

// perlRules are values by key, a list for keys that hold one.
type perlRules map[string]any

type perlClient struct {
	Proto string `json:"proto"`
	Addr  string `json:"addr,omitempty"`
}

type perlDNS struct {
	Names map[string]string   `json:"names,omitempty"`
	Addrs map[string][]string `json:"addrs,omitempty"`
}

// A perlAnswer is what Net::Server did.
type perlAnswer struct {
	Allowed bool     `json:"allowed"`
	Died    *string  `json:"died"`
	Log     []string `json:"log"`
}

// A recorded case has the answer with it.
type recorded struct {
	perlCase
	Answer perlAnswer `json:"answer"`
}

func texts(t ...string) []string { return t }

// perlCases returns every case, in an order that never changes.
func perlCases() []perlCase {
	var cases []perlCase
	cases = append(cases, addressCases()...)
	cases = append(cases, unixCases()...)
	cases = append(cases, lookupCases()...)
	cases = append(cases, oddCases()...)
	// Through JSON, so that they compare with what was recorded.
	data, err := json.Marshal(cases)
	if err != nil {
		panic(err)
	}
	cases = nil
	if err := json.Unmarshal(data, &cases); err != nil {
		panic(err)
	}
	return cases
}

// ruleSets are rules that need no look-up and mean the same to both.
var ruleSets = []perlRules{
	{},
	{"allow": texts(`10\..*`)},
	{"allow": texts(`10.0.0`)},
	{"allow": texts(`127\.0\.0\.1`, `192\.168\.\d+\.\d+`)},
	{"allow": texts(`.*`)},
	{"allow": texts(`.+`), "deny": texts(`10\..*`)},
	{"allow": texts(`2001:db8:.*`)},
	{"allow": texts(`::ffff:10\..*`)},
	{"allow": texts(`(10|192)\..*`)},
	{"allow": texts(`[0-9.]+`)},
	{"allow": texts(`(?i)2001:DB8::[0-9A-F]*`)},
	{"allow": texts(`10\.0\.0\.[1-9]{1,2}`)},
	{"allow": texts(`^10\.0\.0\.1$`)},
	{"allow": texts(`.*\.1`)},
	{"allow": texts(`10\..*\.1`)},
	{"allow": texts(`host\.example`)},
	{"deny": texts(`10\..*`)},
	{"deny": texts(`.*`)},
	{"cidr_deny": texts("10.0.0.0/8")},
	{"cidr_deny": texts("10.0.0.0/8"), "cidr_allow": texts("0.0.0.0/0")},
	{"cidr_deny": texts("10.0.0.0/8"), "allow": texts(`.*`)},
	{"cidr_allow": texts("10.0.0.0/8")},
	{"cidr_allow": texts("10.0.0.77/8")},
	{"cidr_allow": texts("10/8", "192.168/16")},
	{"cidr_allow": texts("10.0.0.1-10.0.0.9")},
	{"cidr_allow": texts("0.0.0.0/0")},
	{"cidr_allow": texts("::/0")},
	{"cidr_allow": texts("::/0"), "cidr_deny": texts("10.0.0.0/8")},
	{"cidr_allow": texts("::ffff:10.0.0.0/104")},
	{"cidr_allow": texts("2001:db8::/32")},
	{"cidr_allow": texts("2001:db8::1-2001:db8::ff")},
	{"cidr_allow": texts("10.0.0.0/8", "2001:db8::/32"), "cidr_deny": texts("10.0.0.1/32", "2001:db8::/64")},
	{"allow": texts(`10\.0\.0\.1`), "cidr_allow": texts("192.168.0.0/16")},
	{"allow": texts(`10\..*`), "cidr_deny": texts("10.0.0.1/32")},
	{"deny": texts(`10\.0\.0\.1`), "cidr_allow": texts("10.0.0.0/8")},
	{"deny": texts(`192\..*`), "cidr_deny": texts("10.0.0.0/8"), "allow": texts(`.*`), "cidr_allow": texts("::/0")},
}

var addresses = []string{
	"10.0.0.1", "10.0.0.9", "10.0.0.10", "10.255.255.255", "11.0.0.0", "127.0.0.1", "192.168.7.1", "0.0.0.0", "255.255.255.255",
	"::ffff:10.0.0.1", "::ffff:11.0.0.1", "::ffff:192.168.7.1",
	"::1", "2001:db8::1", "2001:db8::ff", "2001:db8:0:1::1", "2001:db9::1", "fe80::1",
}

func addressCases() []perlCase {
	var cases []perlCase
	for _, r := range ruleSets {
		for _, a := range addresses {
			cases = append(cases, perlCase{Rules: r, Client: perlClient{Proto: "TCP", Addr: a}})
		}
	}
	return cases
}

func unixCases() []perlCase {
	var cases []perlCase
	for _, r := range append(slices.Clone(ruleSets), perlRules{"double_reverse_lookups": "1"},
		perlRules{"reverse_lookups": "double autofail", "deny": texts(`.*`)}) {
		for _, proto := range []string{"UNIX", "UNIXDGRAM"} {
			cases = append(cases, perlCase{Rules: r, Client: perlClient{Proto: proto}})
		}
	}
	return cases
}

// resolved are clients whose names can be looked up.
var resolved = []struct {
	addr  string
	name  string
	addrs []string
}{
	{"10.0.0.1", "good.example", texts("10.0.0.1")},
	{"10.0.0.1", "good.example", texts("10.0.0.2", "10.0.0.1", "2001:db8::1")},
	{"10.0.0.1", "bad.example", texts("10.0.0.2")},
	{"10.0.0.1", "10.example", texts("10.0.0.1")},
	{"::ffff:10.0.0.1", "good.example", texts("10.0.0.1")},
	{"::ffff:10.0.0.1", "bad.example", texts("10.0.0.2", "10.0.0.3")},
	{"2001:db8::1", "good.example", texts("2001:db8::1", "10.0.0.1")},
	{"2001:db8::1", "Good.Example", texts("2001:db8::2")},
	{"192.168.7.1", "host.good.example", texts("192.168.7.1")},
}

func lookupCases() []perlCase {
	modes := []perlRules{
		{"reverse_lookups": "1"}, {"reverse_lookups": "yes"}, {"reverse_lookups": "0"}, {"reverse_lookups": ""},
		{"reverse_lookups": "double"}, {"reverse_lookups": "2"}, {"reverse_lookups": "DOUBLE_DETAIL"},
		{"reverse_lookups": "2autofail"}, {"reverse_lookups": "double debug"}, {"reverse_lookups": "double DEBUG"},
		{"reverse_lookups": "double0", "double_reverse_lookups": "detail"},
		{"double_reverse_lookups": "1"}, {"double_reverse_lookups": "detail"}, {"double_reverse_lookups": "AutoFail"},
		{"double_reverse_lookups": "debug"}, {"double_reverse_lookups": "DEBUG"}, {"double_reverse_lookups": "detail debug"},
		{"reverse_lookups": "1", "double_reverse_lookups": "0"},
		{"reverse_lookups": "double detail", "double_reverse_lookups": "autofail"},
	}
	rules := []perlRules{
		{}, {"allow": texts(`good\.example`)}, {"deny": texts(`.*good.*`), "allow": texts(`.*`)},
		{"allow": texts(`10\..*`)}, {"cidr_deny": texts("10.0.0.0/8"), "allow": texts(`.*\.example`)},
	}
	var cases []perlCase
	for _, mode := range modes {
		for _, rule := range rules {
			both := make(perlRules)
			for k, v := range mode {
				both[k] = v
			}
			for k, v := range rule {
				both[k] = v
			}
			for _, c := range resolved {
				cases = append(cases, perlCase{both, perlClient{"TCP", c.addr}, perlDNS{
					Names: map[string]string{c.addr: c.name}, Addrs: map[string][]string{c.name: c.addrs},
				}})
			}
		}
	}
	return cases
}

// oddCases are what the two may disagree on.
func oddCases() []perlCase {
	var cases []perlCase
	add := func(r perlRules, dns perlDNS, addrs ...string) {
		for _, a := range addrs {
			cases = append(cases, perlCase{r, perlClient{"TCP", a}, dns})
		}
	}
	none := perlDNS{}
	for _, re := range []string{`10\.0\.0\.1|11\..*`, `10|x`, `(10`, `10)`, `10)|(.*`, ``, `a{1001}`, `[`, `10\.0\.0\.1\`,
		`(?!11\.).*`, `(?<!x)10\..*`, `10\.0\.0\.1\Z`, `(1)0\.0\.0\.\1`, `1++0\..*`, `(?>10)\..*`, `\Q10.0.0.1\E`,
		`10\.0{,3}\.0\.1`, `10\.\h*0.*`, `(?#office)10\..*`, `(?x) 10 \. .*`, `(?^:10\..*)`} {
		add(perlRules{"allow": texts(re)}, none, "10.0.0.1", "11.0.0.1")
		add(perlRules{"deny": texts(re), "allow": texts(`.*`)}, none, "10.0.0.1", "11.0.0.1")
	}
	for _, n := range []string{"10.0.0.1", "2001:db8::1", "10.0.0.0/40", "10.0.0.0/", "::1/129", "example.com", "300.0.0.0/8",
		"10.0.0.9-10.0.0.1", "010.0.0.0/8", "10.0-10.5", "::g/8", "10.0.0.1-2001:db8::1", ""} {
		add(perlRules{"cidr_allow": texts(n)}, none, "10.0.0.1", "11.0.0.1", "2001:db8::1")
		add(perlRules{"cidr_deny": texts(n), "allow": texts(`.*`)}, none, "10.0.0.1", "2001:db8::1")
	}
	for _, mode := range []perlRules{
		{"reverse_lookups": "off"}, {"reverse_lookups": "no"}, {"double_reverse_lookups": "false"},
		{"double_reverse_lookups": "detial"}, {"reverse_lookups": "double strict"},
	} {
		add(mode, none, "10.0.0.1")
	}
	// Clients without a name that deserves it.
	for _, mode := range []string{"1", "double", "double detail", "double debug", "double autofail"} {
		for _, allow := range []string{`.*`, `::ffff:.*`, `10\..*`, `.*\.example`} {
			r := perlRules{"reverse_lookups": mode, "allow": texts(allow)}
			add(r, none, "10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1")
			add(r, perlDNS{Names: map[string]string{"10.0.0.1": "gone.example"}}, "10.0.0.1")
			add(r, perlDNS{
				Names: map[string]string{"11.0.0.1": "10.0.0.5"},
			}, "11.0.0.1")
			add(r, perlDNS{
				Names: map[string]string{"11.0.0.1": "a b.example"},
				Addrs: map[string][]string{"a b.example": {"11.0.0.1"}},
			}, "11.0.0.1")
		}
	}
	for _, r := range []perlRules{
		{"allow": texts(`10\..*`)}, {"cidr_allow": texts("10.0.0.0/8")}, {"allow": texts(`fe80::1`)},
		{"allow": texts(`fe80::1%.*`)}, {"cidr_allow": texts("fe80::/10")},
	} {
		add(r, none, "::FFFF:10.0.0.1", "::ffff:a00:1", "fe80::1%eth0")
	}
	return cases
}

// peer returns the client as this package gets it.
func (c perlClient) peer() Peer {
	if c.Proto != "TCP" {
		return Peer{Unix: true}
	}
	ip := netip.MustParseAddr(c.Addr)
	return Peer{IP: ip.Unmap(), Port: 40000, Mapped: ip.Is4In6()}
}
