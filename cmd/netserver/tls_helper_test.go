//go:build unix

package main_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netserver/netservertest"
)

// An identity is a certificate with its key, in one file and in memory.
type identity struct {
	cert *x509.Certificate
	key  crypto.Signer
	file string
	tls  tls.Certificate
}

// issue signs what tmpl says with a; what is not said is that of a client, or
// with DNSNames of a server, valid today.
func issue(t testing.TB, a *netservertest.Authority, file string, tmpl x509.Certificate) identity {
	t.Helper()
	key := newKey(t)
	tmpl.SerialNumber = big.NewInt(time.Now().UnixNano())
	tmpl.NotBefore = time.Now().Add(-time.Hour)
	if tmpl.NotAfter.IsZero() {
		tmpl.NotAfter = time.Now().Add(60 * 24 * time.Hour)
	}
	tmpl.KeyUsage = x509.KeyUsageDigitalSignature
	if tmpl.ExtKeyUsage == nil {
		tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, &tmpl, a.Cert, key.Public(), a.Key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	id := identity{cert: cert, key: key, file: file, tls: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}
	write(t, file, pemOf(der)+keyPEM(t, key))
	return id
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// fingerprint is the SHA-256 of the certificate, in hex.
func fingerprint(id identity) string {
	sum := sha256.Sum256(id.cert.Raw)
	return hex.EncodeToString(sum[:])
}

func pemOf(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func keyPEM(t testing.TB, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// replace writes a file as certificate tools do: beside it, then renamed.
func replace(t testing.TB, file, text string) {
	t.Helper()
	write(t, file+".new", text)
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// crl returns a revocation list of a in PEM.
func crl(t testing.TB, a *netservertest.Authority, number int64, revoked ...identity) string {
	t.Helper()
	tmpl := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}
	for _, id := range revoked {
		tmpl.RevokedCertificateEntries = append(tmpl.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: id.cert.SerialNumber, RevocationTime: time.Now().Add(-time.Minute)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, tmpl, a.Cert, a.Key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}

// A tlsBed is what the tests of the parameters need: a server's certificates
// and clients'.
type tlsBed struct {
	dir      string
	ca       *netservertest.Authority // of the clients
	caFile   string
	one, two identity // servers: one.example.com and two.example.com
	ann, bob identity // clients; bob is a stranger's
}

func newTLSBed(t testing.TB) *tlsBed {
	t.Helper()
	b := &tlsBed{dir: t.TempDir(), ca: netservertest.NewCA(t, "client CA")}
	b.caFile = b.ca.File(t)
	server := func(name string) identity {
		root := netservertest.CA(t)
		id := issue(t, root, b.path(name+".pem"), x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}})
		write(t, id.file, pemOf(id.cert.Raw)+pemOf(root.Cert.Raw)+keyPEM(t, id.key))
		return id
	}
	b.one, b.two = server("one.example.com"), server("two.example.com")
	person := func(a *netservertest.Authority, name string) identity {
		return issue(t, a, b.path(name+".pem"), x509.Certificate{
			Subject:  pkix.Name{CommonName: name, OrganizationalUnit: []string{"Unit of " + name}},
			DNSNames: []string{name + ".example.org"}, EmailAddresses: []string{name + "@example.org"},
			IPAddresses: []net.IP{net.IPv4(192, 0, 2, 7)},
			URIs:        []*url.URL{{Scheme: "spiffe", Host: "example.org", Path: "/sa/" + name}},
		})
	}
	b.ann, b.bob = person(b.ca, "ann"), person(netservertest.NewCA(t, "stranger"), "bob")
	return b
}

func (b *tlsBed) path(name string) string { return filepath.Join(b.dir, name) }

// args replaces names of files in a line of arguments and splits it.
func (b *tlsBed) args(line string) []string {
	r := strings.NewReplacer("DIR", b.dir, "CA", b.caFile, "ONE", b.one.file, "TWO", b.two.file,
		"ANN", b.ann.file, "BOB", b.bob.file)
	return strings.Fields(r.Replace(line))
}

// start starts the echo on a TLS port of loopback that shows one.example.com,
// unless the arguments say otherwise.
func (b *tlsBed) start(t testing.TB, args ...string) *server {
	t.Helper()
	all := []string{"--host", "127.0.0.1", "--port", "0/ssl"}
	if !strings.Contains(strings.Join(args, " "), "SSL_cert_") {
		all = append(all, "--SSL_cert_file", b.one.file)
	}
	return start(t, append(all, args...)...)
}

// sclient lets openssl come in, say hello and quit, and returns all it prints.
func sclient(t testing.TB, address string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	all := append([]string{"s_client", "-connect", address, "-ign_eof"}, args...)
	cmd := exec.CommandContext(ctx, netservertest.Peer(t, "openssl"), all...)
	cmd.Stdin = strings.NewReader("hello\nquit\n")
	out, _ := cmd.CombinedOutput() // a refused client ends with a failure
	if ctx.Err() != nil {
		t.Errorf("openssl %q hangs:\n%s", args, out)
	}
	return string(out)
}

// clientTLS is how the test itself comes to a server of the bed.
func clientTLS(t testing.TB, id *identity) *tls.Config {
	cfg := &tls.Config{RootCAs: netservertest.CA(t).Pool(), ServerName: "one.example.com"}
	if id != nil {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &id.tls, nil }
	}
	return cfg
}

func mkdir(t testing.TB, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}
