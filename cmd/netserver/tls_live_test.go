//go:build unix

package main_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"netserver/netservertest"
)

// A session is a client of the test's own that stays.
type session struct {
	*tls.Conn
	t testing.TB
}

// join comes to the echo and waits for its greeting.
func join(t testing.TB, address string, cfg *tls.Config) *session {
	t.Helper()
	c := &session{tls.Client(dial(t, "tcp", address), cfg), t}
	c.hear("Welcome")
	return c
}

// hear reads until there is a line with text.
func (c *session) hear(text string) {
	c.t.Helper()
	var got []byte
	b := make([]byte, 1)
	for !strings.HasSuffix(string(got), "\n") || !strings.Contains(string(got), text) {
		if _, err := c.Read(b); err != nil {
			c.t.Fatalf("%v, after %q; want %q", err, got, text)
		}
		got = append(got, b...)
	}
}

// alive has the echo answer.
func (c *session) alive() {
	c.t.Helper()
	fmt.Fprintln(c, "hello")
	c.hear(comesIn)
}

// end waits for the server to end the connection and returns when it did.
func (c *session) end() time.Time {
	c.t.Helper()
	_, err := io.Copy(io.Discard, c)
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		c.t.Fatal("the server did not end the connection")
	}
	return time.Now()
}

// slack is what a loaded machine and the race detector may add to a time that
// is promised.
func slack() time.Duration {
	if raceEnabled {
		return 15 * time.Second
	}
	return 5 * time.Second
}

// TestRevokedWhileConnected revokes a client by a new CRL: its connection ends
// within two seconds, the others stay, and its ticket opens nothing any more.
func TestRevokedWhileConnected(t *testing.T) {
	b := newTLSBed(t)
	list := b.path("list.crl")
	cat := issue(t, b.ca, b.path("cat.pem"), x509.Certificate{Subject: pkix.Name{CommonName: "cat"}})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			write(t, list, crl(t, b.ca, 1))
			s := b.start(t, b.args("--log_level 4 --SSL_verify_mode 1 --SSL_ca_file CA --SSL_check_crl 1 --SSL_crl_file "+list)...)
			ann := clientTLS(t, &b.ann)
			ann.MaxVersion, ann.ClientSessionCache = version, tls.NewLRUClientSessionCache(4)
			first := join(t, s.addr(0), ann)
			first.alive()
			again := join(t, s.addr(0), ann)
			if !again.ConnectionState().DidResume {
				t.Fatal("ann's ticket does not resume while ann is welcome")
			}
			others := []*session{join(t, s.addr(0), clientTLS(t, &cat)), join(t, s.addr(0), clientTLS(t, nil))}
			replace(t, list, crl(t, b.ca, 2, b.ann))
			begin := time.Now()
			for _, c := range []*session{first, again} {
				if took := c.end().Sub(begin); took > 2*time.Second+slack() {
					t.Errorf("a revoked client stayed %v", took)
				}
			}
			t.Logf("cut %v after the list was replaced", time.Since(begin))
			for _, c := range others {
				c.alive()
			}
			c := tls.Client(dial(t, "tcp", s.addr(0)), ann)
			if n, err := c.Read(make([]byte, 1)); err == nil {
				t.Errorf("ann came in again: %d, resumed %v", n, c.ConnectionState().DidResume)
			}
			s.awaitLogs(`denied.*ann.*revoked`, 3)
			s.awaitLogs(`denied.*ann.*verdict="cut: .*revoked`, 2) // not why they had come in
			s.stop()
		})
	}
}

// TestCertificateEndsWhileConnected cuts a client whose certificate ends, and
// no other.
func TestCertificateEndsWhileConnected(t *testing.T) {
	b := newTLSBed(t)
	s := b.start(t, b.args("--SSL_verify_mode 3 --SSL_ca_file CA")...)
	address := s.addr(0)
	until := time.Now().Add(7 * time.Second).Truncate(time.Second)
	short := issue(t, b.ca, b.path("short.pem"), x509.Certificate{Subject: pkix.Name{CommonName: "short"}, NotAfter: until})
	brief, other := join(t, address, clientTLS(t, &short)), join(t, address, clientTLS(t, &b.ann))
	brief.alive()
	ended := brief.end()
	// The certificate is good throughout its last second.
	if ended.Before(until) || ended.After(until.Add(2*time.Second+slack())) {
		t.Errorf("cut %v after the certificate's end", ended.Sub(until))
	}
	other.alive()
	s.awaitLog(`short.*expired on`)
	s.stop()
}

// TestReplacedUnderHandshakes replaces the certificate many times, each second
// time with something that cannot be used, while clients come: none fails, and
// each good one is served within two seconds.
func TestReplacedUnderHandshakes(t *testing.T) {
	rounds := 200
	if testing.Short() || raceEnabled {
		rounds = 20
	}
	root := netservertest.CA(t)
	dir := t.TempDir()
	file := dir + "/server.pem"
	broken := []string{"", "garbage\n", pemOf(root.Cert.Raw), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}
	good := func(n int) string {
		id := issue(t, root, dir+"/next.pem", x509.Certificate{Subject: pkix.Name{CommonName: fmt.Sprint("number ", n)}, DNSNames: []string{"one.example.com"}})
		text, err := os.ReadFile(id.file)
		if err != nil {
			t.Fatal(err)
		}
		broken = append(broken[:4], string(text[:len(text)/2]), pemOf(id.cert.Raw)+keyPEM(t, newKey(t)))
		return string(text)
	}
	write(t, file, good(0))
	s := start(t, "--host", "127.0.0.1", "--port", "0/ssl", "--SSL_cert_file", file, "--echo", "raw")
	load := &handshakes{t: t, address: s.addr(0), cfg: clientTLS(t, nil)}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	for range 5 {
		wg.Go(func() { load.run(ctx, 100*time.Millisecond) }) // 50 a second
	}
	var slowest time.Duration
	begin := time.Now()
	for n := 1; n <= rounds; n++ {
		if n%2 == 1 {
			if n%4 == 1 {
				write(t, file, broken[n/2%len(broken)]) // in place, as cp does
			} else {
				replace(t, file, broken[n/2%len(broken)])
			}
			seen := load.done.Load() // let the server see it, and clients come meanwhile
			netservertest.Eventually(t, "clients come", func() bool { return load.done.Load() >= seen+3 })
			continue
		}
		text := good(n)
		if n%4 == 0 {
			write(t, file, text)
		} else {
			replace(t, file, text)
		}
		at := time.Now()
		for load.newest.Load() != int64(n) {
			if time.Since(at) > 2*time.Second+slack() {
				t.Fatalf("number %d is not served after %v; number %d is\n%s", n, time.Since(at), load.newest.Load(), &s.log)
			}
			time.Sleep(time.Millisecond)
		}
		slowest = max(slowest, time.Since(at))
	}
	took := time.Since(begin)
	write(t, file, "garbage\n")
	s.awaitLog(`new certificate refused, the old one stays.*holds no certificate.*number ` + fmt.Sprint(rounds))
	stop()
	wg.Wait()
	t.Logf("%d replacements, half of them broken, in %v; %d handshakes (%.0f a second), %d failed; the slowest good one was served after %v",
		rounds, took.Round(time.Millisecond), load.done.Load(), float64(load.done.Load())/took.Seconds(), load.failed.Load(), slowest)
	s.stop()
}

// handshakes come to a server and note the number in its certificate's name.
type handshakes struct {
	t            testing.TB
	address      string
	cfg          *tls.Config
	done, failed atomic.Int64
	newest       atomic.Int64
}

// run begins one each period until ctx ends.
func (h *handshakes) run(ctx context.Context, period time.Duration) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for ctx.Err() == nil {
		h.once()
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func (h *handshakes) once() {
	nc, err := net.DialTimeout("tcp", h.address, patience)
	if err == nil {
		nc.SetDeadline(time.Now().Add(patience))
		c := tls.Client(nc, h.cfg)
		if err = c.Handshake(); err == nil {
			var n int64
			fmt.Sscanf(c.ConnectionState().PeerCertificates[0].Subject.CommonName, "number %d", &n)
			for {
				old := h.newest.Load()
				if n <= old || h.newest.CompareAndSwap(old, n) {
					break
				}
			}
		}
		c.Close()
	}
	h.done.Add(1)
	if err != nil {
		h.failed.Add(1)
		h.t.Errorf("handshake %d failed: %v", h.done.Load(), err)
	}
}

// TestStapleIsFetched has the server get its OCSP response by itself.
func TestStapleIsFetched(t *testing.T) {
	b := newTLSBed(t)
	root := netservertest.CA(t)
	responder := httptest.NewServer(answerOCSP(t, root, ocsp.Good))
	defer responder.Close()
	id := issue(t, root, b.path("stapled.pem"), x509.Certificate{Subject: pkix.Name{CommonName: "stapled"}, DNSNames: []string{"one.example.com"}, OCSPServer: []string{responder.URL}})
	write(t, id.file, pemOf(id.cert.Raw)+pemOf(root.Cert.Raw)+keyPEM(t, id.key))
	s := b.start(t, "--SSL_cert_file", id.file, "--SSL_ocsp_staple", "1")
	for range 2 { // the second with another certificate
		netservertest.Eventually(t, "there is a staple", func() bool {
			out := sclient(t, s.addr(0), "-status")
			return strings.Contains(out, "OCSP Response Status: successful") && strings.Contains(strings.ToLower(out), "serial number: "+id.cert.SerialNumber.Text(16))
		})
		id = issue(t, root, b.path("next.pem"), x509.Certificate{Subject: pkix.Name{CommonName: "stapled"}, DNSNames: []string{"one.example.com"}, OCSPServer: []string{responder.URL}})
		replace(t, b.path("stapled.pem"), pemOf(id.cert.Raw)+pemOf(root.Cert.Raw)+keyPEM(t, id.key))
	}
	s.stop()
}

// TestTicketsAcrossServers resumes sessions at another server with the same
// key file, and at another port of the same context.
func TestTicketsAcrossServers(t *testing.T) {
	b := newTLSBed(t)
	keys := b.path("ticket.keys")
	openssl(t, "rand", "-out", keys, "80")
	shared := []string{"--SSL_ticket_key_file", keys, "--SSL_session_id_context", "farm", "--port", "0/ssl"}
	first, second := b.start(t, shared...), b.start(t, shared...)
	apart := b.start(t, "--port", "0/ssl") // keys of its own, a context for each port
	for _, c := range []struct {
		name, from, to string
		resumes        bool
	}{
		{"same port", first.addr(0), first.addr(0), true},
		{"another port", first.addr(0), first.addr(1), true},
		{"another server", first.addr(0), second.addr(0), true},
		{"a server without the key", first.addr(0), apart.addr(0), false},
		{"same port, own keys", apart.addr(0), apart.addr(0), true},
		{"another port, own contexts", apart.addr(0), apart.addr(1), false},
	} {
		for _, version := range []string{"-tls1_2", "-tls1_3"} {
			file := b.path("session")
			os.Remove(file)
			sclient(t, c.from, version, "-sess_out", file)
			out := sclient(t, c.to, version, "-sess_in", file)
			if resumed := strings.Contains(out, "Reused, TLSv"); resumed != c.resumes || !strings.Contains(out, comesIn) {
				t.Errorf("%s, %s: resumed %v, want %v\n%s", c.name, version, resumed, c.resumes, out)
			}
		}
	}
}

// With SSL_startHandshake 0 clients begin without TLS, and nothing that the
// command serves starts it: no such port is opened.
func TestStartHandshake(t *testing.T) {
	b := newTLSBed(t)
	for _, serves := range [][]string{nil, {"--echo", "raw"}, {"--proxy_to", "127.0.0.1:9"}, {"--", "/bin/cat"}} {
		args := append([]string{"--port", "127.0.0.1:0/ssl", "--SSL_cert_file", b.one.file, "--SSL_startHandshake", "0"}, serves...)
		refuses(t, 2, "port 127.0.0.1:0/ssl: SSL_startHandshake 0 lets clients begin in plain text", args...)
	}
}

// TestRulesChangeWhileConnected changes who may come in, each time so that ann
// may no more and cat still may.
func TestRulesChangeWhileConnected(t *testing.T) {
	b := newTLSBed(t)
	other := netservertest.NewCA(t, "other CA")
	cat := issue(t, other, b.path("cat.pem"), x509.Certificate{Subject: pkix.Name{CommonName: "cat"}})
	both := pemOf(b.ca.Cert.Raw) + pemOf(other.Cert.Raw)
	for _, c := range []struct{ name, file, before, after, why string }{
		{"authorities", "cas.pem", both, pemOf(other.Cert.Raw), "is not signed by an authority"},
		{"allow list", "allow", "cn ann\ncn cat\n", "cn cat\n", "is on no allow list"},
		{"pins", "allow", "pin sha256$" + fingerprint(b.ann) + "\npin sha256$" + fingerprint(cat), "pin sha256$" + fingerprint(cat), "is on no allow list"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cas, allow := b.path("cas.pem"), b.path("allow")
			write(t, cas, both)
			write(t, allow, "cn ann\ncn cat\n")
			file := b.path(c.file)
			write(t, file, c.before)
			s := b.start(t, "--SSL_verify_mode", "3", "--SSL_ca_file", cas, "--SSL_allow_file", allow)
			leaves, stays := join(t, s.addr(0), clientTLS(t, &b.ann)), join(t, s.addr(0), clientTLS(t, &cat))
			replace(t, file, "garbage") // changes nothing
			leaves.alive()
			replace(t, file, c.after)
			begin := time.Now()
			if took := leaves.end().Sub(begin); took > 2*time.Second+slack() {
				t.Errorf("stayed %v", took)
			}
			stays.alive()
			s.awaitLog(`denied .*CN=ann.*` + c.why)
			s.stop()
		})
	}
}
