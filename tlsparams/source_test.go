package tlsparams

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"netserver/conf"
	"netserver/tlsparams/internal/protocol"
)

func TestChainAndKeyTogetherOrApart(t *testing.T) {
	dir := t.TempDir()
	root := newCA(t, "root")
	inter := root.ca(t, "inter")
	leaf, key := inter.server(t, "www.example.com")
	chain := certPEM(leaf, inter.cert)
	pool := x509.NewCertPool()
	pool.AddCert(root.cert)
	for name, p := range map[string]Params{
		"apart":     {CertFile: writeFile(t, dir, "a.crt", chain), KeyFile: writeFile(t, dir, "a.key", keyPEM(t, key))},
		"together":  {CertFile: writeFile(t, dir, "b.pem", chain, keyPEM(t, key))},
		"key first": {CertFile: writeFile(t, dir, "c.pem", keyPEM(t, key), chain)},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := p.Source("port 443/ssl", false)
			if err != nil {
				t.Fatal(err)
			}
			srv, _, err := shake(t, s, &tls.Config{RootCAs: pool, ServerName: "www.example.com"})
			if err != nil {
				t.Fatal(err)
			}
			if srv.Version != tls.VersionTLS13 || len(s.Warnings()) != 0 || s.SelfSigned() != nil {
				t.Fatalf("version %x, warnings %q, self-signed %v", srv.Version, s.Warnings(), s.SelfSigned())
			}
		})
	}
}

func TestBrokenFiles(t *testing.T) {
	dir := t.TempDir()
	root := newCA(t, "root")
	inter := root.ca(t, "inter")
	leaf, key := inter.server(t, "www.example.com")
	goodCert := writeFile(t, dir, "good.crt", certPEM(leaf))
	goodKey := writeFile(t, dir, "good.key", keyPEM(t, key))
	weakKey := testRSA(t, 1024)
	weak := root.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "weak"}}, weakKey)
	clientOnly := root.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "c"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, key)
	secret := writeFile(t, dir, "secret.key", keyPEM(t, key))
	cases := []struct{ name, cert, key, want string }{
		{"missing", dir + "/none", "", "SSL_cert_file " + dir + "/none does not exist"},
		{"missing key", goodCert, dir + "/none", "SSL_key_file " + dir + "/none does not exist"},
		{"directory", dir, "", "is a directory"},
		{"empty", writeFile(t, dir, "empty"), "", "is empty"},
		{"garbage", writeFile(t, dir, "garbage", []byte("hello, world\n")), "", "holds no certificate in PEM, DER or PKCS#12 form"},
		{"truncated", writeFile(t, dir, "cut", certPEM(leaf)[:300]), goodKey, "is cut short"},
		{"truncated key", goodCert, writeFile(t, dir, "cut.key", keyPEM(t, key)[:100]), "is cut short"},
		{"no key", goodCert, "", "holds no private key"},
		{"swapped", goodKey, goodCert, "were SSL_cert_file and SSL_key_file swapped"},
		{"mismatch", goodCert, writeFile(t, dir, "other.key", keyPEM(t, newKey(t))), "other.key does not match the certificate " + goodCert},
		{"mismatch inside", writeFile(t, dir, "mm.pem", certPEM(leaf), keyPEM(t, newKey(t))), "", "does not match its first certificate"},
		{"out of order", writeFile(t, dir, "order.pem", certPEM(leaf, root.cert, inter.cert), keyPEM(t, key)), "", "chain out of order"},
		{"weak key", writeFile(t, dir, "weak.pem", certPEM(weak), keyPEM(t, weakKey)), "", "weak key: RSA with 1024 bits"},
		{"wrong usage", writeFile(t, dir, "client.pem", certPEM(clientOnly), keyPEM(t, key)), "", "lacks serverAuth"},
		{"key without certificate", "", goodKey, "is given without SSL_cert_file"},
	}
	if runtime.GOOS != "windows" && os.Geteuid() != 0 {
		os.Chmod(secret, 0)
		cases = append(cases, struct{ name, cert, key, want string }{"permission", goodCert, secret, "permission denied"})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p, err := Params{}.With(conf.Values{
				"SSL_cert_file": {{Text: c.cert, Origin: conf.Origin{Source: conf.SourceFile, File: "server.conf", Line: 12}}},
				"SSL_key_file":  {{Text: c.key, Origin: conf.Origin{Source: conf.SourceFile, File: "server.conf", Line: 12}}},
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Source("port 443/ssl", true)
			if err == nil {
				t.Fatal("no error")
			}
			msg := err.Error()
			if !strings.Contains(msg, c.want) || !strings.HasPrefix(msg, "port 443/ssl: SSL_") ||
				!strings.HasSuffix(msg, "(server.conf:12)") || strings.Contains(msg, "\n") {
				t.Fatalf("got %q, want %q in it", msg, c.want)
			}
		})
	}
}

func testRSA(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestDatesAreWarnings(t *testing.T) {
	leaf, key := newCA(t, "root").server(t, "x")
	p := Params{CertFile: writeFile(t, t.TempDir(), "x.pem", certPEM(leaf), keyPEM(t, key))}
	for want, now := range map[string]time.Time{"has expired": leaf.NotAfter.Add(time.Hour), "is not valid yet": leaf.NotBefore.Add(-time.Hour)} {
		s, err := p.Open(Env{Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		if w := s.Warnings(); len(w) != 1 || !strings.Contains(w[0], want) {
			t.Errorf("warnings %q, want %q", w, want)
		}
	}
}

func TestSelfSigned(t *testing.T) {
	if _, err := (Params{}).Source("port 443/ssl", false); err == nil || !strings.Contains(err.Error(), "SSL_cert_file=self-signed") {
		t.Fatalf("no certificate off loopback: %v", err)
	}
	shared, err := SelfSigned(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	one, err := Params{}.Open(Env{Loopback: true, SelfSigned: shared})
	if err != nil {
		t.Fatal(err)
	}
	two, err := Params{CertFile: ForceSelfSigned}.Source("", false)
	if err != nil {
		t.Fatal(err)
	}
	if one.SelfSigned() != shared || two.SelfSigned() == nil || two.SelfSigned().Fingerprint() == shared.Fingerprint() {
		t.Fatal("wrong certificates")
	}
	pool := x509.NewCertPool()
	pool.AddCert(shared.Leaf())
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		if _, _, err := shake(t, one, &tls.Config{RootCAs: pool, ServerName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !strings.HasPrefix(shared.Fingerprint(), "sha256$") || len(shared.Fingerprint()) != 7+64 {
		t.Error(shared.Fingerprint())
	}
	_ = net.IPv4zero
}

func TestALPNFollowsTheClient(t *testing.T) {
	s, err := Params{ALPN: []string{"aa", "bb"}}.Source("", true)
	if err != nil {
		t.Fatal(err)
	}
	for want, offer := range map[string][]string{"bb": {"bb", "aa"}, "aa": {"zz", "aa", "bb"}, "": nil} {
		c := anyClient()
		c.NextProtos = offer
		srv, _, err := shake(t, s, c)
		if err != nil || srv.NegotiatedProtocol != want {
			t.Errorf("offer %q: got %q, %v; want %q", offer, srv.NegotiatedProtocol, err, want)
		}
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c := anyClient()
		c.MinVersion, c.MaxVersion, c.NextProtos = version, version, []string{"zz"}
		if _, _, err := shake(t, s, c); err == nil || !strings.Contains(err.Error(), "no application protocol") {
			t.Errorf("TLS %x, nothing in common: %v", version, err)
		}
	}
	hello := &tls.ClientHelloInfo{SupportedProtos: []string{"bb", "aa"}}
	if n := testing.AllocsPerRun(100, func() { s.Config().GetConfigForClient(hello) }); n != 0 {
		t.Errorf("%v allocations a client", n)
	}
}

func TestVersionsSeenByClients(t *testing.T) {
	const all = "1.0 1.1 1.2 1.3"
	for text, want := range map[string]string{
		"": "1.2 1.3", "TLSv1_3": "1.3", "tlsv12": "1.2", "TLSv1": "1.0", "SSLv23": all,
		"SSLv23:!TLSv1:!TLSv1_1": "1.2 1.3", "SSLv23:!SSLv3:!SSLv2": all, "!TLSv1:!tlsv1_1": "1.2 1.3",
		"SSLv23:!TLSv1_2": "1.0 1.1 1.3", "SSLv2/3:!TLSv1:!TLSv1_2": "1.1 1.3", "TLSv1_2:!TLSv1_2": "1.2",
	} {
		s, err := Params{Version: text}.Source("", true)
		if err != nil {
			t.Fatal(text, err)
		}
		var got []string
		for i, name := range strings.Fields(all) {
			c := anyClient()
			c.MinVersion, c.MaxVersion = tls.VersionTLS10+uint16(i), tls.VersionTLS10+uint16(i)
			if srv, _, err := shake(t, s, c); err == nil && srv.Version == c.MaxVersion {
				got = append(got, name)
			}
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%q: clients got in with %q, want %q", text, g, want)
		}
		if old := strings.Contains(want, "1.0") || strings.Contains(want, "1.1"); old != (len(s.Warnings()) == 1) {
			t.Errorf("%q: warnings %q", text, s.Warnings())
		}
	}
}

func TestVersionsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"TLSv1_2:TLSv12": "more than one version", "SSLv3": "not possible", "TLSv1_4": "names no TLS version",
		":": "names no TLS version", "SSLv23:": "names no TLS version",
		"!TLSv1:!TLSv1_1:!TLSv1_2:!TLSv1_3": "leaves no version",
	} {
		if _, reason := protocol.ParseVersions(text); !strings.Contains(reason, want) {
			t.Errorf("%q: %q, want %q", text, reason, want)
		}
	}
}

func FuzzVersions(f *testing.F) {
	for _, s := range []string{"", "SSLv23:!TLSv1", "TLSv1_3", "!SSLv2/3", "::", "!"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		set, reason := protocol.ParseVersions(s)
		if (set == 0) == (reason == "") || set&^protocol.AllVersions != 0 {
			t.Fatalf("%q: %b %q", s, set, reason)
		}
	})
}

func TestWith(t *testing.T) {
	at := conf.Origin{Source: conf.SourceFile, File: "s.conf", Line: 3}
	_, err := Params{}.With(conf.Values{
		"SSL_cert_fiel": {{Text: "x", Origin: at}},
		"SSL_psk":       {{Text: "hunter2", Origin: at}},
		"SSL_version":   {{Text: "TLSv9", Origin: at}},
		"SSL_key_file":  {{Name: "a.example", Text: "x", Origin: at}},
		"port":          {{Text: "1"}},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"did you mean SSL_cert_file? (s.conf:3)", "SSL_psk is not possible", "SSL_version TLSv9 names no TLS version"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Error("a refused value is shown:", err)
	}
	base := Params{CertFile: "a", ALPN: []string{"x"}}
	p, err := base.With(conf.Values{"SSL_alpn_protocols": {{Text: "h2,  http/1.1"}, {Text: "z"}}})
	if err != nil || strings.Join(p.ALPN, " ") != "h2 http/1.1 z" || p.CertFile != "a" || len(base.ALPN) != 1 {
		t.Errorf("%+v %v", p, err)
	}
}

func TestKeysAreDescribed(t *testing.T) {
	for i, k := range Keys() {
		if !strings.HasPrefix(k.Name, "SSL_") || k.Help == "" || k.Arg == "" {
			t.Errorf("key %d: %+v", i, k)
		}
	}
	for k, reason := range Refused() {
		if reason == "" {
			t.Error(k)
		}
	}
}
