package tlsparams

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDamagedTrustFiles: each kind of file that says who may come in is refused
// at start if a part of it is damaged, wherever it is named.
func TestDamagedTrustFiles(t *testing.T) {
	ca, other := newCA(t, "ca"), newCA(t, "other")
	later := time.Now().Add(time.Hour)
	first, second := ca.crl(t, 1, 0, later), other.crl(t, 1, 0, later)
	authorities := certPEM(ca.cert, other.cert)
	cut := func(data []byte) []byte { return data[:len(data)-30] }
	lists := append(bytes.Clone(first), second...)
	inDir := func(name string, data []byte) string {
		dir := t.TempDir()
		writeFile(t, dir, "ca.pem", certPEM(ca.cert))
		writeFile(t, dir, "ok.crl", first)
		writeFile(t, dir, name, data)
		return dir
	}
	file := func(data []byte) string { return writeFile(t, t.TempDir(), "x.pem", data) }
	good := "SSL_ca_file=" + file(authorities)
	dangling := inDir("ok.pem", certPEM(ca.cert))
	if err := os.Symlink("nowhere", filepath.Join(dangling, "0123abcd.r0")); err != nil {
		t.Skip(err)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"list":                     {[]string{good, "SSL_check_crl=1", "SSL_crl_file=" + file(cut(lists))}, "cut short"},
		"list between authorities": {[]string{"SSL_ca_file=" + file(append(bytes.Clone(authorities), cut(lists)...))}, "cut short"},
		"list in a directory":      {[]string{good, "SSL_check_crl=1", "SSL_crl_path=" + inDir("x.crl", cut(lists))}, "cut short"},
		"list by another name":     {[]string{good, "SSL_check_crl=1", "SSL_crl_path=" + inDir("x.pem", cut(lists))}, "cut short"},
		"list that is none":        {[]string{good, "SSL_check_crl=1", "SSL_crl_path=" + inDir("x.crl", certPEM(ca.cert))}, "holds no revocation list"},
		"link to a list":           {[]string{good, "SSL_check_crl=1", "SSL_crl_path=" + dangling}, "does not exist"},
		"authority":                {[]string{"SSL_ca_file=" + file(cut(authorities))}, "cut short"},
		"authority in a directory": {[]string{"SSL_ca_path=" + inDir("x.crt", cut(authorities))}, "cut short"},
		"authority that is none":   {[]string{"SSL_ca_path=" + inDir("x.crt", []byte("hello"))}, "holds no certificate in PEM or DER form"},
		"names for clients":        {[]string{good, "SSL_client_ca_file=" + file(cut(authorities))}, "cut short"},
	} {
		_, err := tryOpen(loopback, append(c.args, "SSL_verify_mode=3")...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	s := open(t, loopback, "SSL_verify_mode=3", "SSL_check_crl=1", "SSL_crl_policy=closed", "SSL_ca_file="+file(append(bytes.Clone(authorities), lists...)))
	if got := s.cur.Load().bySite[""].lists; got == nil || strings.Contains(strings.Join(s.Warnings(), ""), "no revocation list") {
		t.Error("lists that stand beside authorities are not read:", s.Warnings())
	}
}

// TestCutListWhileServing cuts the second list of a file short, as a writer
// does that is interrupted: who was revoked by it stays out, and the log says
// what is wrong, once.
func TestCutListWhileServing(t *testing.T) {
	dir := t.TempDir()
	ca, other := newCA(t, "ca"), newCA(t, "other")
	bob := other.person(t, "bob", nil)
	later := time.Now().Add(time.Hour)
	lists := append(ca.crl(t, 1, 0, later), other.crl(t, 1, 0, later, bob.cert)...)
	file := writeFile(t, dir, "lists", lists)
	var log bytes.Buffer
	env := loopback
	env.Log = slog.New(slog.NewTextHandler(&log, nil))
	s := open(t, env, "SSL_verify_mode=3", "SSL_ca_file="+writeFile(t, dir, "ca.pem", certPEM(ca.cert, other.cert)),
		"SSL_check_crl=1", "SSL_crl_policy=open", "SSL_crl_file="+file)
	in := func() error {
		_, _, err := shake(t, s, bob.config())
		return err
	}
	if in() == nil {
		t.Fatal("bob comes in")
	}
	for i := range 2 {
		writeFile(t, dir, "lists", lists[:len(lists)-50+i])
		if err := s.Reload(file); err == nil || !strings.Contains(err.Error(), "lists is cut short") || in() == nil {
			t.Error("bob comes in after a list was cut:", err)
		}
	}
	if n := strings.Count(log.String(), "new trust files refused, the old ones stay"); n != 1 || !strings.Contains(log.String(), "cut short") {
		t.Errorf("logged %d times: %s", n, log.String())
	}
	writeFile(t, dir, "lists", append(ca.crl(t, 2, 0, later), other.crl(t, 2, 0, later)...))
	if err := s.Reload(file); err != nil || in() != nil {
		t.Error("a good file does not count:", err)
	}
}

// TestListsThatBeginWhileServing: a client that came in is judged again when a
// list that was there already begins.
func TestListsThatBeginWhileServing(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, "ca")
	bob := ca.person(t, "bob", nil)
	now := time.Now()
	at := now
	begins := now.Add(20 * time.Minute)
	lists := append(ca.crl(t, 1, 0, now.Add(time.Hour)), ca.crlFrom(t, 2, begins, now.Add(2*time.Hour), bob.cert)...)
	env := loopback
	env.Now = func() time.Time { return at }
	s := open(t, env, "SSL_verify_mode=3", "SSL_ca_file="+writeFile(t, dir, "ca.pem", certPEM(ca.cert)), "SSL_check_crl=1", "SSL_crl_file="+writeFile(t, dir, "lists", lists))
	srv, _, err := shake(t, s, bob.config())
	if err != nil {
		t.Fatal(err)
	}
	state := tls.ConnectionState{PeerCertificates: srv.PeerCertificates, ServerName: srv.ServerName}
	v, err := s.Judge(context.Background(), &state)
	if err != nil || v.Until.After(begins) {
		t.Fatalf("judged again %v after the list has begun: %v", v.Until.Sub(begins), err)
	}
	at = v.Until.Add(time.Second)
	if _, err := s.Judge(context.Background(), &state); err == nil || !strings.Contains(err.Error(), "revoked") {
		t.Error("bob stays:", err)
	}
}
