package acme

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/crypto/acme"
)

// A past is what became of the orders for a name so far. It outlives the
// process: a server that is started again and again must not order each time.
type past struct {
	Failures int       `json:"failures,omitempty"` // one after the other
	Last     time.Time `json:"last"`               // end of the last order
	Next     time.Time `json:"next"`               // no order before
	Told     bool      `json:"told,omitempty"`     // the authority said when
	Error    string    `json:"error,omitempty"`
	Leaf     string    `json:"leaf,omitempty"` // digest of the certificate that was last obtained or taken
}

// pauses are how long after so many failures in a row the next order waits.
// Let's Encrypt allows five failures an hour for a name.
var pauses = [...]time.Duration{time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 12 * time.Hour}

const (
	// afterStart is how long after a failure a start or a reload may order
	// again, before its pause is over: what was wrong may have been mended.
	afterStart = 10 * time.Minute
	// maxTold is how long an authority may have us wait.
	maxTold = 8 * 24 * time.Hour
	// lookEvery is how often the clock and the files are looked at.
	lookEvery = time.Hour
)

// failed notes a failure.
func (p *past) failed(now time.Time, err error, text string) {
	now = now.Round(0) // the clock of the wall counts, also across a suspension
	pause := pauses[min(p.Failures, len(pauses)-1)]
	pause += time.Duration(rand.Int64N(int64(pause / 5)))
	told := told(err)
	p.Failures++
	p.Last, p.Next, p.Told, p.Error = now, now.Add(max(pause, told)), told > pause, text
}

// succeeded notes a certificate, and sees to it that whatever becomes of it, the
// next is not ordered at once.
func (p *past) succeeded(now time.Time, leaf *x509.Certificate) {
	now = now.Round(0)
	*p = past{Last: now, Next: now.Add(min(lookEvery, leaf.NotAfter.Sub(now)/2)), Leaf: digestOf(leaf)}
}

// hurry lets the next order come sooner after a start or a reload.
func (p *past) hurry() {
	if soon := p.Last.Add(afterStart); p.Failures > 0 && !p.Told && p.Next.After(soon) {
		p.Next = soon
	}
}

// due returns when the next order for a name is to be made. leaf is its
// certificate, nil for none.
func (p *past) due(now time.Time, leaf *x509.Certificate) time.Time {
	next := p.Next
	if p.Last.After(now.Add(lookEvery)) || next.After(now.Add(maxTold)) {
		next = now // the clock was wrong then, or is now
	}
	if leaf != nil {
		if at := renewal(leaf); at.After(next) {
			return at
		}
	}
	return next
}

// renewal returns when a certificate is to be renewed: after two thirds of its
// life, a little earlier for some than for others.
func renewal(leaf *x509.Certificate) time.Time {
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	sum := sha256.Sum256(leaf.Raw)
	early := time.Duration(binary.BigEndian.Uint64(sum[:]) % uint64(max(1, life/20)))
	return leaf.NotBefore.Add(life*2/3 - early)
}

func digestOf(leaf *x509.Certificate) string {
	sum := sha256.Sum256(leaf.Raw)
	return hex.EncodeToString(sum[:])
}

// told returns how long the authority wants us to wait after an error.
func told(err error) time.Duration {
	var e *acme.Error
	var z *acme.AuthorizationError
	switch {
	case errors.As(err, &e):
		return waitOf(e.Header)
	case errors.As(err, &z):
		var most time.Duration
		for _, err := range z.Errors {
			most = max(most, told(err))
		}
		return most
	}
	return 0
}

// waitOf reads Retry-After, which is in seconds or a date.
func waitOf(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if n, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(max(0, n), int(maxTold/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(0, time.Until(at)), maxTold)
	}
	return 0
}
