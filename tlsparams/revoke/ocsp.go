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
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"

	"netserver/tlsparams/trust"
)

const (
	ocspTime     = 5 * time.Second  // for one question
	ocspMaxBody  = 64 << 10         // of an answer, in bytes
	ocspMaxKeep  = 24 * time.Hour   // an answer without end, or with a far one
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

	mu    sync.Mutex
	cache map[[32]byte]*answer
	busy  int
}

// An answer is kept, or under way while done is open.
type answer struct {
	done    chan struct{}
	until   time.Time // until when it is kept
	revoked bool
	err     error
}

// Check implements trust.Checker for the leaf. It may take seconds; when
// ctx ends first, that is no answer, and the question goes on for others.
func (o *OCSP) Check(ctx context.Context, chain []*x509.Certificate, now time.Time) (time.Time, error) {
	if len(chain) < 2 {
		return time.Time{}, nil
	}
	leaf, issuer := chain[0], chain[1]
	a := o.get(ctx, leaf, issuer, now)
	switch {
	case a.revoked:
		return time.Time{}, fmt.Errorf("%s is %w by its OCSP responder", trust.Subject(leaf), trust.ErrRevoked)
	case a.err != nil && o.Hard:
		return time.Time{}, fmt.Errorf("OCSP tells nothing about %s: %w", trust.Subject(leaf), a.err)
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
	if a := o.cache[key]; a != nil {
		select {
		case <-a.done:
			if now.Before(a.until) {
				o.mu.Unlock()
				return a
			}
		default:
			o.mu.Unlock()
			return a.await(ctx, now)
		}
	}
	if o.busy >= ocspMaxBusy {
		o.mu.Unlock()
		return &answer{err: errors.New("too many questions are under way"), until: now.Add(ocspFailKeep)}
	}
	if o.cache == nil || len(o.cache) >= ocspMaxCache {
		o.cache = make(map[[32]byte]*answer)
	}
	a := &answer{done: make(chan struct{})}
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
		return &answer{err: context.Cause(ctx), until: now.Add(ocspFailKeep)}
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
	if err != nil {
		a.err, a.until = err, now.Add(ocspFailKeep)
		return
	}
	a.until = now.Add(ocspMaxKeep)
	if !resp.NextUpdate.IsZero() && resp.NextUpdate.Before(a.until) {
		a.until = resp.NextUpdate
	}
	switch resp.Status {
	case ocsp.Revoked:
		a.revoked = true
	case ocsp.Good:
	default:
		a.err = errors.New("the responder does not know it")
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
// the answer in DER too. client may be nil.
func Fetch(ctx context.Context, client *http.Client, responder string, leaf, issuer *x509.Certificate, now time.Time) (*ocsp.Response, []byte, error) {
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
	body, err := io.ReadAll(io.LimitReader(res.Body, ocspMaxBody))
	if err != nil {
		return nil, nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("the responder answers with HTTP status %d", res.StatusCode)
	}
	resp, err := CheckResponse(body, leaf, issuer, now)
	return resp, body, err
}

// CheckResponse parses an answer in DER and checks its signature and time, and
// that it is about leaf.
func CheckResponse(der []byte, leaf, issuer *x509.Certificate, now time.Time) (*ocsp.Response, error) {
	resp, err := ocsp.ParseResponseForCert(der, leaf, issuer)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the OCSP response cannot be used: %w", err)
	case now.Add(ocspSkew).Before(resp.ThisUpdate):
		return nil, fmt.Errorf("the OCSP response is from the future: %s", resp.ThisUpdate.UTC().Format(time.DateTime))
	case !resp.NextUpdate.IsZero() && now.After(resp.NextUpdate):
		return nil, fmt.Errorf("the OCSP response ended on %s", resp.NextUpdate.UTC().Format(time.DateTime))
	}
	if c := resp.Certificate; c != nil && !bytes.Equal(c.Raw, issuer.Raw) {
		// The library checks that the issuer signed c, not what c is for.
		for _, u := range c.ExtKeyUsage {
			if u == x509.ExtKeyUsageOCSPSigning {
				return resp, nil
			}
		}
		return nil, errors.New("the OCSP response is signed with a certificate that is not made for it")
	}
	return resp, nil
}
