package tlsparams

import (
	"crypto/tls"
	"errors"
	"sync/atomic"
	"time"

	"netserver/tlsparams/certfile"
)

// Env is what a Source needs to know beside the parameters. The zero Env works.
type Env struct {
	Where      string           // the port, for messages: "port 443/ssl"
	Loopback   bool             // every TLS port is bound to loopback: a self-signed certificate will do
	SelfSigned *Certificate     // the one to use where one is wanted; nil makes a new one
	Now        func() time.Time // time.Now if nil
}

func (e *Env) now() time.Time {
	if e.Now != nil {
		return e.Now()
	}
	return time.Now()
}

// A Source gives the *tls.Config of one port. It is safe for concurrent use.
type Source struct {
	cfg      atomic.Pointer[tls.Config]
	self     *Certificate
	warnings []string
}

// Source loads and checks everything that p names. where is the port, for
// messages; loopback tells that a self-signed certificate will do. It is Open
// for the common case.
func (p Params) Source(where string, loopback bool) (*Source, error) {
	return p.Open(Env{Where: where, Loopback: loopback})
}

// Open loads and checks everything that p names. The error is an *Error, or
// joins several.
func (p Params) Open(env Env) (*Source, error) {
	s := &Source{}
	vs, reason := parseVersions(p.Version)
	if reason != "" {
		return nil, p.fail(env.Where, "SSL_version", p.Version, reason, nil)
	}
	if vs&oldVersions != 0 {
		s.warnings = append(s.warnings, p.fail(env.Where, "SSL_version", p.Version,
			"allows TLS 1.0 or 1.1, which are obsolete and insecure", nil).Error())
	}
	if reason := checkALPN(p.ALPN); reason != "" {
		return nil, p.fail(env.Where, "SSL_alpn_protocols", "", reason, nil)
	}
	cert, err := s.certificate(&p, &env)
	if err != nil {
		return nil, err
	}
	s.cfg.Store(newConfig(cert, vs, p.ALPN))
	return s, nil
}

// certificate finds the certificate of a port: from files, or self-signed.
func (s *Source) certificate(p *Params, env *Env) (*tls.Certificate, error) {
	if p.CertFile == "" && p.KeyFile != "" {
		return nil, p.fail(env.Where, "SSL_key_file", p.KeyFile, "is given without SSL_cert_file", nil)
	}
	if p.CertFile == ForceSelfSigned && p.KeyFile != "" {
		return nil, p.fail(env.Where, "SSL_key_file", p.KeyFile, "is given, but SSL_cert_file is self-signed, which makes its own key", nil)
	}
	if p.CertFile == "" && !env.Loopback {
		return nil, p.fail(env.Where, "SSL_cert_file", "",
			"is missing: a TLS port needs a certificate; give SSL_cert_file (and SSL_key_file), or SSL_cert_file=self-signed for one made in memory that clients cannot verify", nil)
	}
	if p.CertFile == "" || p.CertFile == ForceSelfSigned {
		s.self = env.SelfSigned
		if s.self == nil {
			var err error
			if s.self, err = SelfSigned(env.now()); err != nil {
				return nil, err
			}
		}
		return s.self.tls, nil
	}
	pair, err := (&certfile.Loader{}).Load(p.CertFile, p.KeyFile)
	if err != nil {
		return nil, p.fileError(env.Where, err)
	}
	if reason := certfile.Dates(pair.Chain, env.now()); reason != "" {
		s.warnings = append(s.warnings, p.fail(env.Where, "SSL_cert_file", p.CertFile, reason, nil).Error())
	}
	return pair.TLS(), nil
}

// fileError names the parameter that brought the file.
func (p *Params) fileError(where string, err error) error {
	var fe *certfile.Error
	if !errors.As(err, &fe) {
		return err
	}
	key := "SSL_cert_file"
	if fe.Role == certfile.RoleKey {
		key = "SSL_key_file"
	}
	return p.fail(where, key, fe.File, fe.Reason, err)
}

// Config returns the configuration for the next handshake. It costs one atomic
// load; ask again for each handshake, as a reload swaps it. It must not be
// changed.
func (s *Source) Config() *tls.Config { return s.cfg.Load() }

// SelfSigned returns the certificate made in memory, or nil if files are used.
func (s *Source) SelfSigned() *Certificate { return s.self }

// Warnings returns what is allowed but deserves a line in the log.
func (s *Source) Warnings() []string { return s.warnings }
