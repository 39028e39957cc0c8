package access

import (
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// FuzzPattern checks that whatever is accepted matches as the expression
// alone would match the whole text, and that nothing breaks out of the anchors.
func FuzzPattern(f *testing.F) {
	for _, expr := range []string{`10\..*`, `.*\.example`, `a|b`, `10)|(.*`, `(?i)A`, `(?!x)`, `\Qa`, `a{2}`, `[[:digit:]]+`, `(?m)^a$`, `x++`, ``, `(?s:.)`, `^^a$$`, `(^a|b$)c`} {
		for _, text := range []string{"10.0.0.1", "a.example", "x"} {
			f.Add(expr, text)
		}
	}
	f.Fuzz(func(t *testing.T, expr, text string) {
		if len(expr) > 200 || len(text) > maxName || strings.ContainsAny(text, "\r\n") {
			return
		}
		p, err := parsePattern(expr)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a word")
			}
			return
		}
		if _, err := regexp.Compile(expr); err != nil {
			t.Fatalf("%q was accepted, but is no expression: %v", expr, err)
		}
		if got, want := p.match([]byte(text), []byte(text)), matchesWhole(t, expr, text); got != want {
			t.Fatalf("%q on %q: %v, want %v", expr, text, got, want)
		}
		index := newPatterns([]pattern{p})
		if (index.find([]byte(text), []byte(text)) == 0) != p.match([]byte(text), []byte(text)) {
			t.Fatalf("%q on %q: the index disagrees", expr, text)
		}
		if isHostname(text) && p.match([]byte(text), []byte(text)) && !p.mayBeName() {
			t.Fatalf("%q matches the name %q, but mayBeName says no", expr, text)
		}
		if folded, err := p.fold(); err == nil && isHostname(text) {
			key := []byte(strings.ToLower(text))
			got := folded.match(key, []byte(text))
			if p.match([]byte(text), []byte(text)) && !got {
				t.Fatalf("%q matches the name %q, but not without regard to case", expr, text)
			}
			if got != folded.match(key, []byte(strings.ToUpper(text))) && !strings.Contains(expr, "-i") {
				t.Fatalf("%q: the case of %q matters", expr, text)
			}
			index := newPatterns([]pattern{folded})
			if (index.find(key, []byte(text)) == 0) != got {
				t.Fatalf("%q on the name %q: the index disagrees", expr, text)
			}
		}
	})
}

// FuzzCIDR checks every network that is accepted against an address.
func FuzzCIDR(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "10/8", "::/0", "10.0.0.1-10.0.0.9", "::ffff:10.0.0.0/104", "10.0.0.0/40", "a-b", "1-2/3", "::1", "fe80::1%x/10", "255.255.255.255", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
		f.Add(s, "10.0.0.1")
		f.Add(s, "2001:db8::1")
	}
	f.Fuzz(func(t *testing.T, text, addr string) {
		s, bad := parseCIDR(text)
		if bad != nil {
			if bad.says == "" || bad.advice == "" {
				t.Errorf("%q: an error without a word: %q", text, bad)
			}
			return
		}
		if s.last.less(s.first) {
			t.Fatalf("%q ends before it begins", text)
		}
		spans := []span{s}
		n := newNetworks([]span{s})
		try := func(ip netip.Addr) {
			if got, want := n.find(ip), naive(spans, ip); got != want {
				t.Fatalf("%q on %v: %d, want %d", text, ip, got, want)
			}
		}
		try(addrOf(s.first).Unmap())
		try(addrOf(s.last).Unmap())
		if ip, err := netip.ParseAddr(addr); err == nil {
			try(plain(ip))
		}
		if want, err := netip.ParsePrefix(text); err == nil && want.Addr().Is4() {
			if got := n.find(want.Masked().Addr()); got != 0 {
				t.Fatalf("%q does not hold its own address", text)
			}
		}
	})
}

// FuzzRuleFile reads files of both kinds.
func FuzzRuleFile(f *testing.F) {
	f.Add([]byte("10.0.0.0/8\n# x\n\n::1 ; y\r\n"), true)
	f.Add([]byte("\xef\xbb\xbf10\\..*\n#x\na#b\n"), false)
	f.Add([]byte(strings.Repeat("x", maxLine+1)), false)
	f.Add([]byte("\x00\n\xff"), true)
	f.Fuzz(func(t *testing.T, data []byte, networks bool) {
		vals, err := fileRules("f", data, networks)
		if err != nil {
			return
		}
		line := 0
		for _, v := range vals {
			if v.Text == "" || len(v.Text) > maxLine || strings.Contains(v.Text, "\n") || v.Text != strings.TrimSpace(v.Text) {
				t.Fatalf("%q", v.Text)
			}
			if v.Origin.Line <= line {
				t.Fatalf("line %d comes after line %d", v.Origin.Line, line)
			}
			line = v.Origin.Line
		}
		path := filepath.Join(t.TempDir(), "rules")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r := Rules{DenyFile: Texts(path)}
		if networks {
			r = Rules{CIDRDenyFile: Texts(path)}
		}
		p, err := r.Compile()
		if err != nil {
			return
		}
		// Deny alone refuses everybody, whatever is in the file.
		if v := p.Early(ipPeer("10.0.0.1")); v.Allowed || v.Rule == "" {
			t.Fatalf("%+v", v)
		}
	})
}

// FuzzModes reads the texts of both look-up keys.
func FuzzModes(f *testing.F) {
	for _, s := range []string{"", "0", "1", "double", "2detail", "Double AutoFail", "debug", "off", "yes", "00", "double0"} {
		f.Add(s, "")
		f.Add("", s)
	}
	f.Fuzz(func(t *testing.T, reverse, double string) {
		r := Rules{ReverseLookups: Texts(reverse), DoubleReverseLookups: Texts(double)}
		var p problems
		on, mode := lookupModes(&r, &p)
		if p.err() != nil {
			return
		}
		if mode.on && !on {
			t.Errorf("%q, %q: double look-ups without look-ups", reverse, double)
		}
		// Perl's truth.
		truth := func(s string) bool { return s != "" && s != "0" }
		if on != (truth(reverse) || truth(double)) {
			t.Errorf("%q, %q: look-ups are %v", reverse, double, on)
		}
	})
}
