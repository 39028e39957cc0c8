package tlsparams

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// peer finds a program that a test needs; CI must have it.
func peer(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing", name)
		}
		t.Skipf("%s is missing", name)
	}
	return path
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(peer(t, name), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

const secretPassword = "correct horse battery staple"

// TestFormats reads what openssl writes.
func TestFormats(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	root := newCA(t, "root")
	inter := root.ca(t, "inter")
	leaf, key := inter.server(t, "www.example.com")
	writeFile(t, dir, "leaf.pem", certPEM(leaf))
	writeFile(t, dir, "chain.pem", certPEM(leaf, inter.cert))
	writeFile(t, dir, "cas.pem", certPEM(root.cert, inter.cert))
	writeFile(t, dir, "key.pem", keyPEM(t, key))
	pass := "pass:" + secretPassword
	run(t, "openssl", "x509", "-in", at("leaf.pem"), "-outform", "DER", "-out", at("leaf.der"))
	run(t, "openssl", "pkey", "-in", at("key.pem"), "-outform", "DER", "-out", at("key.der"))
	run(t, "openssl", "ec", "-in", at("key.pem"), "-outform", "DER", "-out", at("key-sec1.der"))
	run(t, "openssl", "pkcs8", "-topk8", "-in", at("key.pem"), "-out", at("key-pkcs8.pem"), "-passout", pass)
	run(t, "openssl", "pkcs8", "-topk8", "-scrypt", "-in", at("key.pem"), "-out", at("key-scrypt.pem"), "-passout", pass)
	run(t, "openssl", "pkcs8", "-topk8", "-in", at("key.pem"), "-outform", "DER", "-out", at("key-pkcs8.der"), "-passout", pass)
	run(t, "openssl", "ec", "-aes256", "-in", at("key.pem"), "-out", at("key-old.pem"), "-passout", pass)
	p12 := []string{"pkcs12", "-export", "-in", at("leaf.pem"), "-certfile", at("cas.pem"), "-inkey", at("key.pem")}
	run(t, "openssl", append(p12, "-out", at("open.p12"), "-passout", "pass:")...)
	run(t, "openssl", append(p12, "-out", at("new.p12"), "-passout", pass)...)
	run(t, "openssl", append(p12, "-legacy", "-out", at("old.p12"), "-passout", pass)...)
	passwords := map[string][]string{
		"hook":    nil,
		"file":    {"SSL_passwd_file=" + writeFile(t, dir, "passwd", []byte(secretPassword+"\r\nsecond line\n"))},
		"command": {"SSL_passwd_command=cat " + at("passwd")},
	}
	for _, c := range []struct {
		cert, key string
		chain     int
		encrypted bool
	}{
		{"leaf.der", "key.der", 1, false}, {"leaf.der", "key-sec1.der", 1, false}, {"chain.pem", "key.der", 2, false},
		{"chain.pem", "key-pkcs8.pem", 2, true}, {"chain.pem", "key-scrypt.pem", 2, true}, {"chain.pem", "key-pkcs8.der", 2, true},
		{"chain.pem", "key-old.pem", 2, true}, {"open.p12", "", 3, false}, {"new.p12", "", 3, true}, {"old.p12", "", 3, true},
		{"chain.pem", "new.p12", 2, true}, {"new.p12", "key.pem", 3, true},
	} {
		args := []string{"SSL_cert_file=" + at(c.cert)}
		if c.key != "" {
			args = append(args, "SSL_key_file="+at(c.key))
		}
		for how, more := range passwords {
			env := Env{}
			if how == "hook" {
				env.Hooks.Password = func(string) ([]byte, error) { return []byte(secretPassword), nil }
			}
			s, err := tryOpen(env, append(args, more...)...)
			if err != nil {
				t.Errorf("%s %s, password by %s: %v", c.cert, c.key, how, err)
				continue
			}
			if w := strings.Join(s.Warnings(), "\n"); c.encrypted && strings.Contains(w, "no key here is encrypted") {
				t.Errorf("%s %s, password by %s: warnings %q", c.cert, c.key, how, w)
			}
			srv, cli, err := shake(t, s, anyClient())
			if err != nil || len(cli.PeerCertificates) != c.chain {
				t.Errorf("%s %s: chain of %d, want %d (%v, %x)", c.cert, c.key, len(cli.PeerCertificates), c.chain, err, srv.Version)
			}
		}
		if c.encrypted {
			wrongPasswords(t, args)
		}
	}
}

// wrongPasswords checks the errors for an encrypted file, and that they and
// the log show no password.
func wrongPasswords(t *testing.T, args []string) {
	t.Helper()
	for want, env := range map[string]Env{
		"SSL_passwd_file": {},
		"wrong":           {Hooks: Hooks{Password: func(string) ([]byte, error) { return []byte("not the secret"), nil }}},
		"sealed":          {Hooks: Hooks{Password: func(string) ([]byte, error) { return nil, errors.New("safe is sealed") }}},
	} {
		_, err := tryOpen(env, args...)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "not the secret") {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	_, err := tryOpen(Env{}, append(args, "SSL_passwd_command=sh -c "+secretPassword)...)
	if err == nil || strings.Contains(err.Error(), "horse") {
		t.Errorf("the command's arguments are shown: %v", err)
	}
}

func TestSecretsAreNotLogged(t *testing.T) {
	p, err := Params{}.With(values("SSL_passwd_command=print hunter2", "SSL_passwd_file=/run/hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("start", "tls", p)
	s := open(t, Env{Loopback: true, TicketSecret: []byte("hunter2")})
	slog.New(slog.NewTextHandler(&out, nil)).Info("start", "source", s, "env", s.env, "keys", s.tickets)
	fmt.Fprintf(&out, "%v %+v %s", s.tickets, s.env, s)
	if strings.Contains(out.String(), "hunter2") || strings.Contains(out.String(), fmt.Sprint([]byte("hunter2"))) {
		t.Error(out.String())
	}
	for _, k := range Keys() {
		if k.Name == "SSL_passwd_command" && !k.Secret {
			t.Error("SSL_passwd_command is not marked as secret")
		}
	}
}

func TestDirectoryOfCertificates(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, "ca")
	c1, k1 := ca.server(t, "one.example", "uno.example")
	c2, k2 := ca.server(t, "*.two.example")
	c3, k3 := ca.server(t, "three.example")
	writeFile(t, dir, "one.crt", certPEM(c1))
	writeFile(t, dir, "one.key", keyPEM(t, k1))
	writeFile(t, dir, "two.pem", certPEM(c2), keyPEM(t, k2))
	writeFile(t, dir, "README", []byte("not a certificate"))
	os.Mkdir(filepath.Join(dir, "three.example"), 0o755)
	writeFile(t, filepath.Join(dir, "three.example"), "fullchain.pem", certPEM(c3))
	writeFile(t, filepath.Join(dir, "three.example"), "privkey.pem", keyPEM(t, k3))
	s := open(t, Env{}, "SSL_cert_dir="+dir)
	for sni, want := range map[string]string{"one.example": "one.example", "uno.example": "one.example", "x.two.example": "*.two.example", "three.example": "three.example", "none.example": ""} {
		cfg := anyClient()
		cfg.ServerName = sni
		_, cli, err := shake(t, s, cfg)
		got := ""
		if err == nil {
			got = cli.PeerCertificates[0].DNSNames[0]
		}
		if got != want {
			t.Errorf("%s: %q (%v), want %q", sni, got, err, want)
		}
	}
	writeFile(t, dir, "bad.pem", certPEM(c1))
	if _, err := tryOpen(Env{}, "SSL_cert_dir="+dir); err == nil || !strings.Contains(err.Error(), "bad.pem holds no private key") {
		t.Error(err)
	}
	if _, err := tryOpen(Env{}, "SSL_cert_dir="+t.TempDir()); err == nil || !strings.Contains(err.Error(), "holds no certificate") {
		t.Error(err)
	}
}
