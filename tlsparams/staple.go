package tlsparams

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"

	"netserver/internal/certfile"
	"netserver/tlsparams/internal/revoke"
)

const (
	stapleCheck = time.Minute // how often it is looked for certificates whose response is due
	stapleRetry = 5 * time.Minute
	stapleLong  = 24 * time.Hour // between two fetches at most
)

// oidFeature is RFC 7633's TLS feature; status_request in it is must-staple.
var oidFeature = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}

// mustStaple tells whether clients have to refuse leaf without a response.
func mustStaple(leaf *x509.Certificate) bool {
	for _, e := range leaf.Extensions {
		var features []int
		if e.Id.Equal(oidFeature) {
			if _, err := asn1.Unmarshal(e.Value, &features); err == nil && slices.Contains(features, 5) {
				return true
			}
		}
	}
	return false
}

// issuerOf returns the certificate that signed c's leaf, from its own chain.
func issuerOf(c *tls.Certificate) *x509.Certificate {
	for _, der := range c.Certificate[1:] {
		if ca, err := x509.ParseCertificate(der); err == nil && c.Leaf.CheckSignatureFrom(ca) == nil {
			return ca
		}
	}
	return nil
}

// staple puts a response on what the slot serves, if that is still c.
func (sl *slot) staple(c *tls.Certificate, der []byte) bool {
	n := *c
	n.OCSPStaple = der
	return sl.cur.CompareAndSwap(c, &n)
}

// loadStapleFile reads SSL_ocsp_staple_file for the default certificate.
func (s *Source) loadStapleFile() error {
	f := s.p.StapleFile
	if f == "" || len(s.named) == 0 {
		return nil
	}
	sl := defaultSlot(s.named)
	if sl == nil {
		return s.p.fail(s.env.Where, "SSL_ocsp_staple_file", f, "is for the default certificate, and there is none", nil)
	}
	data, err := s.loader().Read(certfile.RoleCert, f)
	if err != nil {
		return s.fileError("SSL_ocsp_staple_file", err)
	}
	c := sl.cur.Load()
	issuer := issuerOf(c)
	if issuer == nil {
		return s.p.fail(s.env.Where, "SSL_ocsp_staple_file", f, "cannot be checked: the certificate's issuer is not in its chain", nil)
	}
	resp, err := revoke.CheckResponse(data, c.Leaf, issuer, s.env.now())
	if err == nil && resp.Status != ocsp.Good {
		err = errors.New("the OCSP response says that the certificate is revoked or unknown")
	}
	if err != nil {
		return s.p.fail(s.env.Where, "SSL_ocsp_staple_file", f, "cannot be used: "+err.Error(), err)
	}
	stapled := *c
	stapled.OCSPStaple = data
	if reason := tooLarge(&stapled); reason != "" {
		return s.p.fail(s.env.Where, "SSL_ocsp_staple_file", f, reason, nil)
	}
	sl.staple(c, data)
	s.stapled = stapleFile{leaf: c.Leaf.Raw, ends: resp.Ends}
	return nil
}

func (s *Source) warnMustStaple() {
	for _, sl := range s.slots() {
		if !s.p.Staple && s.p.StapleFile == "" && mustStaple(sl.cur.Load().Leaf) {
			s.warn(sl.key, sl.files.Cert, "must be served with an OCSP response (must-staple), and there is none; set SSL_ocsp_staple to 1 or SSL_ocsp_staple_file")
		}
	}
}

// due is when a certificate's response has to be fetched, and the one that it
// was fetched for.
type due struct {
	at     time.Time
	leaf   *x509.Certificate
	ends   time.Time // of the response that is served; zero: none
	failed bool      // the last fetch; said once
}

// refreshStaples fetches the responses and fetches them again half way to
// their end. One that cannot be replaced is kept until it ends.
func (s *Source) refreshStaples(ctx context.Context) {
	plan := make(map[*slot]*due)
	tick := time.NewTicker(stapleCheck)
	defer tick.Stop()
	for {
		s.mu.Lock()
		slots := s.slots()
		s.mu.Unlock()
		for _, sl := range slots {
			if ctx.Err() != nil {
				return
			}
			s.stapleOne(ctx, sl, plan)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.replaced:
		}
	}
}

func (s *Source) stapleOne(ctx context.Context, sl *slot, plan map[*slot]*due) {
	c := sl.cur.Load()
	now := s.env.now()
	d := plan[sl]
	if d == nil || !d.leaf.Equal(c.Leaf) { // read again, and the same, it keeps its response
		d = &due{leaf: c.Leaf}
		plan[sl] = d
	}
	if !d.ends.IsZero() && now.After(d.ends) {
		sl.staple(c, nil) // clients refuse one that has ended, but not all refuse none
		d.ends = time.Time{}
		c = sl.cur.Load()
	}
	if now.Before(d.at) || len(c.Leaf.OCSPServer) == 0 {
		return
	}
	der, resp, err := s.newStaple(ctx, c, d.ends)
	if err != nil {
		if !d.failed {
			s.env.log().Warn("no new OCSP response", "port", s.env.port(), "certificate", certfile.Name(c.Leaf), "error", err, "served_until", d.ends)
		}
		d.failed, d.at = true, now.Add(jitter(stapleRetry))
		return
	}
	if sl.staple(c, der) {
		d.failed, d.ends = false, resp.Ends
		d.at = now.Add(jitter(min(stapleLong, max(stapleRetry, resp.Ends.Sub(now)/2))))
	}
}

// newStaple returns a response that another server has fetched, if it is a good
// one and ends later than what is there, or else fetches one.
func (s *Source) newStaple(ctx context.Context, c *tls.Certificate, have time.Time) ([]byte, *revoke.Response, error) {
	share := s.env.Staples
	if share == nil {
		return s.fetchStaple(ctx, c)
	}
	leaf := sha256.Sum256(c.Leaf.Raw)
	if issuer := issuerOf(c); issuer != nil {
		der, now := share.Get(ctx, leaf), s.env.now()
		resp, err := revoke.CheckResponse(der, c.Leaf, issuer, now)
		if err == nil && resp.Status == ocsp.Good && resp.Ends.After(have) && now.Before(resp.This.Add(resp.Ends.Sub(resp.This)/2)) && fits(c, der) == nil {
			return der, resp, nil
		}
	}
	der, resp, err := s.fetchStaple(ctx, c)
	if err == nil {
		share.Put(leaf, der)
	}
	return der, resp, err
}

// fits returns an error if a certificate with a response is too large to be
// sent.
func fits(c *tls.Certificate, der []byte) error {
	stapled := *c
	stapled.OCSPStaple = der
	if reason := tooLarge(&stapled); reason != "" {
		return errors.New("the certificate " + reason)
	}
	return nil
}

func (s *Source) fetchStaple(ctx context.Context, c *tls.Certificate) ([]byte, *revoke.Response, error) {
	issuer := issuerOf(c)
	if issuer == nil {
		return nil, nil, errors.New("the certificate's issuer is not in its chain")
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	resp, der, err := revoke.Fetch(ctx, s.env.HTTP, "", c.Leaf, issuer, s.env.now())
	if err != nil {
		return nil, nil, err
	}
	if resp.Status != ocsp.Good {
		return nil, nil, fmt.Errorf("the responder does not report the certificate as good (status %d)", resp.Status)
	}
	if err := fits(c, der); err != nil {
		return nil, nil, err
	}
	return der, resp, nil
}

// jitter shortens d by up to a tenth, so that servers do not ask all at once.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/10+1) }
