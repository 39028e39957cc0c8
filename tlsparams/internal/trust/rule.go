package trust

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"netserver/internal/certfile"
)

// A Mode says whether clients are asked for a certificate.
type Mode int

const (
	None     Mode = iota // not asked
	Optional             // asked; those that show one are judged by it
	Required             // asked; none comes in without
)

// A Checker tells whether a certificate of a verified chain has been revoked.
type Checker interface {
	// Check looks at chain, leaf first, the anchor last. It returns how long
	// the answer holds (zero: no end), ErrRevoked wrapped in an error that
	// says which certificate and by what, or another error if it cannot
	// tell. It is called concurrently, and waits until ctx ends at most.
	Check(ctx context.Context, chain []*x509.Certificate, now time.Time) (until time.Time, err error)
}

// ErrRevoked is wrapped by a Checker's error about a revoked certificate.
var ErrRevoked = errors.New("revoked")

// Denied is why a client may not come in.
type Denied struct {
	Reason string
	Err    error // the cause, or nil
}

func (d *Denied) Error() string { return "client certificate denied: " + d.Reason }

// Unwrap returns the cause.
func (d *Denied) Unwrap() error { return d.Err }

// A Verdict is why a client may come in.
type Verdict struct {
	Reason string                // such as "allowed by cn ops"
	Chains [][]*x509.Certificate // verified and not revoked, leaf first; the leaf alone if a pin decided, none if the code did
	Until  time.Time             // when to judge again: a certificate or list ends; zero: never
}

// A Rule says who may come in by certificate. The zero Rule asks for none. It
// must not be changed once used; its methods may be called concurrently.
type Rule struct {
	Mode    Mode
	Roots   *x509.CertPool // the anchors; nil means the system's
	Anchors string         // how errors name what gave Roots; "" is SSL_ca_file and SSL_ca_path
	// Unverified accepts any certificate; Verify alone is asked about it.
	Unverified bool
	Pins       []Pin     // the leaf's match accepts it whatever its chain says, unless it is revoked
	ForcePin   bool      // no match denies
	Checkers   []Checker // all must agree, for one chain
	Allow      Allow
	// Verify, if set, gets the verdict on the chain, nil for good, and
	// replaces it with its own. It is called concurrently.
	Verify func(state *tls.ConnectionState, chains [][]*x509.Certificate, verdict error) error

	mu       sync.Mutex
	verified map[[32]byte][][]*x509.Certificate // chains built before, by what the client sent
}

// maxVerified bounds the memory for chains that need not be built again. Only
// certificates of trusted authorities get in.
const maxVerified = 1024

// Judge decides about a connection after its handshake, or later.
// Checkers wait until ctx ends at most.
func (r *Rule) Judge(ctx context.Context, state *tls.ConnectionState, now time.Time) (Verdict, error) {
	if r.Mode == None {
		return Verdict{Reason: "no certificate asked"}, nil
	}
	certs := state.PeerCertificates
	if len(certs) == 0 {
		if r.Mode == Required {
			return Verdict{}, &Denied{Reason: "it showed none"}
		}
		return Verdict{Reason: "no certificate shown"}, nil
	}
	var v Verdict
	var err error
	if r.Unverified {
		v.Reason = "its certificate is not verified"
	} else {
		v, err = r.chain(ctx, certs, now)
	}
	pinned := r.pinned(certs[0])
	switch {
	case pinned != "" && !errors.Is(err, ErrRevoked):
		v.Reason = "pinned by " + pinned
		if err != nil {
			v.Chains, err = [][]*x509.Certificate{certs[:1]}, nil
		}
	case pinned == "" && r.ForcePin:
		err = &Denied{Reason: Subject(certs[0]) + " matches no SSL_fingerprint"}
	}
	if r.Verify != nil {
		if err = r.Verify(state, v.Chains, err); err != nil {
			err = &Denied{Reason: "by SSL_verify_callback: " + err.Error(), Err: err}
		}
	}
	if err != nil {
		return Verdict{}, err
	}
	if r.Allow.Empty() {
		return v, nil
	}
	by, ok := r.Allow.Match(certs[0])
	if !ok {
		return Verdict{}, &Denied{Reason: Subject(certs[0]) + " is on no allow list"}
	}
	v.Reason = "allowed by " + by
	return v, nil
}

func (r *Rule) pinned(leaf *x509.Certificate) string {
	for _, p := range r.Pins {
		if p.Matches(leaf) {
			return p.String()
		}
	}
	return ""
}

// chain verifies what the client sent and asks the checkers.
func (r *Rule) chain(ctx context.Context, certs []*x509.Certificate, now time.Time) (Verdict, error) {
	chains, err := r.build(certs, now)
	if err != nil {
		return Verdict{}, &Denied{Reason: r.verifyReason(certs[0], err, now), Err: err}
	}
	var last error
	for _, chain := range chains {
		until, err := r.check(ctx, chain, now)
		if err == nil {
			return Verdict{Reason: "signed by " + certfile.Name(chain[len(chain)-1]), Chains: [][]*x509.Certificate{chain}, Until: until}, nil
		}
		if last == nil || errors.Is(err, ErrRevoked) {
			last = err
		}
	}
	return Verdict{}, &Denied{Reason: last.Error(), Err: last}
}

func (r *Rule) check(ctx context.Context, chain []*x509.Certificate, now time.Time) (time.Time, error) {
	var until time.Time
	for _, c := range chain {
		until = earlier(until, c.NotAfter)
	}
	for _, ch := range r.Checkers {
		u, err := ch.Check(ctx, chain, now)
		if err != nil {
			return time.Time{}, err
		}
		until = earlier(until, u)
	}
	return until, nil
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// build returns the chains from the leaf to an anchor that are valid now. It
// remembers them: the signatures cost far more than all the rest, and open
// connections are judged many at a time.
func (r *Rule) build(certs []*x509.Certificate, now time.Time) ([][]*x509.Certificate, error) {
	key := keyOf(certs)
	r.mu.Lock()
	chains := r.verified[key]
	r.mu.Unlock()
	if chains = validAt(chains, now); len(chains) > 0 {
		return chains, nil
	}
	opts := x509.VerifyOptions{Roots: r.Roots, CurrentTime: now, Intermediates: x509.NewCertPool(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, c := range certs[1:] {
		opts.Intermediates.AddCert(c)
	}
	chains, err := certs[0].Verify(opts)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.verified == nil || len(r.verified) >= maxVerified {
		r.verified = make(map[[32]byte][][]*x509.Certificate)
	}
	r.verified[key] = chains
	return chains, nil
}

func keyOf(certs []*x509.Certificate) (key [32]byte) {
	h := sha256.New()
	for _, c := range certs {
		h.Write(c.Raw) // DER says its own length, so no two lists run together
	}
	h.Sum(key[:0])
	return key
}

func validAt(chains [][]*x509.Certificate, now time.Time) [][]*x509.Certificate {
	all := true
	ok := func(chain []*x509.Certificate) bool {
		for _, c := range chain {
			if now.Before(c.NotBefore) || now.After(c.NotAfter) {
				return false
			}
		}
		return true
	}
	for _, chain := range chains {
		all = all && ok(chain)
	}
	if all {
		return chains
	}
	var good [][]*x509.Certificate
	for _, chain := range chains {
		if ok(chain) {
			good = append(good, chain)
		}
	}
	return good
}

// Subject names a certificate for records: its subject and serial number, cut
// short and without control characters, as the client wrote it.
func Subject(c *x509.Certificate) string {
	return fmt.Sprintf("%.200q (serial %.48s)", certfile.Name(c), c.SerialNumber.Text(16))
}

func (r *Rule) verifyReason(leaf *x509.Certificate, err error, now time.Time) string {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return Subject(leaf) + " is not signed by an authority of " + cmp.Or(r.Anchors, "SSL_ca_file or SSL_ca_path")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil && now.After(invalid.Cert.NotAfter):
		return fmt.Sprintf("%s: %s expired on %s", Subject(leaf), Subject(invalid.Cert), invalid.Cert.NotAfter.UTC().Format(time.DateTime))
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return Subject(leaf) + " is not made for clients: its extended key usage lacks clientAuth"
	}
	return fmt.Sprintf("%s: %.200q", Subject(leaf), err.Error())
}
