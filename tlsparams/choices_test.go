package tlsparams

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netserver/tlsparams/internal/revoke"
)

// With SSL_honor_cipher_order 0 the first signature scheme of the client that
// some key can make decides; else the key that is cheaper to sign with.
func TestTheClientsOrderChoosesTheKey(t *testing.T) {
	dir, ca := t.TempDir(), newCA(t, "ca")
	c, k := ca.server(t, "one.example")
	rsaKey := testRSA(t, 2048)
	args := []string{"SSL_cert_file[one.example%ecc]=" + writeFile(t, dir, "ecc.pem", certPEM(c), keyPEM(t, k)),
		"SSL_cert_file[one.example]=" + writeFile(t, dir, "rsa.pem", certPEM(ca.sign(t, &x509.Certificate{DNSNames: []string{"one.example"}}, rsaKey)), keyPEM(t, rsaKey))}
	s := open(t, loopback, args...)
	h, ok := s.cur.Load().certs.names.At("one.example")
	if !ok {
		t.Fatal("the name is not served")
	}
	ecc, pss, ed := tls.ECDSAWithP256AndSHA256, tls.PSSWithSHA256, tls.Ed25519
	for _, c := range []struct {
		schemes []tls.SignatureScheme
		client  bool
		ecdsa   bool
	}{
		{[]tls.SignatureScheme{pss, ecc}, true, false},
		{[]tls.SignatureScheme{ecc, pss}, true, true},
		{[]tls.SignatureScheme{ed, pss, ecc}, true, false},
		{[]tls.SignatureScheme{ed, ecc, pss}, true, true},
		{[]tls.SignatureScheme{pss, ecc}, false, true},
		{[]tls.SignatureScheme{pss}, false, false},
		{[]tls.SignatureScheme{ecc}, false, true},
	} {
		hello := &tls.ClientHelloInfo{ServerName: "one.example", SupportedVersions: []uint16{tls.VersionTLS13}, SignatureSchemes: c.schemes,
			CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256}, SupportedCurves: []tls.CurveID{tls.X25519, tls.CurveP256}, SupportedPoints: []uint8{0}}
		got := h.pick(hello, c.client)
		if _, isECDSA := got.Leaf.PublicKey.(*ecdsa.PublicKey); isECDSA != c.ecdsa {
			t.Errorf("%v, the client's order %v: ECDSA %v", c.schemes, c.client, isECDSA)
		}
	}
}

func TestCommonCurve(t *testing.T) {
	for args, curves := range map[string]map[tls.CurveID]bool{
		"":                      {tls.X25519: true, tls.CurveP256: true, tls.CurveP384: true, tls.CurveP521: true, 21: false},
		"SSL_ecdh_curve=P-384":  {tls.X25519: false, tls.CurveP256: false, tls.CurveP384: true, 21: false},
		"SSL_ecdh_curve=X25519": {tls.X25519: true, tls.CurveP256: false},
	} {
		var list []string
		if args != "" {
			list = []string{args}
		}
		g := open(t, loopback, list...).cur.Load()
		for curve, want := range curves {
			if got := g.commonCurve(&tls.ClientHelloInfo{SupportedCurves: []tls.CurveID{21, curve}}); got != want {
				t.Errorf("%s: %v is common: %v", args, curve, got)
			}
		}
		if g.commonCurve(&tls.ClientHelloInfo{}) {
			t.Errorf("%s: a client without curves has one in common", args)
		}
	}
}

// A worker gets the pairs of a directory that its scan returns, and no others.
func TestPairsOfADirectory(t *testing.T) {
	p := Params{CertDir: "/certs/"}
	for cert, c := range map[string]struct {
		key  string
		want bool
	}{
		"/certs/a.pem":               {"", true},
		"/certs/b.pem":               {"/certs/b.key", true},
		"/certs/c.pem":               {"/certs/b.key", false},
		"/certs/a.txt":               {"", false},
		"/certs/.a.pem":              {"", false},
		"/certs/../etc/a.pem":        {"", false},
		"/certs/site/fullchain.pem":  {"/certs/site/privkey.pem", true},
		"/certs/site/tls.crt":        {"/certs/site/tls.key", true},
		"/certs/other/tls.crt":       {"/certs/site/tls.key", false},
		"/certs/.site/tls.crt":       {"/certs/.site/tls.key", false},
		"/certs/..data/tls.crt":      {"/certs/..data/tls.key", false},
		"/certs/a/b/tls.crt":         {"/certs/a/b/tls.key", false},
		"/etc/site/tls.crt":          {"/etc/site/tls.key", false},
		"/certs/site/../../tls.crt":  {"/certs/site/../../tls.key", false},
		"/certs/site//fullchain.pem": {"/certs/site/privkey.pem", false},
		"/certs/site/x.pem":          {"/certs/site/privkey.pem", false},
		"":                           {"", false},
		ForceSelfSigned:              {"", false},
	} {
		if got := p.Names(Files{Cert: cert, Key: c.key}); got != c.want {
			t.Errorf("%s with %q: %v", cert, c.key, got)
		}
	}
}

// Every key has a condition: at the least that there is a TLS port.
func TestKeysHaveConditions(t *testing.T) {
	for _, k := range Keys() {
		if k.When == "" {
			t.Errorf("%s has none", k.Name)
		}
	}
}

// Each name whose suites fit no certificate is warned of.
func TestSuitesThatFitNoKeyAreTold(t *testing.T) {
	dir, ca := t.TempDir(), newCA(t, "ca")
	c, k := ca.server(t, "a.example", "b.example", "c.example", "d.example")
	file := writeFile(t, dir, "cert.pem", certPEM(c), keyPEM(t, k))
	args := []string{"SSL_cert_file=" + file}
	for _, name := range []string{"a", "b", "c"} {
		args = append(args, "SSL_cert_file["+name+".example]="+file, "SSL_cipher_list["+name+".example]=ECDHE-RSA-AES128-GCM-SHA256")
	}
	args = append(args, "SSL_cert_file[d.example]="+file, "SSL_cipher_list[d.example]=ECDHE-ECDSA-AES128-GCM-SHA256")
	for range 5 { // in any order
		told := strings.Join(open(t, loopback, args...).Warnings(), "\n")
		for name, want := range map[string]bool{"a.example": true, "b.example": true, "c.example": true, "d.example": false} {
			if strings.Contains(told, name) != want {
				t.Fatalf("%s: told %v, want %v:\n%s", name, !want, want, told)
			}
		}
	}
}

// An authority in DER has no lists beside it, and keeps nobody from reading
// those of the next file.
func TestListsBehindAnAuthorityInDER(t *testing.T) {
	dir, ca, other := t.TempDir(), newCA(t, "ca"), newCA(t, "other")
	ann := other.person(t, "ann", nil)
	der := writeFile(t, dir, "ca.der", ca.cert.Raw)
	text := writeFile(t, dir, "other.pem", certPEM(other.cert), other.crl(t, 1, 0, time.Now().Add(time.Hour), ann.cert))
	s := open(t, loopback, "SSL_verify_mode=3", "SSL_check_crl=1", "SSL_ca_file="+der, "SSL_ca_file="+text)
	if told := strings.Join(s.Warnings(), "\n"); strings.Contains(told, "no revocation list") {
		t.Error(told)
	}
	data, err := os.ReadFile(text)
	if err != nil {
		t.Fatal(err)
	}
	if l := s.cur.Load().bySite[""].lists; l == nil || new(revoke.Lists).Reuse(l, text, sha256.Sum256(data)) != 1 {
		t.Error("the list is not read")
	}
}

// Every broken pair of a directory is named.
func TestEveryBrokenPairIsNamed(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.pem", "b.pem", "c.pem"} {
		writeFile(t, dir, name, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	}
	_, err := tryOpen(loopback, "SSL_cert_dir="+dir)
	for _, name := range []string{"a.pem", "b.pem", "c.pem"} {
		if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, name)) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
}
