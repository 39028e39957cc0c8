//go:build unix

package acme

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Nothing but names of DNS becomes a file's name.
func TestNames(t *testing.T) {
	names, err := ParseNames([]string{"B.Example.", "a.example", "b.example", "localhost", "xn--bcher-kva.example", "1a.example"})
	if err != nil || strings.Join(names, " ") != "1a.example a.example b.example localhost xn--bcher-kva.example" {
		t.Errorf("%q, %v", names, err)
	}
	for _, bad := range []string{"", ".", "..", "../x", "a/b", `a\b`, "a..b", "-a.example", "a-.example", "*.example", "a_b.example", "a b", "a\x00b", "a\nb",
		"192.0.2.1", "[::1]", "::1", "ä.example", strings.Repeat("a", 64), strings.Repeat("a.", 127) + "ab", "a:b", "a.example/"} {
		if names, err := ParseNames([]string{bad}); err == nil {
			t.Errorf("%q is taken as %q", bad, names)
		}
	}
}

func FuzzNames(f *testing.F) {
	f.Add("a.example")
	f.Add("../x")
	f.Fuzz(func(t *testing.T, text string) {
		names, err := ParseNames([]string{text})
		if err != nil {
			return
		}
		for _, n := range names {
			if path := certificate(n); filepath.Dir(path) != dirCertificates || filepath.Base(path) != n+suffix || strings.HasPrefix(n, ".") || !filepath.IsLocal(path) {
				t.Errorf("%q becomes %q", text, path)
			}
		}
	})
}

func TestDirectories(t *testing.T) {
	for text, want := range map[string]string{"": Production, "production": Production, "staging": Staging, Production: Production, "https://ca.example/dir": "https://ca.example/dir"} {
		if got, staging, err := ParseDirectory(text); got != want || err != nil || (staging == Staging) != (want == Production) {
			t.Errorf("%q: %s, %s, %v", text, got, staging, err)
		}
	}
	for _, bad := range []string{"http://ca.example/dir", "ca.example", "https://", "https://user:word@ca.example/", "https://ca.example/#x", "ftp://x", "Production"} {
		if got, _, err := ParseDirectory(bad); err == nil {
			t.Errorf("%q is taken as %s", bad, got)
		}
	}
}

// A link below the storage leads nowhere, whoever made it.
func TestLinksAreNotFollowed(t *testing.T) {
	dir := t.TempDir()
	storage := filepath.Join(dir, "acme")
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("a secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := OpenStorage(storage)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, name := range []string{certificate("a.example"), filepath.Join(dirCertificates, temporary+"a.example.pem"), fileState} {
		if err := os.Symlink(secret, filepath.Join(storage, name)); err != nil {
			t.Fatal(err)
		}
		if data, err := s.read(name); err == nil {
			t.Errorf("%s: %q", name, data)
		}
		if err := s.write(name, []byte("new")); err != nil {
			t.Error(err)
		}
	}
	if b, err := os.ReadFile(secret); err != nil || string(b) != "a secret" {
		t.Errorf("what the links lead to is %q now, %v", b, err)
	}
	for _, sub := range []string{dirCertificates, dirRetired} {
		other := filepath.Join(t.TempDir(), "acme")
		if err := os.Mkdir(other, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(dir, filepath.Join(other, sub)); err != nil {
			t.Fatal(err)
		}
		if s, err := OpenStorage(other); err == nil {
			s.Close()
			t.Errorf("%s is a link, and is used", sub)
		}
	}
}

// Files of others, or that others could use, are no storage.
func TestStoragesOfOthers(t *testing.T) {
	dir := t.TempDir()
	for mode, good := range map[os.FileMode]bool{0o700: true, 0o750: false, 0o701: false, 0o777: false} {
		path := filepath.Join(dir, "storage")
		os.RemoveAll(path)
		os.Mkdir(path, 0o700)
		os.Chmod(path, mode)
		if err := CheckStorage(path); (err == nil) != good {
			t.Errorf("%o: %v", mode, err)
		}
	}
	open := filepath.Join(dir, "open")
	os.Mkdir(open, 0o700)
	os.Chmod(open, 0o777)
	if err := CheckStorage(filepath.Join(open, "storage")); err == nil {
		t.Error("in a directory that everybody may write to")
	}
	if os.Geteuid() == 0 {
		theirs := filepath.Join(dir, "theirs")
		os.Mkdir(theirs, 0o700)
		os.Chown(theirs, 65534, 65534)
		if err := CheckStorage(theirs); err == nil {
			t.Error("one of another user")
		}
	}
}

// A placeholder is served where there is nothing else, a certificate of before
// goes before it, and damaged files do not stop a start.
func TestPrepare(t *testing.T) {
	storage := filepath.Join(t.TempDir(), "acme")
	now := time.Now()
	prepare := func(names ...string) {
		t.Helper()
		if err := Prepare(storage, names, now); err != nil {
			t.Fatal(err)
		}
	}
	missing, err := Missing(storage, []string{"a.example"}, now)
	if err != nil || len(missing) != 1 {
		t.Errorf("%d missing, %v", len(missing), err)
	}
	if _, err := os.Stat(storage); err == nil {
		t.Error("to look made the storage")
	}
	prepare("a.example", "b.example")
	file := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(storage, certificate(name)))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	placeholder := file("a.example")
	prepare("a.example")
	if !bytes.Equal(placeholder, file("a.example")) {
		t.Error("another placeholder at each start")
	}
	s, err := OpenStorage(storage)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.held("a.example") != nil {
		t.Error("a placeholder is taken for a certificate")
	}
	good := issue(t, "b.example", now, 90*day)
	if err := s.write(certificate("b.example"), good); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.retire([]string{"a.example"}); err != nil || len(gone) != 1 || gone[0] != "b.example" {
		t.Errorf("%q, %v", gone, err)
	}
	prepare("a.example", "b.example")
	if s.held("b.example") == nil {
		t.Error("a certificate of before is not found again")
	}
	for _, bad := range [][]byte{{}, []byte("nonsense"), good[:100], issue(t, "other.example", now, 90*day)} {
		os.WriteFile(filepath.Join(storage, certificate("b.example")), bad, 0o600)
		if s.held("b.example") != nil {
			t.Errorf("%.20q is taken for a certificate", bad)
		}
		prepare("b.example")
	}
	now = now.AddDate(2, 0, 0)
	prepare("a.example")
	if bytes.Equal(placeholder, file("a.example")) {
		t.Error("an expired placeholder stays")
	}
}

func TestAccountKeys(t *testing.T) {
	storage := filepath.Join(t.TempDir(), "acme")
	s, err := OpenStorage(storage)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	one, err := s.accountKey("https://one.example")
	if err != nil {
		t.Fatal(err)
	}
	same, err1 := s.accountKey("https://one.example")
	other, err2 := s.accountKey("https://two.example")
	if err1 != nil || err2 != nil || publicOf(t, one) != publicOf(t, same) || publicOf(t, one) == publicOf(t, other) {
		t.Error("an account's key is another, or two accounts have one: ", err1, err2)
	}
	list, _ := filepath.Glob(filepath.Join(storage, "account-*"))
	os.WriteFile(list[0], []byte("nonsense"), 0o600)
	os.WriteFile(list[1], nil, 0o600)
	for _, d := range []string{"one", "two"} {
		if _, err := s.accountKey("https://" + d + ".example"); err == nil || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("damaged: %v", err)
		}
	}
}

func publicOf(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(der)
}
