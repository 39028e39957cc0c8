package outbound

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netserver/netservertest"
	"netserver/tlsparams"
)

// Who refuses a server's certificate says why, and what to do about it.
func TestReasons(t *testing.T) {
	ca, other := netservertest.CA(t), netservertest.NewCA(t, "somebody else")
	ours := caFile(t, ca)
	many := []string{"a.example", "b.example", "c.example", "d.example", "e.example", "f.example", "g.example"}
	limited := netservertest.NewCA(t, "limited")
	limited.Cert = constrain(t, limited)
	for _, test := range []struct {
		what  string
		leaf  netservertest.Leaf
		by    *netservertest.Authority
		p     Params
		wants []string
		not   string
	}{
		{"for clients", netservertest.Leaf{Client: true, Hosts: []string{"127.0.0.1"}}, ca, Params{CAFiles: []string{ours}}, []string{"is not made for servers", "serverAuth"}, ""},
		{"ended", netservertest.Leaf{From: time.Now().Add(-48 * time.Hour), Until: time.Now().Add(-time.Hour)}, ca, Params{CAFiles: []string{ours}}, []string{"the certificate CN=localhost expired on "}, "not made for"},
		{"not begun", netservertest.Leaf{From: time.Now().Add(time.Hour)}, ca, Params{CAFiles: []string{ours}}, []string{"is not valid before", "is the clock right?"}, "expired"},
		{"a stranger's", netservertest.Leaf{}, other, Params{CAFiles: []string{ours}}, []string{"signed by unknown authority", "somebody else", "is not in backend_ca_file"}, "self-signed"},
		{"a stranger's, by the system", netservertest.Leaf{}, other, Params{}, []string{"signed by unknown authority", "; give backend_ca_file"}, "is not in"},
		{"another name", netservertest.Leaf{Hosts: many}, ca, Params{CAFiles: []string{ours}}, []string{"for a.example, b.example, c.example, d.example, e.example, 2 others, not for 127.0.0.1"}, ""},
		{"an address", netservertest.Leaf{Hosts: []string{"192.0.2.1"}}, ca, Params{CAFiles: []string{ours}}, []string{"is for 192.0.2.1, not for 127.0.0.1"}, "no name"},
		{"no name", netservertest.Leaf{Name: "old", Hosts: []string{}}, ca, Params{CAFiles: []string{ours}}, []string{"is for no name (CN=old does not count), not for 127.0.0.1"}, ""},
		{"outside its authority's names", netservertest.Leaf{Hosts: []string{"x.example", "127.0.0.1"}}, limited, Params{CAFiles: []string{caFile(t, limited)}}, []string{"cannot be verified"}, "not made for"},
	} {
		t.Run(test.what, func(t *testing.T) {
			src, err := test.p.Open(tlsparams.Env{})
			must(t, err)
			_, err = ask(t, src, startServer(t, serverConf(t, test.by, test.leaf)))
			for _, want := range test.wants {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %q", err, want)
				}
			}
			if err != nil && test.not != "" && strings.Contains(err.Error(), test.not) {
				t.Errorf("%v, which is not %q", err, test.not)
			}
		})
	}
}

// constrain returns the certificate of an authority that may vouch for names
// below ok.example alone.
func constrain(t *testing.T, a *netservertest.Authority) *x509.Certificate {
	t.Helper()
	tmpl := *a.Cert
	tmpl.PermittedDNSDomains, tmpl.PermittedDNSDomainsCritical = []string{"ok.example"}, true
	der, err := x509.CreateCertificate(rand.Reader, &tmpl, &tmpl, a.Key.Public(), a.Key)
	must(t, err)
	c, err := x509.ParseCertificate(der)
	must(t, err)
	return c
}

// The names that two certificates have are not enough to call one self-signed.
func TestIsSelfSigned(t *testing.T) {
	a, same := netservertest.NewCA(t, "a"), netservertest.NewCA(t, "b")
	der := bytes.Clone(same.Cert.Raw)
	der[len(der)-1] ^= 1 // of the signature
	forged, err := x509.ParseCertificate(der)
	must(t, err)
	leaf := a.Issue(t, netservertest.Leaf{})
	issued, err := x509.ParseCertificate(leaf.TLS.Certificate[0])
	must(t, err)
	for _, test := range []struct {
		c    *x509.Certificate
		want bool
	}{{a.Cert, true}, {forged, false}, {issued, false}} {
		if got := isSelfSigned(test.c); got != test.want {
			t.Errorf("%s: %v", test.c.Subject, got)
		}
	}
}

// A directory of authorities is read by the names of its files alone.
func TestDirectoryOfAuthorities(t *testing.T) {
	ca, other := netservertest.CA(t), netservertest.NewCA(t, "other")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "ca.pem"), certPEM(ca.Cert.Raw))
	write(t, filepath.Join(dir, "README"), []byte("no certificate"))
	write(t, filepath.Join(dir, "other.pem~"), certPEM(other.Cert.Raw))
	must(t, os.Mkdir(filepath.Join(dir, "sub.pem"), 0o700))
	must(t, os.Symlink(filepath.Join(dir, "gone"), filepath.Join(dir, "link.pem")))
	src, err := Params{CAPath: []string{dir}}.Open(tlsparams.Env{})
	must(t, err)
	wantAnswer(t, src, startServer(t, serverConf(t, ca, netservertest.Leaf{})), "nobody")
	if got, err := ask(t, src, startServer(t, serverConf(t, other, netservertest.Leaf{}))); err == nil {
		t.Errorf("%q of a server whose authority is not read", got)
	}
}

// The warnings before a certificate ends come once each, on the day.
func TestEnding(t *testing.T) {
	ca, now := netservertest.CA(t), time.Now()
	p := ca.Issue(t, netservertest.Leaf{Client: true})
	src, err := Params{CAFiles: []string{caFile(t, ca)}, CertFile: p.CertFile, KeyFile: p.KeyFile}.Open(tlsparams.Env{Now: func() time.Time { return now }})
	must(t, err)
	end := src.span.To // the earliest of the chain
	const day = 24 * time.Hour
	for _, test := range []struct {
		left time.Duration
		want string
	}{
		{31 * day, ""}, {30*day + 1, ""}, {30 * day, "within 30 days"}, {30 * day, ""}, {8 * day, ""}, {7*day + 1, ""},
		{7 * day, "within 7 days"}, {2 * day, ""}, {day, "within 1 days"}, {1, ""}, {0, "has expired"}, {-day, ""},
	} {
		now = end.Add(-test.left)
		if line := src.ending(); (line == "") != (test.want == "") || !strings.Contains(line, test.want) {
			t.Errorf("%v before its end: %q, want %q", test.left, line, test.want)
		}
	}
}

func TestIsHost(t *testing.T) {
	long := strings.Repeat("a", 253)
	for name, want := range map[string]bool{
		"a": true, "z": true, "A.Z": true, "0.9": true, "a-b_c.d": true, "::1": true, "10.0.0.1": true, long: true,
		"": false, ".a": false, "a..b": false, "a b": false, "a/b": false, "a:b": false, "a`b": false, "a{": false, "a@b": false, "ä": false, long + "a": false, "a\x00": false,
	} {
		if isHost(name) != want {
			t.Errorf("%s: %v", fmt.Sprintf("%.20q", name), !want)
		}
	}
}
