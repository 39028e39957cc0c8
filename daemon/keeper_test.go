package daemon

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netserver/conf"
	"netserver/netservertest"
	"netserver/port"
	"netserver/sock"
	"netserver/tlsparams"
	"netserver/tlsparams/certfile"
)

// testKeeper is the keeper of a port with params, whose workers are who we are.
func testKeeper(t *testing.T, params tlsparams.Params) *keeper {
	t.Helper()
	c := &Config{}
	c.Server.TLS = params
	pl := &plan{Isolate: true, Ports: []sock.Request{{Network: "tcp", Spec: port.Spec{Host: "127.0.0.1", Port: "1", Proto: port.SSL, IPv: "4", Params: conf.Values{}}}}}
	k, err := (&supervisor{v: &invocation{}}).newKeeper(c, pl, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func copyTo(t *testing.T, dir string, p netservertest.Pair) certfile.Files {
	t.Helper()
	f := certfile.Files{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	for from, to := range map[string]string{p.CertFile: f.Cert, p.KeyFile: f.Key} {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// TestKeeperGivesWhatIsNamed: a pair that the configuration does not name is
// not read, and what was read stays open through renewals.
func TestKeeperGivesWhatIsNamed(t *testing.T) {
	dir := t.TempDir()
	ca := netservertest.CA(t)
	f := copyTo(t, dir, ca.Issue(t, netservertest.Leaf{}))
	other := ca.Issue(t, netservertest.Leaf{})
	k := testKeeper(t, tlsparams.Params{CertFile: f.Cert, KeyFile: f.Key})
	first := k.load(f, [32]byte{}, true)
	if first.Reason != "" || len(first.Chain) == 0 || first.Key == 0 {
		t.Fatalf("%+v", first)
	}
	if again := k.load(f, first.Digest, true); !again.Same || again.Chain != nil {
		t.Errorf("unchanged: %+v", again)
	}
	for _, bad := range []certfile.Files{
		{Cert: other.CertFile, Key: other.KeyFile}, {Cert: f.Cert}, {Cert: f.Cert, Key: other.KeyFile}, {Cert: "/etc/passwd"}, {},
	} {
		if a := k.load(bad, [32]byte{}, true); !strings.Contains(a.Reason, "not named") || a.Key != 0 {
			t.Errorf("%v: %+v", bad, a)
		}
	}
	seen := map[uint32]bool{first.Key: true}
	for range 10 {
		copyTo(t, dir, ca.Issue(t, netservertest.Leaf{}))
		a := k.load(f, first.Digest, true)
		if a.Reason != "" || a.Same || seen[a.Key] {
			t.Fatalf("renewed: %+v", a)
		}
		seen[a.Key] = true
	}
	if n := k.ring.Len(); n != keptKeys {
		t.Errorf("%d keys are open", n)
	}
	if err := os.WriteFile(f.Key, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if a := k.load(f, [32]byte{}, true); a.Role != certfile.RoleKey || a.File != f.Key || a.Reason == "" {
		t.Errorf("broken: %+v", a)
	}
}

// TestKeeperWithholds: of files that workers may have read, they get no key.
func TestKeeperWithholds(t *testing.T) {
	p := netservertest.CA(t).Issue(t, netservertest.Leaf{})
	cert, _ := os.ReadFile(p.CertFile)
	key, _ := os.ReadFile(p.KeyFile)
	block, _ := pem.Decode(key)
	certBlock, _ := pem.Decode(cert)
	k := testKeeper(t, tlsparams.Params{CertFile: "/c", KeyFile: "/k", PasswdFile: "/p"})
	for _, secret := range []string{"/k", "/p", "/x/../k"} {
		if _, err := k.withhold(secret, cert, nil); !errors.Is(err, errWithheld) {
			t.Errorf("%s: %v", secret, err)
		}
	}
	for name, data := range map[string][]byte{
		"key behind": append(bytes.Clone(cert), key...), "key before": append(bytes.Clone(key), cert...),
	} {
		got, err := k.withhold("/ca", data, nil)
		if err != nil || !bytes.Equal(got, cert) {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
	// What is left of a damaged file would look like a whole one.
	damaged := append(bytes.Replace(bytes.Clone(key), []byte("\n"), []byte("\n!"), 2), cert...)
	if got, err := k.withhold("/ca", damaged, nil); err == nil || got != nil || !strings.Contains(err.Error(), "damaged in line 2") {
		t.Errorf("damaged key: %v\n%s", err, got)
	}
	if _, err := k.withhold("/ca", block.Bytes, nil); !errors.Is(err, errWithheld) {
		t.Errorf("DER: %v", err)
	}
	for name, data := range map[string][]byte{"certificate": cert, "DER certificate": certBlock.Bytes, "list": []byte("sha256$00 # ann\n")} {
		if got, err := k.withhold("/ca", data, nil); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := x509.ParseCertificate(certBlock.Bytes); err != nil {
		t.Error(err)
	}
	var none *keeper
	if got, err := none.withhold("/k", key, nil); err != nil || !bytes.Equal(got, key) {
		t.Error("without isolation workers read keys themselves")
	}
	if a := none.load(certfile.Files{Cert: "/c"}, [32]byte{}, true); a.Reason == "" {
		t.Errorf("%+v", a)
	}
}
