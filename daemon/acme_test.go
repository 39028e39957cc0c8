//go:build unix

package daemon_test

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

func parsePEM(b []byte) (list []*x509.Certificate) {
	for {
		block, rest := pem.Decode(b)
		if block == nil {
			return list
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			list = append(list, c)
		}
		b = rest
	}
}

const (
	quarter  = 90 * 24 * time.Hour
	obtained = "acme: certificate for a.example obtained"
)

// keyOf reads a key of a storage.
func keyOf(t *testing.T, pattern string) keyed {
	t.Helper()
	list, err := filepath.Glob(pattern)
	if err != nil || len(list) != 1 {
		t.Fatalf("%s: %q, %v", pattern, list, err)
	}
	text, err := os.ReadFile(list[0])
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	var k keyed
	k.key = key.(crypto.Signer)
	k.pem = pem.EncodeToMemory(block)
	return k
}

// Certificates come by themselves to a port that asks its clients for theirs,
// and several processes serve it. Their keys and the account's stay in the
// supervisor; a start that has certificates orders none.
func TestACME(t *testing.T) {
	p := startPebble(t, quarter, nil)
	dir := openDir(t)
	storage := filepath.Join(dir, "acme")
	clients := netservertest.NewCA(t, "clients")
	args := p.keys(storage, "--acme_domains", "a.example, B.example", "--acme_email", "ops@example.com",
		"--SSL_verify_mode", "3", "--SSL_ca_file", put(t, dir, "clients.pem", fileOf(t, clients.File(t))), "--SSL_alpn_protocols", "h2", "--max_servers", "2")
	r := start(t, append([]string{"PreForkSimple"}, args...)...)
	r.serving()
	issued := p.awaitIssued(t, "a.example", nil)
	p.awaitIssued(t, "b.example", nil)
	r.wait(obtained, 1)
	r.wait("challenge answered", 2)
	if c, err := p.shown("a.example", "acme-tls/1"); err == nil && !c.Equal(issued) {
		t.Error("the answer to a challenge is shown after its time")
	}
	roots := put(t, dir, "roots.pem", p.rootPEM())
	if out := opensslShows(t, p, "b.example", roots); !strings.Contains(out, "Verify return code: 0 (ok)") {
		t.Errorf("openssl: %s", out)
	}
	checkModes(t, storage)
	for _, k := range []keyed{keyOf(t, storage+"/account-*.key"), keyOf(t, storage+"/certificates/a.example.pem")} {
		for _, pid := range r.children() {
			if os.Geteuid() != 0 {
				break // workers of the same user have their keys
			}
			numbers := k.secrets(t)[:2] // PEM begins like the key of every challenge
			if found := memoryHas(t, pid, numbers); len(found) > 0 {
				t.Errorf("worker %d has secrets %v in its memory", pid, found)
			}
		}
	}
	if status := r.end(syscall.SIGTERM); status != 0 {
		t.Errorf("status %d", status)
	}
	orders := strings.Count(p.text(), "Added order")
	again := start(t, append([]string{"PreForkSimple"}, args...)...)
	again.serving()
	if c, err := p.shown("a.example"); err != nil || !c.Equal(issued) {
		t.Errorf("after a start: %v", err)
	}
	again.end(syscall.SIGTERM)
	if n := strings.Count(p.text(), "Added order"); n != orders {
		t.Errorf("a start with good certificates made %d orders", n-orders)
	}
	if strings.Contains(r.text()+again.text(), "acme: no certificate") {
		t.Error("an order failed")
	}
}

func fileOf(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// opensslShows has openssl look at the certificate for a name.
func opensslShows(t *testing.T, p *pebble, name, roots string) string {
	t.Helper()
	cmd := exec.Command(netservertest.Peer(t, "openssl"), "s_client", "-connect", "127.0.0.1:"+p.port, "-servername", name,
		"-verify_hostname", name, "-CAfile", roots)
	cmd.Stdin = strings.NewReader("")
	out, _ := cmd.CombinedOutput()
	return string(out)
}

// checkModes sees to it that nobody else can use a storage.
func checkModes(t *testing.T, storage string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(storage, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		n++
		if info, err := d.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
		if strings.Contains(path, ".tmp-") {
			t.Errorf("%s is left over", path)
		}
		return nil
	})
	if err != nil || n < 5 {
		t.Errorf("%d files, %v", n, err)
	}
}

// A certificate is renewed while the server runs, at the same account; clients
// stay.
func TestACMERenews(t *testing.T) {
	p := startPebble(t, 8*time.Second, nil)
	storage := filepath.Join(openDir(t), "acme")
	r := start(t, p.keys(storage, "--acme_domains", "a.example")...)
	r.serving()
	first := p.awaitIssued(t, "a.example", nil)
	c, err := tls.Dial("tcp", "127.0.0.1:"+p.port, &tls.Config{ServerName: "a.example", InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	second := p.awaitIssued(t, "a.example", first)
	if second.SerialNumber.Cmp(first.SerialNumber) == 0 || string(second.RawSubjectPublicKeyInfo) == string(first.RawSubjectPublicKeyInfo) {
		t.Error("the same certificate or key")
	}
	r.wait(obtained, 2)
	if _, err := fmt.Fprintf(c, "hello\r\n"); err != nil {
		t.Error("a client is gone: ", err)
	}
	if n := strings.Count(p.text(), "There are now 2 accounts"); n != 0 {
		t.Error("a second account")
	}
}

// A start does not wait for the authority. Names without a certificate have one
// that nobody has signed; an authority that is not there is one line, and the
// next start does not ask again at once.
func TestACMEWithoutAnAuthority(t *testing.T) {
	p := &pebble{directory: "https://127.0.0.1:" + freePort(t) + "/dir", caFile: netservertest.NewCA(t, "nobody's").File(t), port: freePort(t)}
	storage := filepath.Join(openDir(t), "acme")
	for i := range 2 {
		r := start(t, p.keys(storage, "--acme_domains", "a.example", "--acme_domains", "b.example")...)
		r.serving()
		c, err := p.shown("a.example")
		if err != nil || c.Issuer.CommonName != "a.example" || c.VerifyHostname("a.example") != nil {
			t.Errorf("start %d: %v", i, err)
		}
		if _, err := p.shown("c.example"); err == nil {
			t.Error("a certificate for a name that is not wanted")
		}
		r.wait("acme: there is no certificate for b.example yet", 1)
		if i == 0 {
			r.wait("acme: no certificate for a.example", 1)
			r.wait("acme: no certificate for b.example", 1)
		}
		r.signal(syscall.SIGHUP)
		r.wait("identity of the serving processes", 1)
		r.end(syscall.SIGTERM)
		if n := strings.Count(r.text(), "acme: no certificate"); n != 2*(1-i) {
			t.Errorf("start %d: %d lines", i, n)
		}
		if i == 0 && !strings.Contains(r.text(), "connection refused; clients get one that nobody has signed; next try on 20") {
			t.Error("the line does not say why, and what now")
		}
	}
}

// The process that serves alone does the same, and so does a program of its
// own.
func TestACMEInOneProcess(t *testing.T) {
	p := startPebble(t, quarter, nil)
	storage := filepath.Join(openDir(t), "acme")
	r := start(t, p.keys(storage, "--acme_domains", "a.example", "--supervisor", "0")...)
	p.awaitIssued(t, "a.example", nil)
	if status := r.end(syscall.SIGTERM); status != 0 {
		t.Errorf("status %d", status)
	}
	checkModes(t, storage)
	lib := startProgram(t, os.Args[0], "library", p.keys(filepath.Join(openDir(t), "acme"), "--acme_domains", "a.example")...)
	p.awaitIssued(t, "a.example", nil)
	lib.wait(obtained, 1)
}

// Who starts the server without rights gets certificates too: the processes
// that serve are the same user then, and read them themselves.
func TestACMEUnprivileged(t *testing.T) {
	rooted(t) // to become somebody else
	p := startPebble(t, quarter, nil)
	dir := openDir(t)
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	os.Chown(home, 65534, 65534)
	p.caFile = put(t, dir, "roots.pem", fileOf(t, p.caFile))
	os.Chmod(p.caFile, 0o644)
	program := filepath.Join(dir, "program")
	copyProgram(t, program)
	cmd := exec.Command(program, p.keys(filepath.Join(home, "acme"), "--acme_domains", "a.example")...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, Setpgid: true}
	r := startCmd(t, cmd, "command")
	r.serving()
	p.awaitIssued(t, "a.example", nil)
	checkModes(t, filepath.Join(home, "acme"))
}

// A reload orders for new names; those that are gone are served no more.
func TestACMEReload(t *testing.T) {
	p := startPebble(t, quarter, nil)
	dir := openDir(t)
	storage := filepath.Join(dir, "acme")
	file := filepath.Join(dir, "server.conf")
	domains := func(names string) { writeFile(t, file, "acme_domains "+names+"\n") }
	domains("a.example")
	r := start(t, p.keys(storage, "--conf_file", file)...)
	r.serving()
	a := p.awaitIssued(t, "a.example", nil)
	orders := strings.Count(p.text(), "Added order")
	domains("b.example")
	r.signal(syscall.SIGHUP)
	p.awaitIssued(t, "b.example", nil)
	r.wait("a.example is not in acme_domains any more", 1)
	netservertest.Eventually(t, "a.example is not served", func() bool {
		_, err := p.shown("a.example")
		return err != nil
	})
	domains("a.example, b.example")
	r.signal(syscall.SIGHUP)
	netservertest.Eventually(t, "a.example is served again", func() bool {
		c, err := p.shown("a.example")
		return err == nil && c.Equal(a)
	})
	if n := strings.Count(p.text(), "Added order") - orders; n != 1 {
		t.Errorf("%d orders for one new name", n)
	}
}

// What the authority refuses is one line with its reason, and other names get
// their certificates, beside the default one of SSL_cert_file; an account can be bound to one that the authority knows.
func TestACMEWithBinding(t *testing.T) {
	const secret = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	p := startPebble(t, quarter, map[string]any{"externalAccountBindingRequired": true, "externalAccountMACKeys": map[string]string{"kid-1": secret}})
	dir := openDir(t)
	bound := []string{"--acme_eab_kid", "kid-1", "--acme_eab_key_file", put(t, dir, "eab", []byte(secret+"\n"))}
	k := newKeyed(t, "P-256")
	more := append(bound, "--acme_domains", "blocked.example", "--acme_domains", "c.example")
	r := start(t, p.keys(filepath.Join(dir, "acme"), append(more, twoFiles(t, dir, k)...)...)...)
	p.awaitIssued(t, "c.example", nil)
	for _, name := range []string{"", "other.example"} {
		if c, err := p.shown(name); err != nil || !c.Equal(k.cert) {
			t.Errorf("%q: not the certificate of SSL_cert_file: %v", name, err)
		}
	}
	r.wait("acme: no certificate for blocked.example: the order: 400 urn:ietf:params:acme:error:rejectedIdentifier", 1)
	r.end(syscall.SIGTERM)
	unbound := start(t, p.keys(filepath.Join(dir, "other"), "--acme_domains", "c.example")...)
	unbound.wait("externalAccountRequired", 1)
}

// --check says all that is wrong, and makes nothing.
func TestACMERefusals(t *testing.T) {
	dir := openDir(t)
	storage := filepath.Join(dir, "acme")
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	file, fifo := put(t, dir, "file", []byte("x")), filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil { // a read of it would wait for ever
		t.Fatal(err)
	}
	good := []string{"--port", "127.0.0.1:0/ssl", "--acme_domains", "a.example", "--acme_agree", "1", "--acme_storage", storage}
	with := func(more ...string) []string { return append(good[:len(good):len(good)], more...) }
	without := func(key string) []string {
		var list []string
		for i := 0; i < len(good); i += 2 {
			if good[i] != key {
				list = append(list, good[i:i+2]...)
			}
		}
		return list
	}
	names := func(n string) []string { return append(without("--acme_domains"), "--acme_domains", n) }
	at := func(d string) []string { return append(without("--acme_storage"), "--acme_storage", d) }
	for _, tc := range []struct {
		args []string
		want string // "" is that it is good
	}{
		{good, ""},
		{with("--acme_directory", "staging", "--acme_email", "ops@example.com"), ""},
		{without("--acme_agree"), "acme_agree: the authority's terms must be agreed to"},
		{without("--acme_storage"), "acme_storage: it is missing"},
		{append(without("--port"), "--port", "127.0.0.1:0"), "TLS port"},
		{without("--acme_domains"), "acme_agree"},
		{names("*.example"), "is a wildcard, which authorities issue by DNS-01 only"},
		{names("../../etc/passwd"), "is no DNS name"},
		{names("a..b"), "is no DNS name"},
		{names("a/b.example"), "is no DNS name"},
		{names("192.0.2.1"), "is an address"},
		{names("bücher.example"), "xn-- form"},
		{names(strings.Repeat("a", 64) + ".example"), "is no DNS name"},
		{at("relative"), "must be an absolute path"},
		{at(open), "chmod 700"},
		{at(link), "is a symbolic link"},
		{at(file), "is no directory"},
		{at(filepath.Join(dir, "no", "such")), "cannot be made"},
		{with("--acme_directory", "http://127.0.0.1/dir"), "is neither production nor staging nor an https URL"},
		{with("--acme_directory", "prod"), "is neither production nor staging nor an https URL"},
		{with("--acme_email", "ops"), "acme_email"},
		{with("--acme_eab_kid", "x"), "acme_eab_key_file"},
		{with("--acme_ca_file", file), "acme_ca_file " + file + ": there is no certificate in it"},
		{with("--acme_ca_file", storage+"/no"), "acme_ca_file"},
		{with("--acme_eab_kid", "x", "--acme_eab_key_file", put(t, dir, "empty", nil)), "acme_eab_key_file"},
		{with("--acme_ca_file", fifo), "acme_ca_file " + fifo + " is not a regular file"},
		{with("--acme_eab_kid", "x", "--acme_eab_key_file", fifo), "acme_eab_key_file " + fifo + " is not a regular file"},
		{with("--SSL_cert_dir", open), "both say which certificates are served"},
	} {
		r := start(t, append(tc.args, "--check")...)
		r.status()
		if ok := r.cmd.ProcessState.ExitCode() == 0; ok != (tc.want == "") || !strings.Contains(r.text(), tc.want) {
			t.Errorf("%q: status %d, want %q: %s", tc.args, r.cmd.ProcessState.ExitCode(), tc.want, r.text())
		}
	}
	if _, err := os.Stat(storage); err == nil {
		t.Error("--check made the storage")
	}
}
