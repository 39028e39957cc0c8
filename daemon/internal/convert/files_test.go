package convert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// The names and pins of certificates come from their files.
func TestCertificateFiles(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certificate := func(cn string, names ...string) *x509.Certificate {
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: cn}, DNSNames: names, NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	dir := t.TempDir()
	file := func(name string, blocks ...*pem.Block) string {
		path := filepath.Join(dir, name)
		text := []byte("a comment\n")
		for _, b := range blocks {
			text = append(text, pem.EncodeToMemory(b)...)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	block := func(c *x509.Certificate) *pem.Block { return &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw} }
	secret := &pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}
	first, second := certificate("WWW.example", "www.example", "*.b.example"), certificate("ca")
	both := file("both", secret, block(first), block(second))
	if names, err := namesIn(both); err != nil || !slices.Equal(names, []string{"www.example", "*.b.example"}) {
		t.Error(names, err)
	}
	pins, err := pinsIn(both)
	whole, public := sha256.Sum256(second.Raw), sha256.Sum256(second.RawSubjectPublicKeyInfo)
	if err != nil || len(pins) != 2 || pins[1] != (pin{hex.EncodeToString(whole[:]), hex.EncodeToString(public[:])}) {
		t.Error(pins, err)
	}
	for path, want := range map[string]error{
		file("key", secret): errNoCert, file("broken", &pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}): errNoCert,
		file("nameless", block(certificate("A Person"))): errNoNames, dir: errNoFile, filepath.Join(dir, "none"): nil,
	} {
		if names, err := namesIn(path); err == nil || want != nil && err != want {
			t.Errorf("%s: %v, %v", path, names, err)
		}
	}
}
