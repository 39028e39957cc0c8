package tlsparams

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"netserver/internal/certfile"
	"netserver/tlsparams/internal/challenge"
	"netserver/tlsparams/internal/protocol"
	"netserver/tlsparams/internal/revoke"
	"netserver/tlsparams/internal/tickets"
	"netserver/tlsparams/internal/trust"
)

// A Source gives the *tls.Config of one port, keeps it up to date while Run
// runs, and judges clients by their certificates. It is safe for concurrent
// use.
type Source struct {
	p   Params
	env Env
	agreement
	self    *Certificate
	tickets *tickets.Keeper
	share   sharer
	cur     atomic.Pointer[generation]

	challenges atomic.Pointer[challenge.Set] // nil: none is open

	mu       sync.Mutex // held while files are read again
	named    []*slot
	fromDir  []*slot
	warnings []string
	ocsp     map[string]*revoke.OCSP
	final    bool          // errors count; see reload
	replaced chan struct{} // has something when a certificate was replaced
	trustErr string        // why newer trust files do not count, or ""

	trustWarnings []string          // about the trust files in use, logged once
	refused       map[string]string // why newer contents of other files do not count, by parameter
	arrange       time.Time         // when a certificate of SSL_cert_dir begins; zero: all have
	stapled       stapleFile

	asked atomic.Bool // for the password of a file

	changedMu sync.Mutex
	changed   chan struct{}
}

// Source loads and checks everything that p names. where is the port, for
// messages; loopback tells that a self-signed certificate will do. It is Open
// for the common case.
func (p Params) Source(where string, loopback bool) (*Source, error) {
	return p.Open(Env{Where: where, Loopback: loopback})
}

// Open loads and checks everything that p names. The error joins an *Error for
// each thing that is wrong. A Source needs no closing; one that nothing refers
// to is gone.
func (p Params) Open(env Env) (*Source, error) {
	if env.TLSConfig != nil {
		env.TLSConfig = env.TLSConfig.Clone() // the caller may go on with its own
		if env.Now == nil {
			env.Now = env.TLSConfig.Time
		}
	}
	s := &Source{p: p, env: env, changed: make(chan struct{}), replaced: make(chan struct{}, 1)}
	s.tickets = &tickets.Keeper{Life: max(0, p.TicketLife), Lookup: env.Hooks.TicketKey}
	if env.TicketSecret != nil {
		s.tickets.SetSecrets(env.TicketSecret)
	}
	if err := errors.Join(s.checkProtocol(), s.checkTLSConfig(), s.checkTickets(), s.checkPasswords()); err != nil {
		return nil, err
	}
	certErr := s.loadCerts()
	sites, warnings, err := s.loadSites(nil)
	s.trustWarnings = warnings
	s.warnings = append(s.warnings, warnings...)
	if err := errors.Join(certErr, err, s.loadTicketKeys(), s.loadStapleFile()); err != nil {
		return nil, err
	}
	table, warnings := s.table()
	s.warnings = append(s.warnings, warnings...)
	if err := errors.Join(s.checkUnknown(&table), s.checkEnd()); err != nil {
		return nil, err
	}
	s.checkDates()
	s.warnAuthorities()
	s.warnMustStaple()
	s.warnPasswords()
	s.checkModes()
	s.checkUse(sites, &table)
	g := s.newGeneration(table, sites)
	if g.base.GetCertificate == nil && len(g.base.Certificates) == 0 && (g.own == nil || g.own.GetConfigForClient == nil) {
		return nil, s.noCertificate() // Hooks.Config could have given one
	}
	s.cur.Store(g)
	return s, nil
}

// checkProtocol checks versions, suites, groups and protocols.
func (s *Source) checkProtocol() error {
	p := &s.p
	var err error
	s.agreement, err = s.agreementWith(s.env.TLSConfig)
	if p.Ciphersuites != "" {
		if reason := checkCiphersuites(p.Ciphersuites); reason != "" {
			err = errors.Join(err, p.fail(s.env.Where, "SSL_ciphersuites", p.Ciphersuites, reason, nil))
		}
	}
	if err != nil {
		return err
	}
	if s.versions&protocol.OldVersions != 0 {
		key := "SSL_version"
		if p.Version == "" {
			key = "TLSConfig.MinVersion"
		}
		s.warn(key, p.Version, "allows TLS 1.0 or 1.1, which are obsolete and insecure")
	}
	if protocol.OnlyTLS13(s.curves) && s.versions&^protocol.Bit(tls.VersionTLS13) != 0 {
		s.warn("SSL_ecdh_curve", p.Curves, "holds only groups of TLS 1.3: clients of TLS 1.2 and older cannot come in")
	}
	return nil
}

// checkEnd finds an SSL_unexpected_eof that code has set to what there is not.
func (s *Source) checkEnd() error {
	if reason := checkUnexpectedEOF(s.p.UnexpectedEOF); reason != "" {
		return s.p.fail(s.env.Where, "SSL_unexpected_eof", s.p.UnexpectedEOF, reason, nil)
	}
	return nil
}

// checkDates warns of certificates out of their time, or of such a size that
// clients refuse them.
func (s *Source) checkDates() {
	for _, sl := range s.slots() {
		if reason := large(sl.cur.Load()); reason != "" {
			s.warn(sl.key, sl.files.Cert, reason)
		}
		if reason := sl.dates().At(s.env.now()); reason != "" && sl.files.Cert != "" {
			s.warn(sl.key, sl.files.Cert, reason)
		}
	}
}

// checkModes warns of secrets that every user of the system can read.
func (s *Source) checkModes() {
	open := func(key, file string) {
		if file != "" && s.env.ReadFile == nil && certfile.OthersCanRead(file) {
			s.warn(key, file, "holds secrets and can be read by every user; take the right away: chmod o-r")
		}
	}
	for _, sl := range s.slots() {
		key, file := sl.key, sl.files.Key
		if file == "" {
			file = sl.files.Cert
		} else if key == "SSL_cert_file" {
			key = "SSL_key_file"
		}
		open(key, file)
	}
	open("SSL_passwd_file", s.p.PasswdFile)
	for _, f := range s.p.TicketKeyFiles {
		open("SSL_ticket_key_file", f)
	}
}

// checkUse warns of suites that fit no certificate.
func (s *Source) checkUse(sites map[string]*site, table *hosts) {
	for _, st := range sites {
		if st.listed == nil || s.versions&^protocol.Bit(tls.VersionTLS13) == 0 {
			continue
		}
		h, ok := table.names.At(st.pattern)
		if !ok {
			continue
		}
		fits := slices.ContainsFunc(st.suites, func(i suiteInfo) bool {
			return slices.ContainsFunc(h.slots, func(sl *slot) bool { return isECDSA(sl.cur.Load()) == i.ecdsa })
		})
		if !fits {
			s.warn("SSL_cipher_list", "", "holds no suite for the kind of key of the certificate: clients of TLS 1.2 and older cannot come in under "+st.describe())
		}
	}
}

func (s *Source) warn(key, value, reason string) {
	s.warnings = append(s.warnings, s.p.fail(s.env.Where, key, value, reason, nil).Error())
}

func (s *Source) slots() []*slot { return append(slices.Clone(s.named), s.fromDir...) }

func (s *Source) ocspChecker(hard bool, responder string) (*revoke.OCSP, error) {
	if responder != "" {
		if err := revoke.CheckResponder(responder); err != nil {
			return nil, err
		}
	}
	key := responder
	if hard {
		key = "hard " + responder
	}
	if o := s.ocsp[key]; o != nil {
		return o, nil // its answers are still good
	}
	if s.ocsp == nil {
		s.ocsp = make(map[string]*revoke.OCSP)
	}
	o := &revoke.OCSP{Hard: hard, Responder: responder, Client: s.env.HTTP, Unusable: func(subject string, err error, others int) {
		then := "the client is let in (SSL_ocsp_check soft)"
		if hard {
			then = "the client is denied (SSL_ocsp_check hard)"
		}
		s.env.log().Warn("no OCSP answer about a client certificate: "+then, "port", s.env.port(), "certificate", subject, "error", err, "others_not_logged", others)
	}}
	s.ocsp[key] = o
	return o, nil
}

// Config returns the configuration for the next handshake. It costs one atomic
// load; ask again for each handshake, as a reload swaps it. It must not be
// changed.
func (s *Source) Config() *tls.Config { return s.cur.Load().base }

// SetChallenges has the handshakes answered by which a certificate authority
// looks whether a name is ours (TLS-ALPN-01, RFC 8737): each certificate, by the
// name that it is for, has the answer in it. An authority is asked for no
// certificate, gets no session ticket, and is disconnected: see
// proto.ErrChallenge. What was set before is gone; nil ends all. It may be
// called at any time.
func (s *Source) SetChallenges(certs map[string]*tls.Certificate) {
	s.challenges.Store(challenge.New(certs))
}

// AnswersChallenge reports whether a client that asks for that name, and offers
// these protocols by ALPN, is an authority whose challenge is answered.
func (s *Source) AnswersChallenge(name string, protocols []string) bool {
	return s.challenges.Load().Has(name, protocols)
}

// Serves reports whether one of the certificates is made for host, which is a
// name or an address. It may be called at any time.
func (s *Source) Serves(host string) bool { return s.cur.Load().certs.serves(host) }

// Params returns what the Source was made from.
func (s *Source) Params() Params { return s.p }

// SelfSigned returns the certificate made in memory, or nil if files are used.
func (s *Source) SelfSigned() *Certificate { return s.self }

// Warnings returns what was found at start that is allowed but deserves a line
// in the log.
func (s *Source) Warnings() []string { return slices.Clone(s.warnings) }

// KeysInCode reports whether certificates come from the program's own code, by
// Env.Certificates or Env.TLSConfig: their keys are in each process.
func (s *Source) KeysInCode() bool {
	return len(s.env.Certificates) > 0 || certified(s.env.TLSConfig)
}

// Status tells what each certificate is doing.
func (s *Source) Status() []CertStatus {
	s.mu.Lock()
	slots := s.slots()
	s.mu.Unlock()
	out := make([]CertStatus, len(slots))
	for i, sl := range slots {
		out[i] = sl.status()
	}
	return out
}

// A Verdict is why a client may come in, and until when that holds.
type Verdict struct {
	Reason string                // such as "allowed by cn ops"
	Chains [][]*x509.Certificate // verified and not revoked, leaf first; the leaf alone if a pin decided, none if the code did
	Until  time.Time             // when to judge again: a certificate or list ends; zero: never
}

// Denied is the error that says why a client may not come in by its
// certificate.
type Denied struct {
	Reason string
	Err    error // the cause, or nil
}

// Error returns the reason.
func (d *Denied) Error() string { return (*trust.Denied)(d).Error() }

// Unwrap returns the cause.
func (d *Denied) Unwrap() error { return d.Err }

// judge asks the rules of st about a client.
func (st *site) judge(ctx context.Context, state *tls.ConnectionState, now time.Time) (Verdict, error) {
	v, err := st.rule.Judge(ctx, state, now)
	if d, ok := err.(*trust.Denied); ok {
		err = (*Denied)(d)
	}
	return Verdict(v), err
}

// ErrRevoked is wrapped by the error about a certificate that a list or a
// responder calls revoked.
var ErrRevoked = trust.ErrRevoked

// Judge decides by the rules of this moment whether the client of a finished
// handshake may come in, or stay. Handshakes are judged by themselves; call it
// for open connections when Changed tells, and at the time in the verdict that
// was returned before. The error, a *Denied, states the reason. It may
// ask an OCSP responder, which takes until ctx ends at most.
func (s *Source) Judge(ctx context.Context, state *tls.ConnectionState) (Verdict, error) {
	if err := ctx.Err(); err != nil {
		return Verdict{}, err
	}
	st, _ := s.cur.Load().sites.Find(state.ServerName)
	return st.judge(ctx, state, s.env.now())
}

// Changed returns a channel that is closed when who may come in has changed
// since the call. Ask again before judging, so that no change is missed.
func (s *Source) Changed() <-chan struct{} {
	s.changedMu.Lock()
	defer s.changedMu.Unlock()
	return s.changed
}

func (s *Source) announce() {
	s.changedMu.Lock()
	defer s.changedMu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}
