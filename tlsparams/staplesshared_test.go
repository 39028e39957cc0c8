package tlsparams

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// shelf is a StapleShare in memory.
type shelf struct {
	mu   sync.Mutex
	list map[[32]byte][]byte
	lie  []byte // instead of all; nil is none
}

func (s *shelf) Get(_ context.Context, leaf [32]byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lie != nil {
		return s.lie
	}
	return s.list[leaf]
}

func (s *shelf) Put(leaf [32]byte, der []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list == nil {
		s.list = make(map[[32]byte][]byte)
	}
	s.list[leaf] = append([]byte(nil), der...)
}

// Servers with one certificate ask its responder once, and again when that is
// due; what they have of each other is judged as what a responder says.
func TestStaplesAreShared(t *testing.T) {
	ca := newCA(t, "ca")
	status := ocsp.Good
	now := time.Now()
	r := &responder{ca: ca, next: time.Hour, status: func(string) int { return status }}
	srv := httptest.NewServer(r)
	defer srv.Close()
	key := newKey(t)
	leaf := ca.sign(t, &x509.Certificate{DNSNames: []string{"localhost"}, OCSPServer: []string{srv.URL}}, key)
	file := "SSL_cert_file=" + writeFile(t, t.TempDir(), "x.pem", certPEM(leaf, ca.cert), keyPEM(t, key))
	share := new(shelf)
	server := func() func(d time.Duration) *tls.Certificate {
		s, plan := open(t, Env{Now: func() time.Time { return now }, Staples: share}, file), map[*slot]*due{}
		return func(d time.Duration) *tls.Certificate {
			now = now.Add(d)
			s.stapleOne(t.Context(), s.named[0], plan)
			return s.named[0].cur.Load()
		}
	}
	asked := func(what string, want int32) {
		t.Helper()
		if n := r.asked.Load(); n != want {
			t.Errorf("%s: asked %d times, not %d", what, n, want)
		}
	}
	a, b := server(), server()
	if a(0).OCSPStaple == nil || string(b(0).OCSPStaple) != string(a(0).OCSPStaple) {
		t.Fatal("not shared")
	}
	asked("at the start", 1)
	first := share.list[sha256.Sum256(leaf.Raw)]
	r.next = 2 * time.Hour
	if string(b(31*time.Minute).OCSPStaple) == string(first) {
		t.Error("not fetched again half way to its end")
	}
	asked("half way", 2)
	if string(a(0).OCSPStaple) == string(first) {
		t.Error("not shared again")
	}
	asked("after that", 2)
	good := share.list[sha256.Sum256(leaf.Raw)]
	other := ca.sign(t, &x509.Certificate{DNSNames: []string{"other"}, OCSPServer: []string{srv.URL}}, key)
	response := func(from *testCA, of *x509.Certificate, status int, this, next time.Duration) []byte {
		der, err := ocsp.CreateResponse(from.cert, from.cert, ocsp.Response{Status: status, SerialNumber: of.SerialNumber, ThisUpdate: now.Add(this), NextUpdate: now.Add(next), RevokedAt: now.Add(this)}, from.key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	for name, lie := range map[string][]byte{
		"garbage": []byte("garbage"), "half": good[:len(good)/2], "damaged": append(append([]byte(nil), good[:len(good)-1]...), good[len(good)-1]^1),
		"of another certificate": response(ca, other, ocsp.Good, -time.Minute, time.Hour), "of another authority": response(newCA(t, "ca"), leaf, ocsp.Good, -time.Minute, time.Hour),
		"revoked": response(ca, leaf, ocsp.Revoked, -time.Minute, time.Hour), "over": response(ca, leaf, ocsp.Good, -2*time.Hour, -time.Hour),
		"too old": response(ca, leaf, ocsp.Good, -2*time.Hour, time.Hour), "of the future": response(ca, leaf, ocsp.Good, 12*time.Hour, 24*time.Hour),
	} {
		share.lie = lie
		before := r.asked.Load()
		if got := server()(0).OCSPStaple; got == nil || string(got) == string(lie) {
			t.Errorf("%s: not fetched, or not replaced", name)
		}
		asked(name, before+1)
	}
	status = -1 // and the responder is down
	if server()(0).OCSPStaple != nil {
		t.Error("what is no response is served")
	}
	share.lie = nil
	if server()(0).OCSPStaple == nil {
		t.Error("another server's response is not served while the responder is down")
	}
}
