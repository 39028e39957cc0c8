package netservertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// An Authority issues certificates for tests. It keeps its key in memory.
type Authority struct {
	Cert *x509.Certificate
	Key  crypto.Signer
}

// CA returns the authority of this test binary: what Start's servers show is
// issued by it, and what its clients trust.
func CA(t testing.TB) *Authority {
	t.Helper()
	a, err := theCA()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// theCA makes the authority when it is first wanted.
var theCA = sync.OnceValues(func() (*Authority, error) { return newAuthority("netservertest") })

// NewCA returns another authority, which nobody trusts.
func NewCA(t testing.TB, name string) *Authority {
	t.Helper()
	a, err := newAuthority(name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newAuthority(name string) (*Authority, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	tmpl, err := template(name, time.Time{}, time.Time{})
	if err != nil {
		return nil, err
	}
	tmpl.IsCA = true
	tmpl.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &Authority{Cert: cert, Key: key}, err
}

// A Leaf says what certificate to issue. The zero Leaf is a server's, for
// localhost, 127.0.0.1 and ::1, valid now.
type Leaf struct {
	Name   string    // common name; default "localhost"
	Hosts  []string  // DNS names and addresses; for servers localhost, 127.0.0.1 and ::1 by default
	Client bool      // for a client instead of a server
	From   time.Time // default a day ago
	Until  time.Time // default in a day
}

// A Pair is a certificate with its key, in memory and in files.
type Pair struct {
	TLS      tls.Certificate
	CertFile string // PEM: the certificate, then its authority's
	KeyFile  string // PEM, PKCS #8
}

// Issue makes a certificate with a new ECDSA P-256 key. Its files live as long
// as the test.
func (a *Authority) Issue(t testing.TB, l Leaf) Pair {
	t.Helper()
	p, err := a.issue(t.TempDir(), l)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (a *Authority) issue(dir string, l Leaf) (Pair, error) {
	if l.Name == "" {
		l.Name = "localhost"
	}
	tmpl, err := template(l.Name, l.From, l.Until)
	if err != nil {
		return Pair{}, err
	}
	tmpl.KeyUsage = x509.KeyUsageDigitalSignature
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if l.Client {
		tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	} else if l.Hosts == nil {
		l.Hosts = []string{"localhost", "127.0.0.1", "::1"}
	}
	for _, h := range l.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, h)
		}
	}
	key, err := newKey()
	if err != nil {
		return Pair{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.Cert, key.Public(), a.Key)
	if err != nil {
		return Pair{}, err
	}
	return writePair(dir, key, der, a.Cert.Raw)
}

func writePair(dir string, key crypto.Signer, chain ...[]byte) (Pair, error) {
	p := Pair{
		CertFile: filepath.Join(dir, "cert.pem"),
		KeyFile:  filepath.Join(dir, "key.pem"),
	}
	p.TLS.Certificate = chain
	p.TLS.PrivateKey = key
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	var certs []byte
	for _, c := range chain {
		certs = append(certs, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})...)
	}
	if err := os.WriteFile(p.CertFile, certs, 0o600); err != nil {
		return Pair{}, err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return p, os.WriteFile(p.KeyFile, block, 0o600)
}

// WriteBoth writes the certificates and their key into one file of a mode, in
// a single step, as a server that follows the file wants it.
func (p Pair) WriteBoth(t testing.TB, name string, mode os.FileMode) {
	t.Helper()
	cert, err := os.ReadFile(p.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(p.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name+".new", append(cert, key...), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

// Pool returns a pool that holds the authority's certificate alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Cert)
	return pool
}

// File writes the authority's certificate to a PEM file that lives as long as
// the test, and returns its path: for SSL_ca_file, openssl -CAfile and such.
func (a *Authority) File(t testing.TB) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Cert.Raw})
	if err := os.WriteFile(name, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func template(name string, from, until time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	if from.IsZero() {
		from = time.Now().Add(-24 * time.Hour)
	}
	if until.IsZero() {
		until = time.Now().Add(24 * time.Hour)
	}
	return &x509.Certificate{
		SerialNumber:          serial.Add(serial, big.NewInt(1)),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             from,
		NotAfter:              until,
		BasicConstraintsValid: true,
	}, nil
}
