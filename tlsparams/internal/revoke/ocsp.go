package revoke

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"

	"netserver/tlsparams/internal/trust"
)

const (
	ocspTime     = 5 * time.Second  // for one question
	ocspMaxBody  = 64 << 10         // of an answer, in bytes
	ocspMaxKeep  = 24 * time.Hour   // an answer with a far end
	ocspFailKeep = 30 * time.Second // before a responder that failed is asked again
	ocspMaxCache = 10000            // answers kept
	ocspMaxBusy  = 64               // questions under way at once
	ocspSkew     = 5 * time.Minute  // by which a responder's clock may be ahead
)

// OCSP asks responders about client certificates and keeps their answers. It
// is a trust.Checker and safe for concurrent use. The zero OCSP is soft.
type OCSP struct {
	Hard      bool         // no answer denies; else it passes
	Responder string       // asked instead of the one that the certificate names; "" for that
	Client    *http.Client // nil: one that waits 5 seconds at most
	// Unusable, if set, is told of each question without a usable answer,
	// soft or hard, and of how many others there were that it was not told
	// of, where there are many.
	Unusable func(subject string, err error, others int)

	mu    sync.Mutex
	lines sample
	cache map[[32]byte]*answer
	busy  int
}

// An answer is kept, or under way while done is open.
type answer struct {
	done    chan struct{}
	until   time.Time // until when it is kept
	revoked bool
	err     error
	had     bool // revoked, by the answer before
	alone   bool // for one client, who could not wait for the answer
}

// was tells whether the last answer about a certificate is that it is revoked.
func (a *answer) was() bool {
	if a == nil {
		return false
	}
	select {
	case <-a.done:
		return a.revoked
	default:
		return false
	}
}

// Check implements trust.Checker for the leaf. It may take seconds; when
// ctx ends first, that is no answer, and the question goes on for others.
func (o *OCSP) Check(ctx context.Context, chain []*x509.Certificate, now time.Time) (time.Time, error) {
	if len(chain) < 2 {
		return time.Time{}, nil
	}
	leaf, issuer := chain[0], chain[1]
	a := o.get(ctx, leaf, issuer, now)
	if a.alone {
		o.unusable(leaf, a.err, now)
	}
	switch {
	case a.revoked:
		return time.Time{}, fmt.Errorf("%s is %w by its OCSP responder", trust.Subject(leaf), trust.ErrRevoked)
	case a.err != nil && o.Hard:
		return time.Time{}, fmt.Errorf("no OCSP answer about %s: %w", trust.Subject(leaf), a.err)
	}
	return a.until, nil
}

// get returns the answer that is kept, waits for one that is under way, or
// asks.
func (o *OCSP) get(ctx context.Context, leaf, issuer *x509.Certificate, now time.Time) *answer {
	h := sha256.New()
	h.Write(issuer.Raw)
	h.Write(leaf.Raw)
	var key [32]byte
	h.Sum(key[:0])
	o.mu.Lock()
	old := o.cache[key]
	if old != nil {
		select {
		case <-old.done:
			if now.Before(old.until) {
				o.mu.Unlock()
				return old
			}
		default:
			o.mu.Unlock()
			return old.await(ctx, now)
		}
	}
	if o.busy >= ocspMaxBusy {
		o.mu.Unlock()
		return &answer{err: errors.New("too many queries in progress"), until: now.Add(ocspFailKeep), revoked: old.was(), alone: true}
	}
	o.makeRoom()
	// Who was revoked does not come back because the responder is down.
	a := &answer{done: make(chan struct{}), had: old.was()}
	o.cache[key] = a
	o.busy++
	o.mu.Unlock()
	go o.answer(a, leaf, issuer, now)
	return a.await(ctx, now)
}

// await waits for an answer that is under way, which ends within ocspTime.
func (a *answer) await(ctx context.Context, now time.Time) *answer {
	select {
	case <-a.done:
		return a
	case <-ctx.Done():
		return &answer{err: context.Cause(ctx), until: now.Add(ocspFailKeep), revoked: a.had, alone: true}
	}
}

// makeRoom forgets answers if there are too many, those that say revoked last.
func (o *OCSP) makeRoom() {
	if len(o.cache) >= ocspMaxCache {
		maps.DeleteFunc(o.cache, func(_ [32]byte, a *answer) bool { return !a.was() })
	}
	if o.cache == nil || len(o.cache) >= ocspMaxCache {
		o.cache = make(map[[32]byte]*answer)
	}
}

// unusable tells of a question without a usable answer.
func (o *OCSP) unusable(leaf *x509.Certificate, err error, now time.Time) {
	if o.Unusable == nil {
		return
	}
	o.mu.Lock()
	ok, others := o.lines.take(now)
	o.mu.Unlock()
	if ok {
		o.Unusable(trust.Subject(leaf), err, others)
	}
}

// answer asks, and tells those who wait.
func (o *OCSP) answer(a *answer, leaf, issuer *x509.Certificate, now time.Time) {
	o.ask(a, leaf, issuer, now)
	o.mu.Lock()
	o.busy--
	o.mu.Unlock()
	close(a.done)
}

func (o *OCSP) ask(a *answer, leaf, issuer *x509.Certificate, now time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), ocspTime)
	defer cancel()
	resp, _, err := Fetch(ctx, o.Client, o.Responder, leaf, issuer, now)
	if err == nil && resp.Status != ocsp.Good && resp.Status != ocsp.Revoked {
		err = errors.New("the responder does not know it")
	}
	if err != nil {
		o.unusable(leaf, err, now)
		// An answer that is too old still tells of a revocation.
		a.revoked = a.had || resp != nil && resp.Status == ocsp.Revoked
		a.err, a.until = err, now.Add(ocspFailKeep)
		return
	}
	a.revoked = resp.Status == ocsp.Revoked
	a.until = now.Add(ocspMaxKeep)
	if resp.Ends.Before(a.until) {
		a.until = resp.Ends
	}
}

// CheckResponder returns why a responder's address cannot be used.
func CheckResponder(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("is no http or https address")
	}
	return nil
}

// Fetch asks a responder, or the one that leaf names if responder is "", and
// checks the answer: signature, time, and that it is about leaf. It returns
// the answer in DER too; with an error about its time only, both. client may be
// nil.
func Fetch(ctx context.Context, client *http.Client, responder string, leaf, issuer *x509.Certificate, now time.Time) (*Response, []byte, error) {
	if responder == "" {
		if len(leaf.OCSPServer) == 0 {
			return nil, nil, errors.New("the certificate names no OCSP responder")
		}
		responder = leaf.OCSPServer[0]
	}
	if err := CheckResponder(responder); err != nil {
		return nil, nil, fmt.Errorf("the responder %.200q %w", responder, err)
	}
	question, err := ocsp.CreateRequest(leaf, issuer, &ocsp.RequestOptions{Hash: crypto.SHA1})
	if err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, responder, bytes.NewReader(question))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", "application/ocsp-request")
	if client == nil {
		client = &http.Client{Timeout: ocspTime}
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, ocspMaxBody+1))
	switch {
	case err != nil:
		return nil, nil, err
	case len(body) > ocspMaxBody:
		return nil, nil, fmt.Errorf("the responder sends more than %d bytes", ocspMaxBody)
	}
	if res.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("the responder answers with HTTP status %d", res.StatusCode)
	}
	resp, err := CheckResponse(body, leaf, issuer, now)
	return resp, body, err
}
