package tlsparams

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"sync"
	"sync/atomic"
	"time"

	"netserver/internal/certfile"
)

// A slot is one certificate with its key, wherever it is served. Its files
// are read again by themselves; cur is what handshakes see.
type slot struct {
	key   string         // the parameter that named it
	name  string         // the SNI name it was given for, or ""
	files certfile.Files // empty for one from memory
	cur   atomic.Pointer[tls.Certificate]

	mu       sync.Mutex
	digest   [32]byte // of the files' contents
	span     certfile.Span
	since    time.Time
	err      string // why the newest contents are not served, or ""
	errAt    time.Time
	lastWarn int // days before the end that were last warned about
}

// A CertStatus tells what one certificate is doing.
type CertStatus struct {
	Parameter   string // that named it, such as "SSL_cert_file"
	Name        string // the SNI name it was given for, or ""
	CertFile    string // "" for one made in memory
	KeyFile     string
	Subject     string
	Fingerprint string
	ServedSince time.Time
	Expires     time.Time
	LastError   string    // why newer contents of the files are not served; "" if they are
	LastErrorAt time.Time // zero without LastError
	// Leaf is the certificate itself, which must not be changed, and
	// ChainExpires is when the first of its chain ends.
	Leaf         *x509.Certificate
	ChainExpires time.Time
}

func (s *slot) status() CertStatus {
	c := s.cur.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	return CertStatus{Parameter: s.key, Name: s.name, CertFile: s.files.Cert, KeyFile: s.files.Key,
		Subject: certfile.Name(c.Leaf), Fingerprint: fingerprint(c.Certificate[0]),
		ServedSince: s.since, Expires: c.Leaf.NotAfter, LastError: s.err, LastErrorAt: s.errAt,
		Leaf: c.Leaf, ChainExpires: chainEnd(s.span, c.Leaf)}
}

// chainEnd is for certificates from memory too, whose span is not kept.
func chainEnd(span certfile.Span, leaf *x509.Certificate) time.Time {
	if span.To.IsZero() {
		return leaf.NotAfter
	}
	return span.To
}

// snapshot is the contents of a pair of files, read at one time.
type snapshot struct {
	cert, key []byte
	digest    [32]byte
}

// take reads both files and, as they may be replaced in between, the first
// once more.
func take(l *certfile.Loader, f certfile.Files) (*snapshot, error) {
	for range 3 {
		s, err := takeOnce(l, f)
		if err != nil || f.Key == "" || f.Key == f.Cert {
			return s, err
		}
		again, err := l.Read(certfile.RoleCert, f.Cert)
		if err != nil {
			return nil, err
		}
		if string(again) == string(s.cert) {
			return s, nil
		}
	}
	return takeOnce(l, f)
}

func takeOnce(l *certfile.Loader, f certfile.Files) (*snapshot, error) {
	s := &snapshot{}
	var err error
	if s.cert, err = l.Read(certfile.RoleCert, f.Cert); err != nil {
		return nil, err
	}
	h := sha256.New()
	h.Write(s.cert)
	if f.Key != "" && f.Key != f.Cert {
		if s.key, err = l.Read(certfile.RoleKey, f.Key); err != nil {
			return nil, err
		}
		sum := sha256.Sum256(s.key)
		h.Write(sum[:])
	}
	h.Sum(s.digest[:0])
	return s, nil
}

// load reads the slot's files and serves what they hold. It keeps what is
// served if the contents are the same, or are past their time while what is
// served is not. changed tells whether another is served now.
func (s *slot) load(read PairFunc, share *sharer, now time.Time) (changed bool, err error) {
	s.mu.Lock()
	have := s.digest
	s.mu.Unlock()
	pair, digest, err := read(Files(s.files), have)
	if err != nil || pair == nil {
		return false, err
	}
	c := (*certfile.Pair)(pair).TLS()
	if err := s.checkSize(c); err != nil {
		return false, err
	}
	if old := s.cur.Load(); old != nil {
		reason := certfile.SpanOf(pair.Chain).At(now)
		if reason != "" && s.dates().At(now) == "" {
			return false, &certfile.Error{File: s.files.Cert, Reason: reason}
		}
		if string(old.Certificate[0]) == string(c.Certificate[0]) {
			c.OCSPStaple = old.OCSPStaple
		}
	}
	share.chain(c)
	s.cur.Store(c)
	s.mu.Lock()
	s.digest, s.since, s.lastWarn, s.span = digest, now, 0, certfile.SpanOf(pair.Chain)
	s.mu.Unlock()
	return true, nil
}

// dates returns when the slot's certificate and those of its issuers are valid.
func (s *slot) dates() certfile.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.span
}

// sharer keeps one copy of each authority's certificate: ten thousand
// certificates of one authority would each carry theirs.
type sharer struct {
	mu   sync.Mutex
	ders map[[32]byte][]byte
}

func (s *sharer) chain(c *tls.Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ders == nil {
		s.ders = make(map[[32]byte][]byte)
	}
	for i := 1; i < len(c.Certificate); i++ {
		key := sha256.Sum256(c.Certificate[i])
		if d, ok := s.ders[key]; ok {
			c.Certificate[i] = d
		} else {
			s.ders[key] = c.Certificate[i]
		}
	}
	// The leaf's own copy is part of Leaf, which parsing made of it.
	c.Certificate[0] = c.Leaf.Raw
}
