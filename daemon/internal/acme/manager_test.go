package acme

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/acme"

	"netserver/netservertest"
)

func TestMain(m *testing.M) { os.Exit(netservertest.Main(m)) }

// issue makes a certificate for name that some authority has signed, with its
// key.
func issue(t *testing.T, name string, from time.Time, life time.Duration) []byte {
	t.Helper()
	authority, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, text, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	leaf := &x509.Certificate{SerialNumber: serial, DNSNames: []string{name}, NotBefore: from, NotAfter: from.Add(life)}
	der, err := x509.CreateCertificate(rand.Reader, leaf, &x509.Certificate{Subject: pkix.Name{CommonName: "an authority"}}, key.Public(), authority)
	if err != nil {
		t.Fatal(err)
	}
	return append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
}

// A rig is a Manager whose orders a test decides.
type rig struct {
	*Manager
	t      *testing.T
	mu     sync.Mutex
	log    bytes.Buffer
	orders []order
	answer func(directory, name string) ([]byte, error)
	end    func()
}

type order struct {
	directory, name string
	at              time.Time
}

func (r *rig) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(b)
}

// made returns the orders so far.
func (r *rig) made() []order {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.orders)
}

// text returns the log.
func (r *rig) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// lines returns the log's lines that have a text in them.
func (r *rig) lines(text string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := range strings.Lines(r.log.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func newRig(t *testing.T, storage string, names ...string) *rig {
	t.Helper()
	if err := Prepare(storage, names, time.Now()); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t}
	c := Config{Names: names, Directory: "production", Storage: storage}
	r.Manager = New(c, slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug})), nil, nil)
	r.obtain = func(_ context.Context, directory, name string) ([]byte, error) {
		r.mu.Lock()
		r.orders = append(r.orders, order{directory, name, time.Now()})
		r.mu.Unlock()
		return r.answer(directory, name)
	}
	r.answer = func(_, name string) ([]byte, error) { return issue(t, name, time.Now(), 90*24*time.Hour), nil }
	return r
}

func (r *rig) start() {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	r.end = func() { cancel(); <-done }
}

// storageIn returns a directory for a storage.
func storageIn(t *testing.T) string { return filepath.Join(t.TempDir(), "acme") }

// Certificates are renewed at two thirds of their life or a little before, and
// not twice.
func TestRenewal(t *testing.T) {
	storage := storageIn(t)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storage, "a.example", "b.example")
		r.start()
		synctest.Wait()
		if len(r.made()) != 2 {
			t.Fatalf("%d orders at the start", len(r.made()))
		}
		time.Sleep(54 * day)
		synctest.Wait()
		if len(r.made()) != 2 {
			t.Errorf("renewed too early: %v", r.made()[2:])
		}
		time.Sleep(7 * day)
		synctest.Wait()
		if len(r.made()) != 4 {
			t.Errorf("%d orders after 61 days", len(r.made()))
		}
		if r.made()[2].at.Equal(r.made()[3].at) {
			t.Error("both in the same moment")
		}
		r.end()
		if n := r.lines("obtained"); n != 4 {
			t.Errorf("%d lines", n)
		}
	})
}

// Failures are a line each, further and further apart; staging is tried before
// production then, and its limits do not matter. What was given before goes on.
func TestFailures(t *testing.T) {
	storage := storageIn(t)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storage, "a.example")
		r.c.Staging = "staging"
		r.answer = func(string, string) ([]byte, error) { return nil, errors.New("it is\n\x1b[2J closed") }
		began := time.Now()
		r.start()
		time.Sleep(2 * day)
		synctest.Wait()
		n := len(r.made())
		if n < 8 || n > 12 || r.lines("no certificate for a.example: ") != n {
			t.Errorf("%d orders in two days, %d lines", n, r.lines("no certificate"))
		}
		for i, o := range r.made() {
			if want := map[bool]string{true: "production", false: "staging"}[i == 0]; o.directory != want {
				t.Errorf("order %d at %s", i, o.directory)
			}
		}
		if r.made()[0].at != began || r.made()[5].at.Sub(began) < time.Hour {
			t.Error("more than five failures in the first hour")
		}
		if r.lines("\x1b") > 0 || r.lines("it is %1B[2J closed") == 0 {
			t.Error("the log has what the authority said as it is")
		}
		r.end()
		// Another process knows of that.
		again := newRig(t, storage, "a.example")
		again.c.Staging = "staging"
		again.answer = func(d, name string) ([]byte, error) { return issue(t, name, time.Now(), 90*day), nil }
		again.start()
		time.Sleep(afterStart + time.Minute)
		synctest.Wait()
		if len(again.made()) != 2 || again.made()[0].directory != "staging" || again.made()[1].directory != "production" {
			t.Errorf("after a start: %v", again.made())
		}
		again.end()
		if again.store.dir != storage || again.past["a.example"].Failures != 0 {
			t.Error("a certificate does not end the failures")
		}
	})
}

// An authority that says how long to wait is not asked before, also not by who
// starts again or reloads.
func TestRetryAfter(t *testing.T) {
	storage := storageIn(t)
	synctest.Test(t, func(t *testing.T) {
		limited := &acme.Error{StatusCode: 429, ProblemType: "urn:ietf:params:acme:error:rateLimited", Header: http.Header{"Retry-After": {"172800"}}}
		r := newRig(t, storage, "a.example")
		r.answer = func(string, string) ([]byte, error) { return nil, limited }
		r.start()
		synctest.Wait()
		for range 47 {
			time.Sleep(time.Hour)
			r.Hurry()
		}
		synctest.Wait()
		r.end()
		again := newRig(t, storage, "a.example")
		again.answer = r.answer
		again.start()
		synctest.Wait()
		if len(r.made()) != 1 || len(again.made()) != 0 {
			t.Errorf("%d orders, then %d", len(r.made()), len(again.made()))
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(again.made()) != 1 {
			t.Errorf("%d orders after the time", len(again.made()))
		}
		again.end()
	})
}

// What an authority gives is not served if it cannot be, and what is served
// goes on.
func TestNonsense(t *testing.T) {
	storage := storageIn(t)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storage, "a.example")
		good := issue(t, "a.example", time.Now().Add(-70*day), 90*day) // to be renewed
		if err := os.WriteFile(filepath.Join(storage, certificate("a.example")), good, 0o600); err != nil {
			t.Fatal(err)
		}
		other := issue(t, "b.example", time.Now(), 90*day)
		mixed := append(bytes.Clone(good[:bytes.Index(good, []byte("-----BEGIN CERT"))]), other[bytes.Index(other, []byte("-----BEGIN CERT")):]...)
		bad := [][]byte{{}, []byte("nonsense"), other, mixed, issue(t, "a.example", time.Now().Add(-100*day), 90*day), issue(t, "a.example", time.Now().Add(20*day), 90*day),
			append(issue(t, "a.example", time.Now(), 90*day), bytes.Repeat([]byte("x"), room)...)}
		r.answer = func(string, string) ([]byte, error) { return bad[len(r.made())-1], nil }
		r.start()
		for i := range bad {
			synctest.Wait()
			if n := len(r.made()); n != i+1 {
				t.Fatalf("%d orders, not %d", n, i+1)
			}
			if have, err := os.ReadFile(filepath.Join(storage, certificate("a.example"))); err != nil || !bytes.Equal(have, good) {
				t.Fatalf("after %d: what was good is gone: %v", i, err)
			}
			if i+1 < len(bad) {
				time.Sleep(pauses[i] * 6 / 5)
			}
		}
		r.end()
		if r.lines("the clock of this machine says") != 2 || r.lines("the one in use is valid until") == 0 || r.lines("obtained") != 0 {
			t.Error(r.text())
		}
	})
}

// A full disk is no reason to order: authorities count orders. What was given
// nevertheless is kept in memory until there is room.
func TestFullDisk(t *testing.T) {
	storage := storageIn(t)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storage, "a.example")
		// No file of that name can be made beside a directory that is not empty.
		block := func(dir, file string) string {
			path := filepath.Join(storage, dir, temporary+file)
			if err := os.MkdirAll(filepath.Join(path, "x"), 0o700); err != nil {
				t.Fatal(err)
			}
			return path
		}
		full := block("", "room")
		certs := block(dirCertificates, "a.example.pem")
		r.start()
		synctest.Wait()
		if len(r.made()) != 0 || r.lines("cannot be written to, so none is ordered") != 1 {
			t.Errorf("%d orders: %s", len(r.made()), r.text())
		}
		os.RemoveAll(full)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if len(r.made()) != 1 || r.lines("it is kept in memory") < 2 {
			t.Errorf("%d orders: %s", len(r.made()), r.text())
		}
		os.RemoveAll(certs)
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if len(r.made()) != 1 || r.lines("obtained") != 1 {
			t.Errorf("%d orders: %s", len(r.made()), r.text())
		}
		if left, _ := filepath.Glob(filepath.Join(storage, "*", temporary+"*")); len(left) > 0 {
			t.Errorf("left over: %q", left)
		}
		r.end()
	})
}

// Clocks are set, in both directions.
func TestClockJumps(t *testing.T) {
	now := time.Now()
	leaf := func(from time.Time) *x509.Certificate {
		c, err := check(issue(t, "a.example", from, 90*day), "a.example", from.Add(day))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	p := new(past)
	p.failed(now.AddDate(10, 0, 0), errors.New("x"), "x")
	if at := p.due(now, nil); at.After(now) {
		t.Errorf("a failure of the future: next on %v", at)
	}
	p = new(past)
	p.succeeded(now, leaf(now))
	if at := p.due(now.AddDate(1, 0, 0), leaf(now)); at.After(now.AddDate(1, 0, 0)) {
		t.Error("a certificate that ended while the clock was away is not renewed")
	}
	if at := p.due(now.AddDate(-1, 0, 0), leaf(now)); !at.After(now) {
		t.Errorf("a clock that is a year late orders on %v", at)
	}
	short := leaf(now.Add(-90 * day))
	p.succeeded(now.Add(-time.Second), leaf(now))
	if at := p.due(now, short); at.Before(now.Add(30 * time.Minute)) {
		t.Error("an order follows the other at once")
	}
}

func TestWaitOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for text, want := range map[string]time.Duration{
			"": 0, "5": 5 * time.Second, "-5": 0, "x": 0, "99999999999999": maxTold, "999999999999999999999999": 0,
			time.Now().Add(time.Minute).UTC().Format(http.TimeFormat): time.Minute, "Mon, 01 Jan 1990 00:00:00 GMT": 0,
		} {
			if got := waitOf(http.Header{"Retry-After": {text}}); got != want {
				t.Errorf("%q: %v", text, got)
			}
		}
		z := &acme.AuthorizationError{Errors: []error{&acme.Error{Header: http.Header{"Retry-After": {"7"}}}}}
		if told(z) != 7*time.Second {
			t.Error("the errors of an authorization")
		}
	})
}
