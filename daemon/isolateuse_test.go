//go:build unix

package daemon_test

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// sclient lets openssl come in and returns what it prints.
func sclient(t *testing.T, addr string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, netservertest.Peer(t, "openssl"),
		append([]string{"s_client", "-connect", addr, "-ign_eof", "-servername", "www.example.com"}, args...)...)
	cmd.Stdin = strings.NewReader("hello\nquit\n")
	out, _ := cmd.CombinedOutput() // a refused client ends with a failure
	return string(out)
}

// TestIsolatedWithOpenSSL: each kind of key, both versions, and resumption,
// which needs no signature.
func TestIsolatedWithOpenSSL(t *testing.T) {
	for _, kind := range []string{"RSA", "P-256", "P-384", "Ed25519"} {
		t.Run(kind, func(t *testing.T) {
			dir := openDir(t)
			k := newKeyed(t, kind)
			r := start(t, append([]string{"--port", "127.0.0.1:0/ssl", "--key_isolation", "1"}, twoFiles(t, dir, k)...)...)
			addr := r.addr(0)
			r.serving()
			ca := filepath.Join(dir, "cert.pem")
			for _, version := range []string{"-tls1_2", "-tls1_3"} {
				session := filepath.Join(t.TempDir(), "session")
				out := sclient(t, addr, version, "-CAfile", ca, "-verify_return_error", "-sess_out", session)
				if !strings.Contains(out, `You said "hello"`) || !strings.Contains(out, "New, TLS") {
					t.Errorf("%s: %s", version, out)
				}
				out = sclient(t, addr, version, "-CAfile", ca, "-sess_in", session)
				if !strings.Contains(out, `You said "hello"`) || !strings.Contains(out, "Reused, TLS") {
					t.Errorf("%s, resumed: %s", version, out)
				}
			}
			r.signal(syscall.SIGUSR2)
			r.wait("handshakes signed 2, requests refused 0, delayed 0", 1)
			r.wait("private keys of generation 1: 1", 1)
		})
	}
}

// TestOldVersionsIsolated: TLS 1.0 works where it is asked for.
func TestOldVersionsIsolated(t *testing.T) {
	dir := openDir(t)
	k := newKeyed(t, "RSA")
	r := start(t, append([]string{"--port", "127.0.0.1:0/ssl", "--key_isolation", "1", "--SSL_version", "SSLv23"}, twoFiles(t, dir, k)...)...)
	addr := r.addr(0)
	r.serving()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// TestKeyExchangeByRSA: a key that can only sign cannot decrypt.
func TestKeyExchangeByRSA(t *testing.T) {
	dir := openDir(t)
	files := twoFiles(t, dir, newKeyed(t, "RSA"))
	with := func(args ...string) *running {
		return start(t, append(append([]string{"--port", "127.0.0.1:0/ssl"}, args...), files...)...)
	}
	r := with("--key_isolation", "1", "--SSL_cipher_list", "AES128-GCM-SHA256")
	if code := r.status(); code != 2 || !strings.Contains(r.text(), "key exchange by RSA") || !strings.Contains(r.text(), "TLS_RSA_WITH_AES_128_GCM_SHA256") {
		t.Errorf("status %d:\n%s", code, r.text())
	}
	r = with("--key_isolation", "1", "--SSL_cipher_list", "AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256")
	addr := r.addr(0)
	r.serving()
	r.wait("is used without TLS_RSA_WITH_AES_128_GCM_SHA256", 1)
	if out := sclient(t, addr, "-tls1_2"); !strings.Contains(out, "ECDHE-RSA-AES128-GCM-SHA256") {
		t.Error(out)
	}
	if out := sclient(t, addr, "-tls1_2", "-cipher", "AES128-GCM-SHA256"); strings.Contains(out, "You said") {
		t.Error(out)
	}
	r = with("--key_isolation", "0", "--SSL_cipher_list", "AES128-GCM-SHA256")
	addr = r.addr(0)
	r.serving()
	if out := sclient(t, addr, "-tls1_2"); !strings.Contains(out, `You said "hello"`) {
		t.Error(out)
	}
}

// TestIsolationNeedsASupervisor: without one it is refused.
func TestIsolationNeedsASupervisor(t *testing.T) {
	dir := openDir(t)
	r := start(t, append([]string{"--port", "127.0.0.1:0/ssl", "--key_isolation", "1", "--supervisor", "0"}, twoFiles(t, dir, newKeyed(t, "P-256"))...)...)
	if code := r.status(); code != 2 || !strings.Contains(r.text(), "key_isolation requires a supervisor, and there is none with supervisor 0") {
		t.Errorf("status %d:\n%s", code, r.text())
	}
}

// TestKeysThatWorkersCouldReplace: a key in a directory of theirs is theirs.
func TestKeysThatWorkersCouldReplace(t *testing.T) {
	rooted(t)
	dir := openDir(t)
	files := twoFiles(t, dir, newKeyed(t, "P-256"))
	for _, f := range []string{dir, filepath.Join(dir, "key.pem"), filepath.Join(dir, "cert.pem")} {
		if err := os.Chown(f, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	r := start(t, append([]string{"--port", "127.0.0.1:0/ssl", "--key_isolation", "1"}, files...)...)
	if code := r.status(); code != 2 || !strings.Contains(r.text(), "may write to: keys there cannot be kept from it") {
		t.Errorf("status %d:\n%s", code, r.text())
	}
	r = start(t, append([]string{"--port", "127.0.0.1:0/ssl"}, files...)...)
	r.serving()
	r.wait("key_isolation is off", 1)
	leafOf(t, r.addr(0))
}

// TestSupervisorKilledInAHandshake: what needs its signature then fails with
// one record, and a new start serves.
func TestSupervisorKilledInAHandshake(t *testing.T) {
	dir := openDir(t)
	k := newKeyed(t, "P-256")
	files := twoFiles(t, dir, k)
	addr := freeAddr(t)
	args := append([]string{"--port", addr + "/ssl", "--key_isolation", "1", "--log_level", "3"}, files...)
	r := start(t, args...)
	r.serving()
	worker := r.only()
	t.Cleanup(func() { syscall.Kill(worker, syscall.SIGKILL) })
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	handshake(t, addr, 0, k) // so that the one before has been accepted
	r.wait("served client=", 1)
	syscall.Kill(r.pid(), syscall.SIGKILL)
	<-r.done // and with it the log
	c := tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err == nil {
		t.Error("a handshake without the key")
	}
	netservertest.Eventually(t, "the worker's end", func() bool { return !alive(worker) })
	again := start(t, args...)
	again.serving()
	handshake(t, addr, 0, k)
}
