package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"net"
	"net/url"
	"strings"
	"testing"
)

func TestPins(t *testing.T) {
	c := &x509.Certificate{Raw: []byte("certificate"), RawSubjectPublicKeyInfo: []byte("key")}
	of := Fingerprint(c, false)
	hexPart := strings.TrimPrefix(of, "sha256$")
	var colons []string
	for i := 0; i < len(hexPart); i += 2 {
		colons = append(colons, strings.ToUpper(hexPart[i:i+2]))
	}
	for _, good := range []string{of, hexPart, strings.Join(colons, ":"), "SHA256$" + hexPart, Fingerprint(c, true)} {
		p, err := ParsePin(good)
		if err != nil || !p.Matches(c) || p.Weak() {
			t.Errorf("%s: %v", good, err)
		}
	}
	p, _ := ParsePin("sha256$pub$" + hexPart)
	if p.Matches(c) {
		t.Error("a certificate's digest passes for its key's")
	}
	if p, err := ParsePin(strings.Repeat("a", 32)); err != nil || !p.Weak() {
		t.Error("md5:", err)
	}
	for _, bad := range []string{"", "$", "pub$", "xyz", "sha256$abcd", "sha3$" + hexPart, "a$b$c$" + hexPart, strings.Repeat("a", 34), hexPart + "$pub"} {
		if _, err := ParsePin(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

func FuzzPins(f *testing.F) {
	f.Add("sha256$pub$" + strings.Repeat("ab", 32))
	f.Add("AA:BB")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePin(s)
		if err != nil {
			return
		}
		if q, err := ParsePin(p.String()); err != nil || q != p {
			t.Fatalf("%q does not come back: %v", p, err)
		}
		p.Matches(&x509.Certificate{})
	})
}

func TestAllowLists(t *testing.T) {
	u := func(s string) []*url.URL { x, err := url.Parse(s); _ = err; return []*url.URL{x} }
	for _, c := range []struct {
		kind    Kind
		entry   string
		cert    x509.Certificate
		matches bool
	}{
		{KindCN, "ann", x509.Certificate{Subject: pkix.Name{CommonName: "ann"}}, true},
		{KindCN, "ann", x509.Certificate{Subject: pkix.Name{CommonName: "Ann"}}, false},
		{KindCN, "ann", x509.Certificate{DNSNames: []string{"ann"}}, false},
		{KindOU, "ops", x509.Certificate{Subject: pkix.Name{OrganizationalUnit: []string{"x", "ops"}}}, true},
		{KindDNS, "a.example", x509.Certificate{DNSNames: []string{"A.example"}}, true},
		{KindDNS, "*.example", x509.Certificate{DNSNames: []string{"a.example"}}, true},
		{KindDNS, "*.example", x509.Certificate{DNSNames: []string{"b.a.example"}}, false},
		{KindDNS, "*.example", x509.Certificate{DNSNames: []string{"example", ".example", "*.example"}}, false},
		{KindDNS, "*.example", x509.Certificate{Subject: pkix.Name{CommonName: "a.example"}}, false},
		{KindEmail, "ann@x", x509.Certificate{EmailAddresses: []string{"ann@X"}}, true},
		{KindEmail, "ann@x", x509.Certificate{EmailAddresses: []string{"Ann@x"}}, false},
		{KindEmail, "@x", x509.Certificate{EmailAddresses: []string{"ann@y@x"}}, true},
		{KindEmail, "@x", x509.Certificate{EmailAddresses: []string{"ann@sub.x", "ann@x.y", "@x"}}, false},
		{KindIP, "10.0.0.0/8", x509.Certificate{IPAddresses: []net.IP{net.ParseIP("10.9.8.7")}}, true},
		{KindIP, "10.0.0.1", x509.Certificate{IPAddresses: []net.IP{net.ParseIP("10.0.0.2")}}, false},
		{KindIP, "2001:db8::/32", x509.Certificate{IPAddresses: []net.IP{net.ParseIP("2001:db8::1")}}, true},
		{KindURI, "spiffe://a/b/*", x509.Certificate{URIs: u("spiffe://a/b/c")}, true},
		{KindURI, "spiffe://a/b/*", x509.Certificate{URIs: u("spiffe://A/b/c")}, true},
		{KindURI, "spiffe://a/b/*", x509.Certificate{URIs: u("spiffe://a/b/c/d")}, false},
		{KindURI, "spiffe://a/b/*", x509.Certificate{URIs: u("spiffe://a/b/")}, false},
		{KindURI, "spiffe://a/b/*", x509.Certificate{URIs: u("spiffe://a/b/..")}, false},
		{KindURI, "spiffe://a/b/*", x509.Certificate{URIs: u("spiffe://a/b/c%2Fd")}, true},
		{KindURI, "spiffe://a/b/*/d", x509.Certificate{URIs: u("spiffe://a/b/c%2Fd")}, false},
		{KindURI, "spiffe://a/b", x509.Certificate{URIs: u("spiffe://a/b?x")}, false},
		{KindURI, "spiffe://a/b", x509.Certificate{URIs: u("spiffe://u@a/b")}, false},
		{KindURI, "spiffe://a/b", x509.Certificate{URIs: u("spiffe://a.b/b")}, false},
		{KindURI, "spiffe://a/**", x509.Certificate{URIs: u("spiffe://a/b/c")}, true},
		{KindURI, "spiffe://a/**", x509.Certificate{URIs: u("spiffe://a")}, false},
		{KindURI, "spiffe://a/**", x509.Certificate{URIs: u("spiffe://a/")}, false},
		{KindURI, "spiffe://a/b/**", x509.Certificate{URIs: u("spiffe://a/bc")}, false},
		{KindURI, "https://a/b", x509.Certificate{URIs: u("spiffe://a/b")}, false},
	} {
		var a Allow
		if err := a.Add(c.kind, c.entry); err != nil {
			t.Fatal(c.entry, err)
		}
		if _, ok := a.Match(&c.cert); ok != c.matches {
			t.Errorf("%s %s: %v for %v %v %v %v", c.kind, c.entry, ok, c.cert.DNSNames, c.cert.EmailAddresses, c.cert.IPAddresses, c.cert.URIs)
		}
	}
}

// An entry that no certificate can match is a mistake, found at start.
func TestAllowEntriesThatNobodyMatchesAreRefused(t *testing.T) {
	for _, c := range []struct {
		kind        Kind
		entry, want string
	}{
		{KindURI, "spiffe://a/%zz", "invalid URL escape"},
		{KindURI, "spiffe://a/b c", "its path is written /b%20c"},
		{KindURI, "spiffe://a b/c", "invalid character"},
		{KindURI, "spiffe://u@a/b", "a user before the host"},
		{KindURI, "spiffe://a/b?c", "a query"},
		{KindURI, "spiffe://a/b?", "a query"},
		{KindURI, "spiffe://a/b#c", "a fragment"},
		{KindURI, "spiffe://a/b#", "a fragment"},
		{KindURI, "spiffe:///b", "no host"},
		{KindURI, "spiffe://a/../b", "is .."},
		{KindURI, "spiffe://a//b", "is empty"},
		{KindURI, "spiffe://a..b/c", "is empty"},
		{KindURI, "1x://a/b", "first path segment"},
		{KindURI, "spiffe://a:port/b", "invalid port"},
		{KindURI, "spiffe://\u00e4/b", "xn--"},
		{KindURI, "spiffe://a/*x", "a whole part"},
		{KindURI, "spiffe://**/x", "only as the last part"},
		{KindDNS, "a b.example", "cannot stand in a host name"},
		{KindDNS, "a..example", "is empty"},
		{KindDNS, ".example", "is empty"},
		{KindDNS, "a.example.", "without the dot"},
		{KindDNS, "*..example", "is empty"},
		{KindDNS, "b\u00fccher.example", "xn--"},
		{KindDNS, "https://a.example", "cannot stand in a host name"},
		{KindDNS, strings.Repeat("a", 64) + ".example", "longer than 63"},
		{KindDNS, strings.Repeat("a.", 130) + "a", "longer than 253"},
		{KindEmail, "a@b@c.example", "before the @"},
		{KindEmail, "a b@c.example", "before the @"},
		{KindEmail, "a@c..example", "is empty"},
		{KindIP, "::ffff:10.0.0.0/104", "without the prefix"},
	} {
		var a Allow
		if err := a.Add(c.kind, c.entry); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %.60q: %v, want %q", c.kind, c.entry, err, c.want)
		}
	}
	for _, good := range []string{"spiffe://a/b/", "spiffe://a", "spiffe://[::1]/x", "https://a:8443/x", "spiffe://a_b/%2F/*", "spiffe://A/b~c"} {
		var a Allow
		if err := a.Add(KindURI, good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}

// The public key of a certificate, in the three ways in which people write it.
func TestAllowedPublicKeys(t *testing.T) {
	c := &x509.Certificate{Raw: []byte("certificate"), RawSubjectPublicKeyInfo: []byte("key")}
	other := &x509.Certificate{Raw: []byte("key"), RawSubjectPublicKeyInfo: []byte("certificate")}
	sum := sha256.Sum256([]byte("key"))
	b64 := base64.StdEncoding.EncodeToString(sum[:])
	for _, entry := range []string{b64, "sha256/" + b64, "sha256//" + b64, "sha256$pub$" + hex.EncodeToString(sum[:]), "sha256$" + hex.EncodeToString(sum[:])} {
		var a Allow
		if err := a.Add(KindSPKI, entry); err != nil {
			t.Errorf("%s: %v", entry, err)
			continue
		}
		if _, ok := a.Match(c); !ok {
			t.Errorf("%s does not match", entry)
		}
		if _, ok := a.Match(other); ok {
			t.Errorf("%s matches another key", entry)
		}
	}
	md5 := strings.Repeat("a", 32)
	for _, entry := range []string{"md5$pub$" + md5, md5, "sha256/" + b64[:20], "sha256/" + strings.Repeat("!", 44), "key"} {
		var a Allow
		if err := a.Add(KindSPKI, entry); err == nil {
			t.Errorf("%s is accepted", entry)
		}
	}
}

func TestLongestNamesAreAllowed(t *testing.T) {
	label := strings.Repeat("a", 63)
	longest := label + "." + label + "." + label + "." + label[:61]
	var a Allow
	if err := a.Add(KindDNS, longest); err != nil || len(longest) != 253 {
		t.Errorf("%d bytes: %v", len(longest), err)
	}
	if err := a.Add(KindDNS, longest+"a"); err == nil {
		t.Error("254 bytes are accepted")
	}
	if err := a.Add(KindDNS, label+"a.example"); err == nil {
		t.Error("a label of 64 bytes is accepted")
	}
}

func FuzzURIs(f *testing.F) {
	f.Add("spiffe://a/*/c/**", "spiffe://a/b/c/d")
	f.Fuzz(func(t *testing.T, entry, uri string) {
		u, err := url.Parse(uri)
		if err != nil {
			return
		}
		var a Allow
		if a.Add(KindURI, entry) == nil {
			if _, ok := a.Match(&x509.Certificate{URIs: []*url.URL{u}}); ok && !strings.EqualFold(u.Host, strings.Split(strings.SplitN(entry, "://", 2)[1], "/")[0]) {
				t.Fatalf("%q lets %q in", entry, uri)
			}
			// What is accepted can match: with a name for each star.
			one := strings.NewReplacer("**", "x", "*", "x").Replace(strings.TrimSpace(entry))
			u, err := url.Parse(one)
			if err != nil {
				t.Fatalf("%q is accepted, but %q is no URI: %v", entry, one, err)
			}
			if _, ok := a.Match(&x509.Certificate{URIs: []*url.URL{u}}); !ok {
				t.Fatalf("%q is accepted, but does not match %q", entry, one)
			}
		}
	})
}
