package revoke

import (
	"context"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"time"

	"netserver/internal/certfile"
	"netserver/tlsparams/internal/trust"
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
			if l.expired(now.Add(ahead)) && !s.outdone(l, now) {
				out = append(out, fmt.Sprintf("%s holds a %s of %s that ends on %s", l.file, l.kind(), l.name, l.next.UTC().Format(time.DateTime)))
			}
		}
	}
	return out
}

// outdone tells whether a newer list of the same issuer and for the same
// certificates has begun, so that nothing is decided by l any more.
func (s *Lists) outdone(l *list, now time.Time) bool {
	for _, o := range s.byIssuer[l.issuer] {
		if o.base == nil && o != l && o.keyID == l.keyID && slices.Equal(o.points, l.points) && o.onlyUser == l.onlyUser && o.onlyCA == l.onlyCA &&
			!now.Before(o.this) && o.this.After(l.this) {
			return true
		}
	}
	return false
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
		until = earlier(until, u)
	}
	return until, nil
}

// one checks c by the newest list of its issuer and that list's newest delta.
// The answer holds until one of them ends, or a list that is there already
// begins.
func (s *Lists) one(c, issuer *x509.Certificate, now time.Time) (time.Time, error) {
	base, wrong := s.newest(c, issuer, now)
	delta, ahead := s.deltas(base, c, issuer, now)
	if by := revoking(base, delta, ahead, string(c.SerialNumber.Bytes()), now); by != nil {
		return time.Time{}, fmt.Errorf("%s is %w by the list of %s in %s", trust.Subject(c), trust.ErrRevoked, by.name, by.file)
	}
	until := s.begins(c, issuer, now)
	if base == nil {
		if s.Policy == Open {
			return until, nil
		}
		return time.Time{}, fmt.Errorf("no revocation list of %s is there for %s; add one to SSL_crl_file or SSL_crl_path%s",
			certfile.Name(issuer), trust.Subject(c), wrong)
	}
	for _, l := range []*list{base, delta} {
		switch {
		case l == nil:
		case !l.expired(now):
			until = earlier(until, l.next)
		case s.Policy == Closed:
			return time.Time{}, fmt.Errorf("the %s of %s in %s ended on %s; replace it, or let it count with SSL_crl_policy expired",
				l.kind(), l.name, l.file, l.next.UTC().Format(time.DateTime))
		}
	}
	return until, nil
}

// revoking returns the list that revokes a certificate, or nil. A delta that
// has ended still revokes; it takes off the base list only what it took off in
// its time, and that is over. Those ahead of the base list only revoke.
func revoking(base, delta *list, ahead []*list, serial string, now time.Time) (by *list) {
	if base != nil {
		if removed, ok := base.serials[serial]; ok && !removed {
			by = base
		}
	}
	if delta != nil {
		switch removed, ok := delta.serials[serial]; {
		case ok && !removed:
			by = delta
		case ok && !delta.expired(now):
			by = nil
		}
	}
	for _, l := range ahead {
		if removed, ok := l.serials[serial]; ok && !removed {
			by = l
		}
	}
	return by
}

// earlier returns the earlier of two moments; zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// begins returns when the next list for c that has not begun does; zero: there
// is none.
func (s *Lists) begins(c, issuer *x509.Certificate, now time.Time) (at time.Time) {
	for _, l := range s.byIssuer[string(issuer.RawSubject)] {
		if now.Before(l.this) && l.covers(c) {
			at = earlier(at, l.this)
		}
	}
	return at
}

// newest returns the newest full list that issuer signed and that covers c, of
// those that have begun. wrong is a hint if there is none.
func (s *Lists) newest(c, issuer *x509.Certificate, now time.Time) (best *list, wrong string) {
	for _, l := range s.byIssuer[string(issuer.RawSubject)] {
		switch {
		case l.base != nil || !l.covers(c):
			continue
		case now.Before(l.this):
			wrong = fmt.Sprintf(" (the one in %s begins on %s)", l.file, l.this.UTC().Format(time.DateTime))
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

// deltas returns the newest delta list that fits base, of those that have
// begun, and those that build on a newer base than is there. They may have
// ended.
func (s *Lists) deltas(base *list, c, issuer *x509.Certificate, now time.Time) (best *list, ahead []*list) {
	var number *big.Int
	if base != nil {
		number = base.number
	}
	for _, l := range s.byIssuer[string(issuer.RawSubject)] {
		if l.base == nil || now.Before(l.this) || !l.covers(c) || !less(number, l.number) || !l.signed(issuer) {
			continue
		}
		switch {
		case base == nil || less(number, l.base):
			ahead = append(ahead, l)
		case best == nil || less(best.number, l.number):
			best = l
		}
	}
	return best, ahead
}

func less(a, b *big.Int) bool {
	if a == nil || b == nil {
		return a == nil && b != nil
	}
	return a.Cmp(b) < 0
}
