package certfile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/youmark/pkcs8"
	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

func pair(t testing.TB) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, DNSNames: []string{"x"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

func TestSystemErrorsInWords(t *testing.T) {
	for err, want := range map[error]string{fs.ErrNotExist: "does not exist", fs.ErrPermission: "permission denied", errors.New("disk is on fire"): "disk is on fire"} {
		e := osError("/x", &fs.PathError{Op: "open", Path: "/x", Err: err})
		if !strings.HasPrefix(e.Error(), "/x ") || !strings.Contains(e.Error(), want) || !errors.Is(e, err) {
			t.Error(e)
		}
	}
}

func TestReadRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := Read(RoleKey, dir); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Error(err)
	}
	big := filepath.Join(dir, "big")
	f, err := os.Create(big)
	if err != nil {
		t.Fatal(err)
	}
	f.Truncate(MaxSize + 1)
	f.Close()
	if _, err := Read(RoleKey, big); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Error(err)
	}
	if _, err := Read(RoleKey, os.DevNull); err == nil {
		t.Error("a device passes")
	}
}

// TestPasswordsAreOverwritten: what Password returns does not stay in memory.
func TestPasswordsAreOverwritten(t *testing.T) {
	c, key := pair(t)
	der, err := pkcs8.MarshalPrivateKey(key, []byte("secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	pw := []byte("secret")
	l := &Loader{Password: func(string) ([]byte, error) { return pw, nil }}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	if _, err := l.Parse("c", certPEM, "k", der); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(pw), "secret") {
		t.Error("the password is still there")
	}
}

// FuzzParse feeds the intake of certificates and keys.
func FuzzParse(f *testing.F) {
	c, key := pair(f)
	keyDER, _ := x509.MarshalPKCS8PrivateKey(key)
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	p12, err := pkcs12.Modern.Encode(key, c, nil, "")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(certPEM, keyPEM...), []byte(nil))
	f.Add(c.Raw, keyDER)
	f.Add(certPEM, keyPEM)
	f.Add(p12, []byte(nil))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n"), []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAA==\n-----END RSA PRIVATE KEY-----\n"))
	l := &Loader{}
	f.Fuzz(func(t *testing.T, certData, keyData []byte) {
		if len(keyData) == 0 {
			keyData = nil
		}
		p, err := l.Parse("/c", certData, "/k", keyData)
		var e *Error
		switch {
		case err == nil && (len(p.Chain) == 0 || !matches(p.Chain[0], p.Key)):
			t.Fatal("accepted without a matching key")
		case err != nil && (!errors.As(err, &e) || strings.Contains(err.Error(), "\n")):
			t.Fatalf("%q", err)
		}
	})
}
