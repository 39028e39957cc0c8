package revoke

import (
	"context"
	"crypto/x509"
	"fmt"
	"math/big"
	"time"

	"netserver/tlsparams/certfile"
	"netserver/tlsparams/trust"
)

// A Policy says what an answer that cannot be had means.
type Policy int

const (
	Closed  Policy = iota // no list, or an expired one: denied
	Expired               // an expired list still counts; none at all: denied
	Open                  // what cannot be told passes; what is listed is denied
)

// Lists is a set of CRLs. It is a trust.Checker and is not changed once used;
// make a new one when files change.
type Lists struct {
	WholeChain bool // check the authorities too, not the leaf only
	Policy     Policy

	byIssuer map[string][]*list
}

// Add reads the lists in data, which came from file and has the digest sum,
// and returns how many there are. The error follows the file's name.
func (s *Lists) Add(file string, sum [32]byte, data []byte) (int, error) {
	lists, err := parseLists(file, data)
	if err != nil {
		return 0, err
	}
	for _, l := range lists {
		l.sum = sum
	}
	s.put(lists)
	return len(lists), nil
}

func (s *Lists) put(lists []*list) {
	if s.byIssuer == nil {
		s.byIssuer = make(map[string][]*list)
	}
	for _, l := range lists {
		s.byIssuer[l.issuer] = append(s.byIssuer[l.issuer], l)
	}
}

// Reuse takes the lists of file from another set if they were read from the
// same contents, and returns how many.
func (s *Lists) Reuse(from *Lists, file string, sum [32]byte) int {
	var same []*list
	for _, lists := range from.byIssuer {
		for _, l := range lists {
			if l.file == file && l.sum == sum {
				same = append(same, l)
			}
		}
	}
	s.put(same)
	return len(same)
}

// Stale returns a line for each list that has expired at now, or ends within
// ahead.
func (s *Lists) Stale(now time.Time, ahead time.Duration) []string {
	var out []string
	for _, lists := range s.byIssuer {
		for _, l := range lists {
			if l.base == nil && l.expired(now.Add(ahead)) {
				out = append(out, fmt.Sprintf("%s holds a revocation list of %s that ends on %s", l.file, l.name, l.next.UTC().Format(time.DateTime)))
			}
		}
	}
	return out
}

// Check implements trust.Checker.
func (s *Lists) Check(_ context.Context, chain []*x509.Certificate, now time.Time) (until time.Time, err error) {
	// The anchor, last, is trusted as it is. A leaf that is itself an anchor
	// has no issuer here who could revoke it.
	for i := 0; i+1 < len(chain); i++ {
		if i > 0 && !s.WholeChain {
			break
		}
		u, err := s.one(chain[i], chain[i+1], now)
		if err != nil {
			return time.Time{}, err
		}
		if until.IsZero() || !u.IsZero() && u.Before(until) {
			until = u
		}
	}
	return until, nil
}

// one checks c by the newest list of its issuer and that list's deltas.
func (s *Lists) one(c, issuer *x509.Certificate, now time.Time) (time.Time, error) {
	base, wrong := s.newest(c, issuer, now)
	if base == nil {
		if s.Policy == Open {
			return time.Time{}, nil
		}
		return time.Time{}, fmt.Errorf("no revocation list of %s is there for %s; add one to SSL_crl_file or SSL_crl_path%s",
			certfile.Name(issuer), trust.Subject(c), wrong)
	}
	serial := c.SerialNumber.Bytes()
	reason, listed := base.serials[string(serial)]
	by := base
	if d := s.newestDelta(base, c, issuer, now); d != nil {
		if r, ok := d.serials[string(serial)]; ok {
			reason, listed, by = r, true, d
		}
	}
	const removeFromCRL = 8
	if listed && reason != removeFromCRL {
		return time.Time{}, fmt.Errorf("%s is %w by the list of %s in %s", trust.Subject(c), trust.ErrRevoked, by.name, by.file)
	}
	if base.expired(now) {
		if s.Policy == Closed {
			return time.Time{}, fmt.Errorf("the revocation list of %s in %s ended on %s; replace it, or let it count with SSL_crl_policy expired",
				base.name, base.file, base.next.UTC().Format(time.DateTime))
		}
		return time.Time{}, nil
	}
	return base.next, nil
}

// newest returns the newest full list that issuer signed and that covers c,
// one that has begun before one that has not. wrong is a hint if there is none.
func (s *Lists) newest(c, issuer *x509.Certificate, now time.Time) (best *list, wrong string) {
	for _, l := range s.byIssuer[string(issuer.RawSubject)] {
		if l.base != nil || now.Before(l.this) || !l.covers(c) {
			continue
		}
		if !l.signed(issuer) {
			wrong = fmt.Sprintf(" (the one in %s is signed with another key)", l.file)
			continue
		}
		if best == nil || l.this.After(best.this) {
			best = l
		}
	}
	return best, wrong
}

// newestDelta returns the newest delta list that fits base and has not ended.
func (s *Lists) newestDelta(base *list, c, issuer *x509.Certificate, now time.Time) (best *list) {
	for _, l := range s.byIssuer[string(issuer.RawSubject)] {
		if l.base == nil || now.Before(l.this) || l.expired(now) || !l.covers(c) {
			continue
		}
		if less(base.number, l.base) || !less(base.number, l.number) || best != nil && !less(best.number, l.number) {
			continue
		}
		if l.signed(issuer) {
			best = l
		}
	}
	return best
}

func less(a, b *big.Int) bool {
	if a == nil || b == nil {
		return a == nil && b != nil
	}
	return a.Cmp(b) < 0
}
