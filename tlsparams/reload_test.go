package tlsparams

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// running runs s until the test ends.
func running(t testing.TB, s *Source) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// eventually waits until ok, for half a minute at most.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func served(t testing.TB, s *Source) string {
	t.Helper()
	_, cli, err := shake(t, s, anyClient())
	if err != nil {
		t.Fatal(err)
	}
	return cli.PeerCertificates[0].Subject.CommonName
}

// TestBrokenReplacements replaces the files of a running server by each kind
// of broken file: the old certificate stays, the reason is published, and the
// next good one is served.
func TestBrokenReplacements(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, "ca")
	leaf, key := ca.server(t, "first")
	second, key2 := ca.server(t, "second")
	certFile := writeFile(t, dir, "x.crt", certPEM(leaf))
	keyFile := writeFile(t, dir, "x.key", keyPEM(t, key))
	old := ca.sign(t, &x509.Certificate{DNSNames: []string{"x"}, NotAfter: time.Now().Add(-time.Minute)}, key)
	early := ca.sign(t, &x509.Certificate{DNSNames: []string{"x"}, NotBefore: time.Now().Add(time.Hour)}, key)
	put := func(name string, data []byte) func() {
		return func() { writeFile(t, dir, name, data) }
	}
	s := open(t, Env{}, "SSL_cert_file="+certFile, "SSL_key_file="+keyFile)
	for name, c := range map[string]struct {
		harm func()
		want string
	}{
		"garbage":       {put("x.crt", []byte("garbage")), "no certificate in PEM"},
		"truncated":     {put("x.crt", certPEM(second)[:200]), "cut short"},
		"empty":         {put("x.crt", nil), "is empty"},
		"mismatch":      {put("x.crt", certPEM(second)), "does not match"},
		"expired":       {put("x.crt", certPEM(old)), "has expired"},
		"not yet valid": {put("x.crt", certPEM(early)), "not valid yet"},
		"key garbage":   {put("x.key", []byte("garbage")), "no private key"},
		"missing":       {func() { os.Remove(certFile) }, "does not exist"},
		"directory":     {func() { os.Remove(certFile); os.Mkdir(certFile, 0o755) }, "is a directory"},
	} {
		c.harm()
		err := s.Reload()
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if st := s.Status()[0]; !strings.Contains(st.LastError, c.want) || st.LastErrorAt.IsZero() || served(t, s) != "first" {
			t.Errorf("%s: %+v", name, st)
		}
		os.Remove(certFile)
		put("x.crt", certPEM(leaf))()
		put("x.key", keyPEM(t, key))()
		if err := s.Reload(); err != nil || s.Status()[0].LastError != "" {
			t.Errorf("%s: not over: %v", name, err)
		}
	}
	put("x.crt", certPEM(second))()
	put("x.key", keyPEM(t, key2))()
	if err := s.Reload(certFile); err != nil || served(t, s) != "second" {
		t.Error(err)
	}
}

func TestRunFollowsFiles(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, "ca")
	write := func(dir, name string) {
		c, k := ca.server(t, name)
		writeFile(t, dir, "tls.crt", certPEM(c))
		time.Sleep(5 * time.Millisecond) // a second step, after the first can be seen
		writeFile(t, dir, "tls.key", keyPEM(t, k))
	}
	write(dir, "n0")
	s := open(t, Env{}, "SSL_cert_file="+filepath.Join(dir, "tls.crt"), "SSL_key_file="+filepath.Join(dir, "tls.key"))
	running(t, s)
	for _, name := range []string{"n1", "n2", "n3"} {
		write(dir, name)
		eventually(t, name, func() bool { return served(t, s) == name })
	}
	writeFile(t, dir, "tls.crt", []byte("garbage"))
	eventually(t, "error", func() bool { return s.Status()[0].LastError != "" })
	if served(t, s) != "n3" {
		t.Error("the old certificate is not served")
	}
	write(dir, "n4")
	eventually(t, "n4", func() bool { return served(t, s) == "n4" && s.Status()[0].LastError == "" })
}

func TestRunFollowsSwappedLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege")
	}
	dir := t.TempDir()
	ca := newCA(t, "ca")
	version := func(name string) {
		sub := filepath.Join(dir, ".."+name)
		os.Mkdir(sub, 0o755)
		c, k := ca.server(t, name)
		writeFile(t, sub, "tls.crt", certPEM(c))
		writeFile(t, sub, "tls.key", keyPEM(t, k))
		os.Symlink(".."+name, filepath.Join(dir, "..new"))
		if err := os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("v1")
	for _, f := range []string{"tls.crt", "tls.key"} {
		os.Symlink(filepath.Join("..data", f), filepath.Join(dir, f))
	}
	s := open(t, Env{}, "SSL_cert_file="+filepath.Join(dir, "tls.crt"), "SSL_key_file="+filepath.Join(dir, "tls.key"))
	running(t, s)
	for _, v := range []string{"v2", "v3"} {
		version(v)
		eventually(t, v, func() bool { return served(t, s) == v })
	}
}

// TestReplacedUnderLoad replaces the certificate many times, half of them
// broken, while clients come in: none fails.
func TestReplacedUnderLoad(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, "ca")
	file := filepath.Join(dir, "x.pem")
	replace := func(data ...[]byte) {
		os.Rename(writeFile(t, dir, "x.new", data...), file)
	}
	c, k := ca.server(t, "r0")
	replace(certPEM(c), keyPEM(t, k))
	s := open(t, Env{}, "SSL_cert_file="+file)
	running(t, s)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
				}
				if _, _, err := shake(t, s, anyClient()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 10 {
		replace([]byte("broken"), certPEM(c))
		name := "r" + strings.Repeat("x", i+1)
		c, k := ca.server(t, name)
		replace(certPEM(c), keyPEM(t, k))
		start := time.Now()
		eventually(t, name, func() bool { return served(t, s) == name })
		if d := time.Since(start); d > 15*time.Second {
			t.Errorf("%s came after %v", name, d)
		}
	}
	close(stop)
	wg.Wait()
}

// TestTrustChangesWhileOpen revokes a client: its connection is judged again,
// its ticket does not resume, others stay.
func TestTrustChangesWhileOpen(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, "ca")
	ann, bob := ca.person(t, "ann", nil), ca.person(t, "bob", nil)
	later := time.Now().Add(time.Hour)
	list := writeFile(t, dir, "list.pem", ca.crl(t, 1, 0, later))
	s := open(t, loopback, "SSL_verify_mode=3", "SSL_ca_file="+writeFile(t, dir, "ca.pem", certPEM(ca.cert)), "SSL_check_crl=1", "SSL_crl_file="+list)
	running(t, s)
	states := map[string]tls.ConnectionState{}
	configs := map[string]*tls.Config{}
	for name, p := range map[string]person{"ann": ann, "bob": bob} {
		cfg := p.config()
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		srv, _, err := shake(t, s, cfg)
		if err != nil {
			t.Fatal(err)
		}
		states[name], configs[name] = srv, cfg
	}
	changed := s.Changed()
	os.Rename(writeFile(t, dir, "list.new", ca.crl(t, 2, 0, later, bob.cert)), list)
	select {
	case <-changed:
	case <-time.After(30 * time.Second):
		t.Fatal("no notice")
	}
	ctx := context.Background()
	annState, bobState := states["ann"], states["bob"]
	v, err := s.Judge(ctx, &annState)
	if err != nil || v.Until.IsZero() || v.Until.After(later.Add(time.Second)) {
		t.Errorf("ann: %+v %v", v, err)
	}
	if _, err := s.Judge(ctx, &bobState); err == nil || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("bob: %v", err)
	}
	if srv, _, err := shake(t, s, configs["ann"]); err != nil || srv.DidResume {
		t.Errorf("ann's ticket from before: resumed %v, %v", srv.DidResume, err)
	}
	if _, _, err := shake(t, s, configs["bob"]); err == nil {
		t.Error("bob comes in again")
	}
	// A broken list leaves the one before in force.
	writeFile(t, dir, "list.pem", []byte("garbage"))
	eventually(t, "error of the list", func() bool { return strings.Contains(s.TrustError(), "list.pem holds no revocation list") })
	if _, err := s.Judge(ctx, &bobState); err == nil {
		t.Error("bob is back after a broken list")
	}
}

func TestEndingsAreToldOnce(t *testing.T) {
	ca := newCA(t, "ca")
	leaf, key := ca.server(t, "x")
	now := time.Now()
	s := open(t, Env{Now: func() time.Time { return now }}, "SSL_cert_file="+writeFile(t, t.TempDir(), "x.pem", certPEM(leaf), keyPEM(t, key)))
	for _, c := range []struct {
		left time.Duration
		want string
	}{{40 * 24 * time.Hour, ""}, {29 * 24 * time.Hour, "30 days"}, {28 * 24 * time.Hour, ""}, {6 * 24 * time.Hour, "7 days"}, {20 * time.Hour, "1 days"}, {time.Hour, ""}, {-time.Hour, "has expired"}, {-2 * time.Hour, ""}} {
		now = leaf.NotAfter.Add(-c.left)
		got := strings.Join(s.endings(), "|")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%v left: %q, want %q", c.left, got, c.want)
		}
		if end := ", on " + leaf.NotAfter.UTC().Format(time.DateTime); got != "" && (!strings.HasSuffix(got, end) || strings.Count(got, "certificate") != 1) {
			t.Errorf("%v left: %q, want the certificate and its end once", c.left, got)
		}
	}
}
