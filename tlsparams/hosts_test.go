package tlsparams

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ask returns the common name of the certificate that a client is shown who
// names name, and has connected to 127.0.0.1.
func ask(t *testing.T, s *Source, name string, cache tls.ClientSessionCache) string {
	t.Helper()
	cfg := &tls.Config{InsecureSkipVerify: true, ServerName: name, ClientSessionCache: cache}
	if net.ParseIP(name) != nil {
		t.Fatal("crypto/tls does not send addresses")
	}
	_, cli, err := shake(t, s, cfg)
	if err != nil {
		if !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("%q: %v", name, err)
		}
		return "refused"
	}
	return cli.PeerCertificates[0].Subject.CommonName
}

func (a *testCA) forAddr(t *testing.T, cn string, ips ...string) []byte {
	t.Helper()
	key := newKey(t)
	tmpl := &x509.Certificate{Subject: pkix.Name{CommonName: cn}}
	for _, ip := range ips {
		tmpl.IPAddresses = append(tmpl.IPAddresses, net.ParseIP(ip))
	}
	c := a.sign(t, tmpl, key)
	return append(certPEM(c), keyPEM(t, key)...)
}

// Clients name no address: the one that they have connected to decides.
func TestCertificatesOfAddresses(t *testing.T) {
	ca := newCA(t, "ca")
	dir := t.TempDir()
	write := func(name string, data []byte) { writeFile(t, dir, name, data) }
	write("here.pem", ca.forAddr(t, "here", "127.0.0.1", "::1"))
	write("there.pem", ca.forAddr(t, "there", "192.0.2.1"))
	name, key := ca.server(t, "www.example.com")
	write("name.pem", append(certPEM(name), keyPEM(t, key)...))
	s := open(t, Env{Where: "port 443/ssl"}, "SSL_cert_dir="+dir)
	for sni, want := range map[string]string{"": "here", "www.example.com": "www.example.com", "other.example.com": "refused"} {
		if got := ask(t, s, sni, nil); got != want {
			t.Errorf("%q: %s, want %s", sni, got, want)
		}
	}
	def, key := ca.server(t, "default.example.com")
	file := writeFile(t, t.TempDir(), "default.pem", certPEM(def), keyPEM(t, key))
	s = open(t, Env{Where: "port 443/ssl"}, "SSL_cert_dir="+dir, "SSL_cert_file="+file)
	for sni, want := range map[string]string{"": "here", "other.example.com": "default.example.com"} {
		if got := ask(t, s, sni, nil); got != want {
			t.Errorf("%q beside a default: %s, want %s", sni, got, want)
		}
	}
	// A certificate that is renewed for another address serves that.
	write("here.pem", ca.forAddr(t, "here", "192.0.2.2"))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, s, "", nil); got != "default.example.com" {
		t.Errorf("after a reload: %s", got)
	}
}

func TestUnknownNamesAreRefusedBesideADefault(t *testing.T) {
	ca := newCA(t, "ca")
	dir := t.TempDir()
	pair := func(names ...string) string {
		c, k := ca.server(t, names...)
		return writeFile(t, dir, names[0]+".pem", certPEM(c), keyPEM(t, k))
	}
	args := []string{"SSL_cert_file=" + pair("main.example.com", "*.main.example.com"), "SSL_cert_file[www.example.com]=" + pair("www.example.com"), "SSL_cert_file[*.example.org]=" + pair("any.example.org", "*.example.org")}
	open := func(more ...string) *Source { return open(t, Env{Where: "port 443/ssl"}, append(args, more...)...) }
	for sni, want := range map[string]string{
		"": "main.example.com", "main.example.com": "main.example.com", "MAIN.example.com": "main.example.com", "a.main.example.com": "main.example.com",
		"www.example.com": "www.example.com", "x.example.org": "any.example.org",
		"other.example.com": "refused", "a.b.main.example.com": "refused", "localhost": "refused",
	} {
		if got := ask(t, open("SSL_unknown_sni=refuse"), sni, nil); got != want {
			t.Errorf("%q: %s, want %s", sni, got, want)
		}
		if want == "refused" {
			want = "main.example.com"
		}
		for _, more := range [][]string{nil, {"SSL_unknown_sni=default"}} {
			if got := ask(t, open(more...), sni, nil); got != want {
				t.Errorf("%q with %v: %s, want %s", sni, more, got, want)
			}
		}
	}
	if e := open("SSL_unknown_sni=refuse").Explain("other.example.com", nil); e.Allowed || !strings.Contains(e.Certificate, "unrecognized_name") {
		t.Errorf("%+v", e)
	}
}

// A session does not outlive the name that it was made under.
func TestNoSessionForANameThatIsGone(t *testing.T) {
	ca := newCA(t, "ca")
	dir := t.TempDir()
	for _, n := range []string{"a.example.com", "b.example.com"} {
		c, k := ca.server(t, n)
		writeFile(t, dir, n+".pem", certPEM(c), keyPEM(t, k))
	}
	s := open(t, Env{Where: "port 443/ssl"}, "SSL_cert_dir="+dir)
	cache := tls.NewLRUClientSessionCache(4)
	for range 2 {
		if got := ask(t, s, "a.example.com", cache); got != "a.example.com" {
			t.Fatal(got)
		}
	}
	if err := os.Remove(filepath.Join(dir, "a.example.com.pem")); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, s, "a.example.com", cache); got != "refused" {
		t.Errorf("with a ticket: %s", got)
	}
}
