package starter

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestWriteMakesFilesOnce(t *testing.T) {
	for _, j := range Jobs {
		dir := t.TempDir()
		r, err := Write(dir, j.Name)
		if err != nil || r.Try == "" || len(r.Start) == 0 {
			t.Fatalf("%s: %+v %v", j.Name, r, err)
		}
		for _, name := range r.Files {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			text, _ := os.ReadFile(filepath.Join(dir, name))
			if runtime.GOOS != "windows" && strings.Contains(string(text), "PRIVATE KEY") && info.Mode().Perm() != 0o600 {
				t.Errorf("%s: a key has the mode %v", name, info.Mode())
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if r, err := Write(dir, j.Name); err == nil || !strings.Contains(err.Error(), "nothing is overwritten") {
			t.Errorf("%s again: %+v %v", j.Name, r, err)
		}
		for _, name := range r.Files {
			if text, _ := os.ReadFile(filepath.Join(dir, name)); string(text) != "mine" {
				t.Errorf("%s: %s is overwritten", j.Name, name)
			}
		}
	}
	if _, err := Write(t.TempDir(), "x"); !errors.Is(err, ErrJob) {
		t.Error(err)
	}
}

// One file that is there, a dangling link even, and none is made.
func TestWriteMakesAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/nonexistent/key", filepath.Join(dir, clientName)); err != nil {
		t.Skip(err)
	}
	if _, err := Write(dir, "mutual"); err == nil {
		t.Error("a link is followed")
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%v", left)
	}
}

func TestCertificatesAreForTheirUse(t *testing.T) {
	files, err := certificates()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(files[0].text)
	if strings.Contains(string(files[0].text), "PRIVATE KEY") {
		t.Error("the authority's key is kept")
	}
	for i, use := range map[int]x509.ExtKeyUsage{1: x509.ExtKeyUsageServerAuth, 2: x509.ExtKeyUsageClientAuth} {
		pair, err := tls.X509KeyPair(files[i].text, files[i].text)
		if err != nil {
			t.Fatal(err)
		}
		o := x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{use}}
		if i == 1 {
			o.DNSName = "localhost"
		}
		if _, err := pair.Leaf.Verify(o); err != nil {
			t.Errorf("%s: %v", files[i].name, err)
		}
	}
}
