package access

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"netserver/conf"
)

// at returns values with lines of a file as their origin.
func at(file string, line int, texts ...string) []conf.Value {
	var vals []conf.Value
	for i, s := range texts {
		vals = append(vals, conf.Value{Text: s, Origin: conf.Origin{Source: conf.SourceFile, File: file, Line: line + i}})
	}
	return vals
}

func compile(t *testing.T, r Rules) *Policy {
	t.Helper()
	p, err := r.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ipPeer(s string) Peer { return Peer{IP: netip.MustParseAddr(s), Port: 1} }

// Whoever owns an address chooses how its name is spelt.
func TestNamesAreComparedWithoutRegardToCase(t *testing.T) {
	for _, c := range []struct {
		deny, host string
		denied     bool
	}{
		{`evil\.example\.com`, "evil.example.com", true},
		{`evil\.example\.com`, "Evil.EXAMPLE.com", true},
		{`Evil\.Example\.com`, "evil.example.com", true},
		{`.*\.evil\.example`, "x.EVIL.Example", true},
		{`evil\..*`, "EVIL.example", true},
		{`(evil|bad)\d+\.example`, "BAD7.example", true},
		{`[a-c]+\.example`, "ABC.example", true},
		{`evil\.example\.com`, "evil.example.org", false},
		{`[a-c]+\.example`, "abd.example", false},
	} {
		r := Rules{Deny: []conf.Value{{Text: c.deny}}, Allow: []conf.Value{{Text: ".*"}}, ReverseLookups: []conf.Value{{Text: "1"}}}
		p, err := r.Compile()
		if err != nil {
			t.Fatal(err)
		}
		v := p.Decide(Peer{IP: netip.MustParseAddr("192.0.2.1")}, Names{Host: c.host})
		if v.Allowed == c.denied || !v.Final {
			t.Errorf("deny %s, name %s: %+v", c.deny, c.host, v)
		}
	}
	// Addresses are compared as they are written.
	r := Rules{Allow: []conf.Value{{Text: `FE80::1`}}}
	p, err := r.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if v := p.Early(Peer{IP: netip.MustParseAddr("fe80::1")}); v.Allowed {
		t.Errorf("%+v", v)
	}
}

func TestZeroPolicyAdmitsEverybody(t *testing.T) {
	var p Policy
	for _, peer := range []Peer{ipPeer("10.0.0.1"), ipPeer("::1"), {Unix: true}, {}} {
		if v := p.Early(peer); !v.Allowed || !v.Final || v.Err() != nil {
			t.Errorf("%v: %+v", peer, v)
		}
	}
}

func TestVerdictNamesTheRule(t *testing.T) {
	r := Rules{
		Deny:      at("server.conf", 3, `.*\.66`, `2001:db8::bad`),
		CIDRDeny:  at("server.conf", 7, "10.6.0.0/16", "10.6.6.0/24"),
		Allow:     at("server.conf", 20, `127\.0\.0\.1`),
		CIDRAllow: append(Texts("10.0.0.0/8"), conf.Value{Text: "::1", Origin: conf.Origin{Source: conf.SourceArgs, Line: 4}}),
	}
	p := compile(t, r)
	for _, c := range []struct {
		peer    string
		allowed bool
		key     string
		rule    string
	}{
		{"10.1.2.66", false, "deny", `deny .*\.66 (server.conf:3)`},
		{"2001:db8::bad", false, "deny", `deny 2001:db8::bad (server.conf:4)`},
		{"10.6.6.6", false, "cidr_deny", "cidr_deny 10.6.0.0/16 (server.conf:7)"},
		{"127.0.0.1", true, "allow", `allow 127\.0\.0\.1 (server.conf:20)`},
		{"10.1.2.3", true, "cidr_allow", "cidr_allow 10.0.0.0/8 (code)"},
		{"::1", true, "cidr_allow", "cidr_allow ::1 (command line)"},
		{"9.9.9.9", false, "", "no rule allows"},
	} {
		v := p.Early(ipPeer(c.peer))
		want := Verdict{Allowed: c.allowed, Final: true, Key: c.key, Rule: c.rule}
		if v != want {
			t.Errorf("%s: %+v, want %+v", c.peer, v, want)
		}
		if err := v.Err(); !c.allowed && (err == nil || err.Error() != "denied: "+c.rule) {
			t.Errorf("%s: error %v", c.peer, err)
		}
		if d := p.Decide(ipPeer(c.peer), Names{}); d != want {
			t.Errorf("%s: Decide says %+v, Early %+v", c.peer, d, v)
		}
	}
}

func TestPeerWithoutAddress(t *testing.T) {
	// As in Net::Server it is 0.0.0.0, and not a UNIX client.
	p := compile(t, Rules{Allow: Texts(`10\..*`)})
	if v := p.Early(Peer{}); v.Allowed || !v.Final {
		t.Errorf("%+v", v)
	}
	p = compile(t, Rules{Allow: Texts(`0\.0\.0\.0`)})
	if v := p.Early(Peer{}); !v.Allowed {
		t.Errorf("%+v", v)
	}
	p = compile(t, Rules{DoubleReverseLookups: Texts("1")})
	v := p.Early(Peer{})
	if v.Allowed || !v.Final || v.Log != "Double reverse missing host from addr 0.0.0.0" {
		t.Errorf("%+v", v)
	}
}

func TestMappedPeer(t *testing.T) {
	p := compile(t, Rules{CIDRAllow: Texts("10.0.0.0/8"), Deny: Texts(`10\.0\.0\.2`)})
	for s, want := range map[string]bool{"::ffff:10.0.0.1": true, "::ffff:10.0.0.2": false, "::ffff:11.0.0.1": false} {
		if v := p.Early(ipPeer(s)); v.Allowed != want {
			t.Errorf("%s: %+v", s, v)
		}
	}
}

// TestEarlyIsFinalWhereItCan checks both ways: a verdict that is final must
// not be changed by any name, and one that is not must be changed by some.
func TestEarlyIsFinalWhereItCan(t *testing.T) {
	lists := []Rules{
		{},
		{Allow: Texts(`10\.0\.0\.1`)}, {Allow: Texts(`.*\.example`)}, {Allow: Texts(`10\..*`)},
		{Deny: Texts(`10\.0\.0\.1`)}, {Deny: Texts(`.*\.bad\.example`)},
		{Deny: Texts(`.*\.bad\.example`), CIDRAllow: Texts("10.0.0.0/8")},
		{Deny: Texts(`10\.0\.0\.9`), CIDRAllow: Texts("10.0.0.0/8")},
		{CIDRDeny: Texts("10.0.0.0/24"), Allow: Texts(`.*\.example`)},
		{CIDRAllow: Texts("10.0.0.0/24")},
	}
	names := []Names{
		{}, {Host: "a.example"}, {Host: "x.bad.example"}, {Host: "10.example"},
		{Host: "a.example", Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}},
		{Host: "x.bad.example", Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}},
		{Host: "10.example", Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}},
	}
	for _, mode := range []string{"", "1", "double"} {
		for i, r := range lists {
			r.ReverseLookups = Texts(mode)
			p := compile(t, r)
			for _, addr := range []string{"10.0.0.1", "11.0.0.1"} {
				peer := ipPeer(addr)
				early := p.Early(peer)
				allowed, refused := false, false
				for _, n := range names {
					v := p.Decide(peer, n)
					if !v.Final {
						t.Fatalf("Decide is not final: %+v", v)
					}
					allowed, refused = allowed || v.Allowed, refused || !v.Allowed
				}
				where := fmt.Sprintf("mode %q, rules %d, %s", mode, i, addr)
				switch {
				case early.Final && (early.Allowed && refused || !early.Allowed && allowed):
					t.Errorf("%s: a name changes the final verdict %+v", where, early)
				case !early.Final && !(allowed && refused) && !(mode == "double" && addr == "11.0.0.1"):
					// (No name here resolves to 11.0.0.1.)
					t.Errorf("%s: no name changes the verdict %+v", where, early)
				case !early.Final && early.Allowed:
					t.Errorf("%s: allowed before it is final", where)
				}
			}
		}
	}
}

func TestRulesBeyondOneList(t *testing.T) {
	// The first rule in the order of writing is named, not the narrowest.
	p := compile(t, Rules{CIDRDeny: Texts("10.1.0.0/16", "10.0.0.0/8", "10.1.1.0/24")})
	if v := p.Early(ipPeer("10.1.1.1")); v.Rule != "cidr_deny 10.1.0.0/16 (code)" {
		t.Error(v.Rule)
	}
	p = compile(t, Rules{Deny: Texts(`1.*`, `10\.1\.1\.1`, `.*1`)})
	if v := p.Early(ipPeer("10.1.1.1")); v.Rule != "deny 1.* (code)" {
		t.Error(v.Rule)
	}
}

func TestZones(t *testing.T) {
	p := compile(t, Rules{Deny: Texts(`fe80::2`), Allow: Texts(`fe80::1%eth1`), CIDRAllow: Texts("fe80::2/127")})
	for s, want := range map[string]bool{"fe80::1%eth1": true, "fe80::1%eth2": false, "fe80::2%eth0": false, "fe80::3%eth0": true} {
		if v := p.Early(ipPeer(s)); v.Allowed != want {
			t.Errorf("%s: %+v", s, v)
		}
	}
}

func TestShadow(t *testing.T) {
	base := Rules{CIDRAllow: Texts("10.0.0.0/8"), CIDRDeny: Texts("10.9.0.0/16")}
	try := func(shadow string, addr string) Verdict {
		t.Helper()
		r := base
		r.Shadow = Texts(shadow)
		return compile(t, r).Early(ipPeer(addr))
	}
	if v := try("0", "10.9.0.1"); v.Allowed || v.Shadowed {
		t.Errorf("off: %+v", v)
	}
	want := Verdict{Allowed: true, Final: true, Shadowed: true, Key: "cidr_deny", Rule: "cidr_deny 10.9.0.0/16 (code)"}
	if v := try("cidr_deny", "10.9.0.1"); v != want {
		t.Errorf("cidr_deny: %+v", v)
	}
	if v := try("cidr_deny", "11.0.0.1"); v.Allowed || v.Shadowed {
		t.Errorf("cidr_deny does not shadow cidr_allow: %+v", v)
	}
	if v := try("all", "11.0.0.1"); !v.Allowed || !v.Shadowed || v.Rule != "no rule allows" {
		t.Errorf("all: %+v", v)
	}
	if v := try("1", "10.1.0.1"); !v.Allowed || v.Shadowed {
		t.Errorf("1: an admitted client is marked: %+v", v)
	}
	// A list that is tried out alone leaves the server open.
	p := compile(t, Rules{CIDRDeny: Texts("10.0.0.0/8"), Shadow: Texts("cidr_deny")})
	if v := p.Early(ipPeer("11.0.0.1")); !v.Allowed || !v.Shadowed {
		t.Errorf("alone: %+v", v)
	}
}

func TestShadowOfLookups(t *testing.T) {
	p := compile(t, Rules{DoubleReverseLookups: Texts("detail"), Shadow: Texts("double_reverse_lookups")})
	peer := ipPeer("10.0.0.1")
	if v := p.Early(peer); v.Final {
		t.Errorf("final before the look-up: %+v", v)
	}
	v := p.Decide(peer, Names{})
	if !v.Allowed || !v.Shadowed || v.Key != "double_reverse_lookups" || v.Log == "" {
		t.Errorf("%+v", v)
	}
}

func TestShadowRefusesUnknownKeys(t *testing.T) {
	_, err := Rules{Shadow: at("server.conf", 2, "cidr_dney")}.Compile()
	if err == nil || !strings.Contains(err.Error(), `access_shadow "cidr_dney" (server.conf:2) cannot be tried out`) {
		t.Error(err)
	}
}

func TestWarnings(t *testing.T) {
	warned := func(r Rules, part string) {
		t.Helper()
		w := strings.Join(compile(t, r).Warnings(), "\n")
		if part == "" && w != "" || part != "" && !strings.Contains(w, part) {
			t.Errorf("warnings %q, want %q", w, part)
		}
	}
	warned(Rules{Deny: Texts("x")}, "refuse everybody")
	warned(Rules{CIDRDeny: Texts("::/0")}, "refuse everybody")
	warned(Rules{CIDRDeny: Texts("10.0.0.0/8"), Allow: Texts(".*")}, "")
	warned(Rules{Allow: Texts(`10\..*`), ReverseLookups: Texts("1")}, `allow 10\..* (code) may match a name`)
	warned(Rules{Allow: Texts(`10\.0\.0\.1`), ReverseLookups: Texts("1")}, "")
	warned(Rules{Allow: Texts(`10\..*`)}, "")
}

func TestCompileReportsEverythingAtOnce(t *testing.T) {
	r := Rules{
		Allow:                at("a.conf", 1, `(`, `fine`, `(?=x)`),
		CIDRDeny:             at("a.conf", 10, "10.0.0.0/40", "junk"),
		DenyFile:             at("a.conf", 20, "/nonexistent/file"),
		DoubleReverseLookups: at("a.conf", 30, "detial"),
		ReverseLookups:       at("a.conf", 31, "off"),
		UnixAllowUser:        at("a.conf", 40, "no-such-user-here"),
		Shadow:               at("a.conf", 50, "ports"),
	}
	p, err := r.Compile()
	if p != nil || err == nil {
		t.Fatal("accepted")
	}
	lines := strings.Split(err.Error(), "\n")
	for _, want := range []string{
		`allow "(" (a.conf:1): `,
		`allow "(?=x)" (a.conf:3): (?= is a lookahead, which Go's regular expressions do not have: `,
		`40, as in '10.0.0.0/40', does not make sense: cidr_deny "10.0.0.0/40" (a.conf:10): `,
		`This doesn't look like start-end: cidr_deny "junk" (a.conf:11): `,
		`deny_file "/nonexistent/file" (a.conf:20): `,
		`double_reverse_lookups "detial" (a.conf:30) is no mode: `,
		`reverse_lookups "off" (a.conf:31) would be true to Net::Server`,
		`access_shadow "ports" (a.conf:50) `,
	} {
		found := false
		for _, l := range lines {
			found = found || strings.HasPrefix(l, want)
		}
		if !found {
			t.Errorf("no line begins with %s in\n%s", want, err)
		}
	}
	if canCred && !strings.Contains(err.Error(), `No such user "no-such-user-here": unix_allow_user "no-such-user-here" (a.conf:40)`) {
		t.Errorf("the user is missing in\n%s", err)
	}
	if list, ok := err.(Problems); !ok || len(list) != len(lines) {
		t.Errorf("%T with %d lines", err, len(lines))
	}
}

func TestProblemsAreBounded(t *testing.T) {
	bad := make([]string, 10_000)
	for i := range bad {
		bad[i] = "("
	}
	_, err := Rules{Allow: Texts(bad...)}.Compile()
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != maxProblems+1 || !strings.HasPrefix(lines[maxProblems], "and 9950 more") {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

func TestKeysFillEveryField(t *testing.T) {
	for _, k := range Keys() {
		var r Rules
		if !r.Set(k.Name, Texts("x")) {
			t.Errorf("%s is not known", k.Name)
		}
		if got := *k.field(&r); len(got) != 1 || got[0].Text != "x" {
			t.Errorf("%s: %v", k.Name, got)
		}
		if k.Arg == "" || k.Help == "" {
			t.Errorf("%s has no help", k.Name)
		}
	}
	var r Rules
	if r.Set("no_such_key", nil) {
		t.Error("an unknown key was taken")
	}
	if n := countFields(r) - 2; n != len(Keys()) { // AllowNets and DenyNets are for code
		t.Errorf("%d fields, %d keys", n, len(Keys()))
	}
}

func TestPeerOf(t *testing.T) {
	for _, c := range []struct {
		addr net.Addr
		want Peer
	}{
		{&net.TCPAddr{IP: net.ParseIP("10.0.0.1").To4(), Port: 5}, Peer{IP: netip.MustParseAddr("10.0.0.1"), Port: 5}},
		{&net.TCPAddr{IP: net.ParseIP("10.0.0.1"), Port: 5}, Peer{IP: netip.MustParseAddr("10.0.0.1"), Port: 5, Mapped: true}},
		{&net.UDPAddr{IP: net.ParseIP("::1"), Port: 5}, Peer{IP: netip.MustParseAddr("::1"), Port: 5}},
		{&net.UnixAddr{Net: "unix"}, Peer{Unix: true}},
		{&net.UnixAddr{Net: "unixgram"}, Peer{Unix: true}},
		{&net.IPAddr{}, Peer{}},
		{nil, Peer{}},
	} {
		if got := PeerOf(c.addr); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.addr, got, c.want)
		}
	}
}

func TestEarlyDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	p := compile(t, Rules{
		Deny: Texts(`.*[.]66`, `10\.(1|2)\..*`), Allow: Texts(`127\..*`, `::1`, `[0-9a-f:]+`),
		CIDRDeny: Texts("10.9.0.0/16", "2001:db8::/32"), CIDRAllow: Texts("10.0.0.0/8"),
	})
	for _, s := range []string{"10.0.0.1", "10.9.0.1", "127.0.0.1", "2001:db8::1", "fe80::1%eth0", "::ffff:10.0.0.1"} {
		peer := ipPeer(s)
		if n := testing.AllocsPerRun(200, func() { p.Early(peer) }); n >= 1 {
			t.Errorf("%s: %v allocations", s, n)
		}
	}
}

func TestDoubleLookupComparesAddresses(t *testing.T) {
	p := compile(t, Rules{DoubleReverseLookups: Texts("1")})
	for _, c := range []struct {
		peer, found string
		want        bool
	}{
		{"10.0.0.1", "10.0.0.1", true},
		{"10.0.0.1", "::ffff:10.0.0.1", true},
		{"::ffff:10.0.0.1", "10.0.0.1", true},
		{"fe80::1%eth0", "fe80::1", true},
		{"fe80::1", "fe80::1%eth0", true},
		{"10.0.0.1", "10.0.0.2", false},
		{"10.0.0.1", "::a00:1", false},
	} {
		v := p.Decide(ipPeer(c.peer), Names{Host: "a.example", Addrs: []netip.Addr{netip.MustParseAddr(c.found)}})
		if v.Allowed != c.want {
			t.Errorf("%s, found %s: %+v", c.peer, c.found, v)
		}
	}
}
