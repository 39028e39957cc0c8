package tlsparams

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// responder answers for ca. status tells what to say about a serial number;
// -1 is no answer at all.
type responder struct {
	ca     *testCA
	status func(serial string) int
	next   time.Duration
	signer *x509.Certificate // nil: the authority itself
	key    crypto.Signer
	asked  atomic.Int32
}

func (r *responder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.asked.Add(1)
	body, _ := io.ReadAll(req.Body)
	q, err := ocsp.ParseRequest(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	status := r.status(q.SerialNumber.String())
	if status < 0 {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	tmpl := ocsp.Response{Status: status, SerialNumber: q.SerialNumber, ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(r.next), Certificate: r.signer}
	if status == ocsp.Revoked {
		tmpl.RevokedAt = time.Now().Add(-time.Minute)
	}
	signer, key := r.ca.cert, r.ca.key
	if r.signer != nil {
		signer, key = r.signer, r.key
	}
	der, err := ocsp.CreateResponse(r.ca.cert, signer, tmpl, key)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Write(der)
}

func TestOCSPOfClients(t *testing.T) {
	ca := newCA(t, "ca")
	env := loopback
	env.ClientCAs = x509.NewCertPool()
	env.ClientCAs.AddCert(ca.cert)
	ann := ca.person(t, "ann", nil)
	signer := func(usage ...x509.ExtKeyUsage) (*x509.Certificate, crypto.Signer) {
		k := newKey(t)
		return ca.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "signer"}, ExtKeyUsage: usage}, k), k
	}
	delegate, delegateKey := signer(x509.ExtKeyUsageOCSPSigning)
	impostor, impostorKey := signer(x509.ExtKeyUsageClientAuth)
	for name, c := range map[string]struct {
		r          *responder
		soft, hard bool
	}{
		"good":     {&responder{status: func(string) int { return ocsp.Good }}, true, true},
		"revoked":  {&responder{status: func(string) int { return ocsp.Revoked }}, false, false},
		"unknown":  {&responder{status: func(string) int { return ocsp.Unknown }}, true, false},
		"down":     {&responder{status: func(string) int { return -1 }}, true, false},
		"old":      {&responder{status: func(string) int { return ocsp.Good }, next: -time.Second}, true, false},
		"delegate": {&responder{status: func(string) int { return ocsp.Good }, signer: delegate, key: delegateKey}, true, true},
		"impostor": {&responder{status: func(string) int { return ocsp.Revoked }, signer: impostor, key: impostorKey}, true, false},
	} {
		c.r.ca = ca
		if c.r.next == 0 {
			c.r.next = time.Hour
		}
		srv := httptest.NewServer(c.r)
		for mode, want := range map[string]bool{"soft": c.soft, "hard": c.hard} {
			s := open(t, env, "SSL_verify_mode=3", "SSL_ocsp_check="+mode, "SSL_ocsp_responder="+srv.URL)
			before := c.r.asked.Load()
			for range 3 {
				if _, _, err := shake(t, s, ann.config()); (err == nil) != want {
					t.Errorf("%s, %s: %v", name, mode, err)
				}
			}
			if n := c.r.asked.Load() - before; n != 1 {
				t.Errorf("%s, %s: asked %d times", name, mode, n)
			}
		}
		srv.Close()
	}
}

func TestStaples(t *testing.T) {
	ca := newCA(t, "ca")
	status := ocsp.Good
	r := &responder{ca: ca, next: time.Hour, status: func(string) int { return status }}
	srv := httptest.NewServer(r)
	defer srv.Close()
	key := newKey(t)
	leaf := ca.sign(t, &x509.Certificate{DNSNames: []string{"localhost"}, OCSPServer: []string{srv.URL},
		ExtraExtensions: []pkix.Extension{{Id: oidFeature, Value: []byte{0x30, 3, 2, 1, 5}}}}, key)
	dir := t.TempDir()
	file := "SSL_cert_file=" + writeFile(t, dir, "x.pem", certPEM(leaf, ca.cert), keyPEM(t, key))
	staple := func(s *Source) []byte {
		_, cli, err := shake(t, s, anyClient())
		if err != nil {
			t.Fatal(err)
		}
		return cli.OCSPResponse
	}
	plain := open(t, Env{}, file)
	if len(plain.Warnings()) != 1 || !strings.Contains(plain.Warnings()[0], "must-staple") || staple(plain) != nil {
		t.Error(plain.Warnings())
	}
	s := open(t, Env{}, file, "SSL_ocsp_staple=1")
	running(t, s)
	eventually(t, "a staple", func() bool { return staple(s) != nil })
	der := staple(s)
	if resp, err := ocsp.ParseResponseForCert(der, leaf, ca.cert); err != nil || resp.Status != ocsp.Good {
		t.Error(err)
	}
	fromFile := open(t, Env{}, file, "SSL_ocsp_staple_file="+writeFile(t, dir, "staple", der))
	if string(staple(fromFile)) != string(der) {
		t.Error("no staple from the file")
	}
	if _, err := tryOpen(Env{}, file, "SSL_ocsp_staple_file="+writeFile(t, dir, "bad", der[:len(der)-1])); err == nil || !strings.Contains(err.Error(), "SSL_ocsp_staple_file") {
		t.Error(err)
	}
}

// TestStaplesAreKept walks through the life of one: due, responder down, ended.
func TestStaplesAreKept(t *testing.T) {
	ca := newCA(t, "ca")
	status := ocsp.Good
	r := &responder{ca: ca, next: time.Hour, status: func(string) int { return status }}
	srv := httptest.NewServer(r)
	defer srv.Close()
	key := newKey(t)
	leaf := ca.sign(t, &x509.Certificate{DNSNames: []string{"localhost"}, OCSPServer: []string{srv.URL}}, key)
	now := time.Now()
	s := open(t, Env{Now: func() time.Time { return now }}, "SSL_cert_file="+writeFile(t, t.TempDir(), "x.pem", certPEM(leaf, ca.cert), keyPEM(t, key)))
	plan := map[*slot]*due{}
	step := func(d time.Duration) *tls.Certificate {
		now = now.Add(d)
		s.stapleOne(t.Context(), s.named[0], plan)
		return s.named[0].cur.Load()
	}
	if step(0).OCSPStaple == nil || r.asked.Load() != 1 {
		t.Fatal("not fetched")
	}
	if step(10 * time.Minute); r.asked.Load() != 1 {
		t.Error("asked too early")
	}
	status = -1
	if step(30*time.Minute).OCSPStaple == nil || r.asked.Load() != 2 {
		t.Error("not kept while the responder is down")
	}
	if step(30*time.Minute).OCSPStaple != nil {
		t.Error("kept beyond its end")
	}
}

// A responder that does not answer holds up neither the end of the server nor
// another question.
func TestJudgeEndsWithItsContext(t *testing.T) {
	ca := newCA(t, "ca")
	env := loopback
	env.ClientCAs = x509.NewCertPool()
	env.ClientCAs.AddCert(ca.cert)
	release, arrived := make(chan struct{}), make(chan struct{}, 8)
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}))
	defer srv.Close()
	defer close(release)
	state := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{ca.person(t, "ann", nil).cert}}
	for mode, allowed := range map[string]bool{"soft": true, "hard": false} {
		s := open(t, env, "SSL_verify_mode=3", "SSL_ocsp_check="+mode, "SSL_ocsp_responder="+srv.URL)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-arrived; cancel() }()
		for range 2 { // the one that asks, and one that waits for its answer
			_, err := s.Judge(ctx, state)
			if denied := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded); denied == allowed {
				t.Errorf("%s: %v", mode, err)
			}
			if ctx.Err() == nil {
				t.Fatalf("%s: judged without an answer, before the context ended", mode)
			}
			ctx, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
		}
	}
}
