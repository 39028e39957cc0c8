package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"netserver/conf"
	"netserver/daemon/internal/acme"
	"netserver/daemon/internal/wire"
	"netserver/handler/httpd/challenge"
	"netserver/proto"
	"netserver/tlsparams"
)

// ACMEConfig is which certificates are ordered from an authority that speaks
// ACME (RFC 8555), and renewed. TLS ports without an SSL_cert_dir of their own
// serve them, each for its name. Before it gives one, the authority looks whether
// the name leads here, as Challenge says. The zero value orders none.
type ACMEConfig struct {
	// Domains are the names, each of which gets a certificate of its own. There
	// are no wildcards.
	Domains []string
	// Agree says that the authority's terms are agreed to: without it nothing
	// is ordered, and the start fails.
	Agree bool
	// Challenge is how the authority looks: "tls-alpn-01" (the default), by a
	// TLS handshake at port 443, which TLS ports answer, or "http-01", by HTTP
	// at port 80. Ports of the command that serve HTTP answer that; the handler
	// of a Go program has to ask Answers.
	Challenge string
	// Answers has what authorities are answered by HTTP while orders are open. A
	// Go program sets it, in every process, and puts Answers.Handler around what
	// serves HTTP; without it "http-01" is refused.
	Answers *challenge.Answers
	// Email is given to the authority when the account is made; "" is none.
	Email string
	// Directory is the authority: an https URL, or one of Let's Encrypt's by
	// "production" (the default) and "staging".
	Directory string
	// CAFile holds the roots that the directory is verified against, in PEM;
	// "" is the system's.
	CAFile string
	// Storage is the directory that the account's key and the certificates are
	// kept in. It is made if its parent is there, and must belong to root or
	// the user who starts the server; nobody else may use it.
	Storage string
	// EABKeyID and EABKeyFile bind the account to one that the authority knows
	// already: the file holds the key in base64url.
	EABKeyID, EABKeyFile string

	config acme.Config // what it comes to
}

const (
	groupACME      = "certificates by ACME"
	keyACMEDomains = "acme_domains"
	keyACMEAgree   = "acme_agree"
	keyACMEStorage = "acme_storage"
	keyACMECAFile  = "acme_ca_file"
	keyACMEKeyID   = "acme_eab_kid"
	keyACMEKeyFile = "acme_eab_key_file"
	keyACMEDir     = "acme_directory"
	keyACMEEmail   = "acme_email"
	keyACMEBy      = "acme_challenge"
)

func (a *ACMEConfig) define(s *conf.Set) {
	define := func(k conf.Key, b conf.Binder) {
		k.Group = groupACME
		if k.When == "" {
			k.When = keyACMEDomains
		}
		s.Define(k, b)
	}
	define(conf.Key{Name: keyACMEDomains, Arg: "NAMES", List: true, When: factListens + " " + factTLS, Help: "names to order certificates for, and to renew them; TLS ports without an SSL_cert_dir of their own serve them. No wildcards"}, conf.Strings(&a.Domains))
	define(conf.Key{Name: keyACMEAgree, Arg: "0|1", Help: "1 agrees to the authority's terms, which is required"}, conf.Bool(&a.Agree))
	define(conf.Key{Name: keyACMEStorage, Arg: "DIR", Help: "directory for the account's key and the certificates, which is required; it is made if need be, and nobody but its owner may use it"}, conf.String(&a.Storage))
	define(conf.Key{Name: keyACMEBy, Arg: acme.TLSALPN01 + "|" + acme.HTTP01, Default: acme.TLSALPN01, Help: "how the authority looks whether a name leads here: by TLS at port 443 of its addresses, or by HTTP at port 80. Ports that serve HTTP answer the latter before their handler, while an order is open; http_redirect makes one that is for nothing else"}, conf.Choice(&a.Challenge, acme.TLSALPN01, acme.HTTP01))
	define(conf.Key{Name: keyACMEEmail, Arg: "ADDRESS", Help: "given to the authority when the account is made"}, conf.String(&a.Email))
	define(conf.Key{Name: keyACMEDir, Arg: "URL", Default: "production", Help: "the authority: production or staging, which are Let's Encrypt's, or an https URL"}, conf.String(&a.Directory))
	define(conf.Key{Name: keyACMECAFile, Arg: "FILE", Help: "roots that acme_directory is verified against (default: the system's)"}, conf.String(&a.CAFile))
	define(conf.Key{Name: keyACMEKeyID, Arg: "ID", When: keyACMEDomains + " " + keyACMEKeyFile, Help: "identifier of an account that the authority knows already (external account binding)"}, conf.String(&a.EABKeyID))
	define(conf.Key{Name: keyACMEKeyFile, Arg: "FILE", When: keyACMEDomains + " " + keyACMEKeyID, Help: "file with the key for that, in base64url"}, conf.String(&a.EABKeyFile))
}

// resolve makes a.config, and reports all that is wrong with it.
func (a *ACMEConfig) resolve() error {
	a.config = acme.Config{}
	if len(a.Domains) == 0 {
		return nil
	}
	var errs []error
	fail := func(key string, err error, hint string) {
		if err != nil {
			errs = append(errs, &conf.Problem{Key: key, Err: err, Hint: hint})
		}
	}
	var texts []string
	for _, text := range a.Domains {
		texts = append(texts, conf.Words(text)...)
	}
	names, err := acme.ParseNames(texts)
	fail(keyACMEDomains, err, "")
	directory, staging, err := acme.ParseDirectory(a.Directory)
	fail(keyACMEDir, err, "")
	if !slices.Contains([]string{"", acme.TLSALPN01, acme.HTTP01}, a.Challenge) {
		fail(keyACMEBy, fmt.Errorf("%q is neither %s nor %s", a.Challenge, acme.TLSALPN01, acme.HTTP01), "")
	}
	if !a.Agree {
		fail(keyACMEAgree, errors.New("the authority's terms must be agreed to"), "read them, and give acme_agree 1")
	}
	if a.Storage == "" {
		fail(keyACMEStorage, errors.New("it is missing: certificates and the account's key are kept there"), "give a directory that belongs to who starts the server, such as /var/lib/netserver/acme")
	}
	if strings.ContainsAny(a.Email, " ,<>\r\n\x00") || a.Email != "" && !strings.Contains(a.Email, "@") {
		fail(keyACMEEmail, fmt.Errorf("%q is no address such as ops@example.com", a.Email), "")
	}
	if (a.EABKeyID == "") != (a.EABKeyFile == "") {
		fail(keyACMEKeyID, errors.New("it and acme_eab_key_file belong together"), "")
	}
	if len(errs) == 0 {
		a.config = acme.Config{Names: names, Email: a.Email, Directory: directory, Staging: staging,
			CAFile: a.CAFile, Storage: filepath.Clean(a.Storage), Challenge: cmp.Or(a.Challenge, acme.TLSALPN01), KID: a.EABKeyID, KeyFile: a.EABKeyFile}
	}
	return errors.Join(errs...)
}

// useACME has TLS ports serve what is ordered, and ports of HTTP answer.
func (c *Config) useACME(library bool) error {
	err := errors.Join(c.ACME.resolve(), c.answerByHTTP(library))
	if err == nil && !c.ACME.config.Zero() && c.Server.TLS.CertDir == "" {
		c.Server.TLS.CertDir = acme.CertificateDir(c.ACME.config.Storage)
	}
	if err != nil {
		c.withoutACME()
	}
	return err
}

// byHTTP reports whether the authority looks by HTTP.
func (c *Config) byHTTP() bool { return !c.ACME.config.Zero() && c.ACME.config.Kind() == acme.HTTP01 }

// answerByHTTP makes room for the answers, and refuses to order where nobody
// would give them.
func (c *Config) answerByHTTP(library bool) error {
	if !c.byHTTP() {
		return nil
	}
	if library {
		if c.ACME.Answers != nil {
			return nil
		}
		return &conf.Problem{Key: keyACMEBy, Err: errors.New("http-01 is answered by HTTP, and this program does not say that it does so"), Hint: "set Config.ACME.Answers, and put its Handler around what serves HTTP"}
	}
	// Processes that serve no clients have a plan without ports.
	if any, _ := c.services.AnswersHTTP(); !any && len(c.Server.Ports) > 0 {
		return &conf.Problem{Key: keyACMEBy, Err: errors.New("http-01 is answered by HTTP, and no port here serves that"), Hint: "add a [[listen]] with port = 80 and http_redirect = 443, or give http_root, app or http to one"}
	}
	c.ACME.Answers = new(challenge.Answers)
	return nil
}

// withoutACME keeps ports from missing the certificates that would be ordered if
// what has been said were right.
func (c *Config) withoutACME() {
	tls := &c.Server.TLS
	if tls.CertDir = ""; tls.CertFile == "" && len(tls.CertFiles) == 0 {
		tls.CertFile = tlsparams.ForceSelfSigned
	}
}

// prepareACME makes what ports are to serve at once. With --check nothing is
// made, and env has what would be.
func (c *Config) prepareACME(env *tlsparams.Env) error {
	a := &c.ACME.config
	if a.Zero() {
		return nil
	}
	storage := func(err error) error {
		if err == nil {
			return nil
		}
		return &conf.Problem{Key: keyACMEStorage, Err: fmt.Errorf("%s %w", a.Storage, err)}
	}
	dir := c.Server.TLS.CertDir
	if dir == "" {
		return nil // there is no TLS port, as has been said
	}
	if dir != acme.CertificateDir(a.Storage) {
		return &conf.Problem{Key: keyACMEDomains, Err: fmt.Errorf("SSL_cert_dir %s and acme_domains both say which certificates are served", dir), Hint: "give SSL_cert_dir to single ports only"}
	}
	if err := a.CheckFiles(); err != nil {
		return err
	}
	if !c.check.on {
		return storage(acme.Prepare(a.Storage, a.Names, time.Now()))
	}
	missing, err := acme.Missing(a.Storage, a.Names, time.Now())
	if err != nil {
		return storage(err)
	}
	read := env.ReadFile
	env.ReadFile = func(path string) ([]byte, error) {
		if text, ok := missing[path]; ok {
			return slices.Clone(text), nil
		}
		return read(path)
	}
	env.ReadDir = func(dir string) ([]tlsparams.Entry, error) {
		list, err := tlsparams.ReadDir(dir)
		if dir != acme.CertificateDir(a.Storage) || len(missing) == 0 {
			return list, err
		}
		for path := range maps.Keys(missing) {
			list = append(list, tlsparams.Entry{Name: filepath.Base(path)})
		}
		return list, nil
	}
	return nil
}

// warnACME returns what somebody should look at.
func (p *program) warnACME() (warnings []string) {
	a := &p.conf.ACME.config
	if a.Zero() {
		return nil
	}
	served, at443 := false, false
	for _, t := range proto.Sources(p.transports) {
		served = served || t.Params().CertDir == acme.CertificateDir(a.Storage)
	}
	for _, spec := range p.conf.Server.Ports {
		at443 = at443 || spec.Kind() == "ssl" && spec.Port == "443"
	}
	if !served {
		warnings = append(warnings, "acme_domains: every TLS port has an SSL_cert_dir of its own, so that none serves these certificates")
	}
	if c := p.conf; c.byHTTP() {
		if _, at80 := c.services.AnswersHTTP(); !at80 && !p.library {
			warnings = append(warnings, "acme_domains: no port without TLS that serves HTTP is 80, to which the authority connects: something has to pass that on to one that serves HTTP, or send it on to https")
		}
	} else if !at443 {
		warnings = append(warnings, "acme_domains: no TLS port is 443, to which the authority connects: something has to pass that on to one of them, as it is")
	}
	return warnings
}

// runACME orders certificates in a process that serves alone, until the
// returned function is called.
func (p *program) runACME(log *slog.Logger, ts []proto.Transport, share *sharing) (end func()) {
	if p.conf.ACME.config.Zero() {
		return func() {}
	}
	r := acme.Start(p.conf.ACME.config, &p.orders, log, func(_ context.Context, all []wire.Challenge) error {
		return wire.SetChallenges(proto.Sources(ts), p.conf.ACME.Answers, all)
	}, share.certificates(), nil)
	return func() { r.Cancel(); <-r.Done() }
}
