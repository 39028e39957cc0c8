package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"netserver/conf"
	"netserver/internal/certfile"
	"netserver/internal/watch"
	"netserver/tlsparams"
	"netserver/tlsparams/internal/cipherlist"
	"netserver/tlsparams/internal/protocol"
	"netserver/tlsparams/internal/trust"
)

// A Source gives the *tls.Config of each connection to a server, and keeps it up
// to date while Run runs. It is safe for concurrent use.
type Source struct {
	p        Params
	env      tlsparams.Env
	versions protocol.Versions
	suites   []uint16
	curves   []tls.CurveID
	pins     trust.Allow
	read     tlsparams.PairFunc
	cur      atomic.Pointer[generation]

	mu       sync.Mutex // held while files are read
	digest   [32]byte   // of the files of the certificate in use
	span     certfile.Span
	warned   int               // days before the certificate's end that were last warned of
	refused  map[string]string // why newer files do not count, by what they are for
	warnings []string
}

// Open loads and checks everything that p names. Of env it looks at Where, which
// says in messages what p is for, and at what says how files are read, Log and
// Now. The error joins a *conf.Problem for each thing that is wrong. A Source
// needs no closing.
func (p Params) Open(env tlsparams.Env) (*Source, error) {
	s := &Source{p: p, env: env, refused: make(map[string]string)}
	if env.Log == nil {
		s.env.Log = slog.New(slog.DiscardHandler)
	}
	if env.Now == nil {
		s.env.Now = time.Now
	}
	errs := append(p.check(), s.parse()...)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if s.read = env.Pair; s.read == nil {
		s.read = p.Files().ClientPairs(&env)
	}
	g := s.newGeneration()
	errs = append(errs, s.loadTrust(g), s.loadCert(g))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s.cur.Store(g)
	s.checkAtStart(g)
	return s, nil
}

// parse reads what names no file.
func (s *Source) parse() []error {
	p := &s.p
	var errs []error
	bad := func(key, reason string) {
		if reason != "" {
			errs = append(errs, &conf.Problem{Key: key, Err: errors.New(reason)})
		}
	}
	var reason string
	s.versions, reason = versions(p.Version)
	bad("backend_version", reason)
	s.curves, reason = protocol.ParseCurves(p.Curves)
	bad("backend_curves", reason)
	bad("backend_alpn", protocol.CheckALPN(p.ALPN))
	s.suites = cipherlist.Default(s.versions&protocol.OldVersions != 0)
	if p.CipherList != "" {
		var err error
		if s.suites, err = cipherlist.Parse(p.CipherList); err != nil {
			bad("backend_cipher_list", err.Error())
		}
	}
	for _, pin := range p.Pins {
		if err := s.pins.Add(trust.KindSPKI, pin); err != nil {
			bad("backend_pin", err.Error())
		}
	}
	return errs
}

// checkAtStart notes what is allowed but deserves a line in the log.
func (s *Source) checkAtStart(g *generation) {
	warn := func(format string, args ...any) {
		s.warnings = append(s.warnings, s.prefix()+fmt.Sprintf(format, args...))
	}
	if s.p.Unverified {
		warn("backend_verify 0: whoever answers in a target's place is believed, and can read and change what clients send; give backend_ca_file or backend_pin instead")
	}
	if s.versions&protocol.OldVersions != 0 {
		warn("backend_version %s allows TLS 1.0 or 1.1, which are obsolete and insecure", s.p.Version)
	}
	if g.cert != nil {
		if reason := s.span.At(s.env.Now()); reason != "" {
			warn("backend_cert_file %s %s", s.p.CertFile, reason)
		}
	}
}

func (s *Source) prefix() string {
	if s.env.Where == "" {
		return ""
	}
	return s.env.Where + ": "
}

// Warnings returns what was found at start that is allowed but deserves a line
// in the log.
func (s *Source) Warnings() []string { return slices.Clone(s.warnings) }

// LogTo has what happens to files told to log. It must be called before Run.
func (s *Source) LogTo(log *slog.Logger) { s.env.Log = log }

// Params returns what the Source was made from.
func (s *Source) Params() Params { return s.p }

// fileError says which parameter names the file that cannot be used.
func (s *Source) fileError(key string, err error) error {
	var fe *certfile.Error
	if errors.As(err, &fe) {
		if key == "backend_cert_file" && fe.Role == certfile.RoleKey {
			key = "backend_key_file"
		}
		// The readers serve both sides, whose keys differ in this.
		return &conf.Problem{Key: key, Err: fmt.Errorf("%s %s", fe.File, strings.ReplaceAll(fe.Reason, "SSL_", "backend_"))}
	}
	return &conf.Problem{Key: key, Err: err}
}

// files returns every file and directory that the parameters name.
func (s *Source) files() []string {
	p := &s.p
	list := slices.Concat(p.CAFiles, p.CAPath, p.CRLFiles)
	for _, f := range []string{p.CertFile, p.KeyFile, p.PasswdFile} {
		if f != "" {
			list = append(list, f)
		}
	}
	return list
}

// TryReload is Reload for the first of two attempts: what is wrong is returned
// and neither logged nor kept, as the files may be half written.
func (s *Source) TryReload(paths ...string) error { return s.reload(false, paths) }

// Reload reads the files again. With paths, only if one of them is concerned.
// What is good is used from now on for new connections, what is not is left as
// it was and logged. Sessions from before are not resumed once something has
// changed.
func (s *Source) Reload(paths ...string) error { return s.reload(true, paths) }

func (s *Source) reload(final bool, paths []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if touched := watch.Touches(paths); !slices.ContainsFunc(s.files(), touched) {
		return nil
	}
	old := s.cur.Load()
	g := s.newGeneration()
	g.anchors, g.cert = old.anchors, old.cert
	trustErr := s.keep(final, "authorities", s.loadTrust(g))
	certErr := s.keep(final, "certificate", s.loadCert(g))
	if g.cert != old.cert || g.anchors != old.anchors {
		s.cur.Store(g)
	}
	return errors.Join(trustErr, certErr)
}

// keep notes why newer files are not used, and logs it once. It returns err.
func (s *Source) keep(final bool, what string, err error) error {
	switch {
	case err == nil:
		delete(s.refused, what)
	case final:
		if s.refused[what] != err.Error() {
			s.env.Log.Error("new files for TLS to targets refused, what was read before stays", "for", s.env.Where, "error", err)
		}
		s.refused[what] = err.Error()
	}
	return err
}

// loadCert reads the certificate that servers are shown.
func (s *Source) loadCert(g *generation) error {
	if s.p.CertFile == "" {
		return nil
	}
	pair, digest, err := s.read(tlsparams.Files{Cert: s.p.CertFile, Key: s.p.KeyFile}, s.digest)
	switch {
	case err != nil:
		return s.fileError("backend_cert_file", err)
	case pair == nil:
		return nil // as it was
	}
	now, span := s.env.Now(), certfile.SpanOf(pair.Chain)
	if reason := span.At(now); reason != "" && g.cert != nil && s.span.At(now) == "" {
		return &conf.Problem{Key: "backend_cert_file", Err: fmt.Errorf("%s %s", s.p.CertFile, reason)}
	}
	if g.cert != nil {
		s.env.Log.Info("certificate for targets replaced", "for", s.env.Where, "file", s.p.CertFile,
			"subject", certfile.Name(pair.Chain[0]), "expires", pair.Chain[0].NotAfter)
	}
	g.cert = (*certfile.Pair)(pair).TLS()
	s.digest, s.span, s.warned = digest, span, 0
	return nil
}

// Run follows the files of the parameters and warns before the certificate ends,
// until ctx ends. Without it a Source keeps what it has. Run it once.
func (s *Source) Run(ctx context.Context) {
	var jobs sync.WaitGroup
	defer jobs.Wait()
	if list := s.files(); len(list) > 0 && !s.env.Unfollowed {
		w := &watch.Watcher{Poll: s.env.Poll, Failed: func(dir string, err error) {
			s.env.Log.Warn("cannot watch files for changes; polling them instead", "for", s.env.Where, "directory", dir, "error", err)
		}}
		jobs.Go(func() { w.Follow(ctx, s.files, s.reload) })
	}
	s.warnOfEnd(ctx)
}

// warnEvery is how often the certificate's end is looked at.
const warnEvery = time.Hour

func (s *Source) warnOfEnd(ctx context.Context) {
	tick := time.NewTicker(warnEvery)
	defer tick.Stop()
	for {
		if line := s.ending(); line != "" {
			s.env.Log.Warn(line, "for", s.env.Where)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ending warns once 30, 7 and 1 days before the certificate ends, and after.
func (s *Source) ending() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cur.Load().cert == nil {
		return ""
	}
	left, step := s.span.To.Sub(s.env.Now()), 0
	for _, days := range []int{30, 7, 1} {
		if left <= time.Duration(days)*24*time.Hour {
			step = days
		}
	}
	if left <= 0 {
		step = -1
	}
	if step == 0 || step == s.warned {
		return ""
	}
	s.warned = step
	what := fmt.Sprintf("ends within %d days", step)
	if step < 0 {
		what = "has expired"
	}
	return fmt.Sprintf("the certificate that targets are shown, backend_cert_file %s, %s: %s", s.p.CertFile, what, s.span.To.UTC().Format(time.DateTime))
}
