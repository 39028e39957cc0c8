package tlsparams

import (
	"errors"
	"slices"
	"time"

	"netserver/internal/certfile"
	"netserver/internal/watch"
)

// Reload reads the files again. With paths, only what depends on one of them;
// without, everything. What is good is used from now on for new handshakes,
// each certificate for itself; what is not is left as it was, logged, and stated
// in the error and in Status. Sessions and connections go on.
func (s *Source) Reload(paths ...string) error { return s.reload(true, paths) }

// TryReload is Reload for the first of two attempts: what is wrong is returned
// and neither logged nor kept, as the files may be half written.
func (s *Source) TryReload(paths ...string) error { return s.reload(false, paths) }

// reload is Reload. Unless it is final, errors are returned only: the files
// may be half written, and the next look finds them whole.
func (s *Source) reload(final bool, paths []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	touched := watch.Touches(paths)
	s.final = final
	var errs []error
	rearrange := s.reloadSlots(touched, &errs)
	trustChanged := s.reloadTrust(touched, &errs)
	if slices.ContainsFunc(s.p.TicketKeyFiles, touched) {
		errs = append(errs, s.keep("SSL_ticket_key_file", s.loadTicketKeys()))
	}
	if s.p.StapleFile != "" && (touched(s.p.StapleFile) || s.stapled.stale(s.named)) {
		errs = append(errs, s.keep("SSL_ocsp_staple_file", s.loadStapleFile()))
	}
	if rearrange || trustChanged != nil {
		g := s.cur.Load()
		table, sites := g.certs, g.bySite
		if rearrange {
			table, _ = s.table()
		}
		if trustChanged != nil {
			sites = trustChanged
		}
		s.cur.Store(s.newGeneration(table, sites))
	}
	if trustChanged != nil {
		s.announce()
	}
	return errors.Join(errs...)
}

// reloadSlots reads the certificates that are touched. It tells whether the
// table of names has to be made again.
func (s *Source) reloadSlots(touched func(string) bool, errs *[]error) bool {
	rearrange := false
	if s.p.CertDir != "" && touched(s.p.CertDir) {
		rearrange = s.rescan(errs)
	}
	for _, sl := range s.slots() {
		// With another password what could not be decrypted may be good.
		if sl.files.Cert == "" || !touched(sl.files.Cert) && !touched(sl.files.Key) && !touched(s.p.PasswdFile) {
			continue
		}
		before := sl.cur.Load()
		changed, err := sl.load(s.pairs(), &s.share, s.env.now())
		if err != nil {
			err = s.fileError(sl.key, err)
			*errs = append(*errs, err)
		}
		s.record(sl, err)
		if !changed {
			continue
		}
		s.noteReplaced()
		after := sl.cur.Load()
		s.env.log().Info("certificate replaced", "port", s.env.port(), "file", sl.files.Cert,
			"subject", certfile.Name(after.Leaf), "expires", after.Leaf.NotAfter, "fingerprint", fingerprint(after.Leaf.Raw))
		s.logAuthority(sl)
		if reason := large(after); reason != "" {
			s.env.log().Warn(s.p.fail("", sl.key, sl.files.Cert, reason, nil).Error(), "port", s.env.port())
		}
		if isECDSA(before) != isECDSA(after) || sl.key == "SSL_cert_dir" || !sameAddrs(before.Leaf, after.Leaf) {
			rearrange = true
		}
	}
	return rearrange
}

// noteReplaced has a new certificate's OCSP response fetched at once.
func (s *Source) noteReplaced() {
	select {
	case s.replaced <- struct{}{}:
	default:
	}
}

// record keeps why a slot's newest contents are not served, and logs it once.
func (s *Source) record(sl *slot, err error) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	if err != nil && !s.final {
		return
	}
	if err == nil {
		sl.err, sl.errAt = "", time.Time{}
		return
	}
	if sl.err != err.Error() {
		s.env.log().Error("new certificate refused, the old one stays", "port", s.env.port(),
			"error", err, "serving", certfile.Name(sl.cur.Load().Leaf), "expires", sl.cur.Load().Leaf.NotAfter)
	}
	sl.err, sl.errAt = err.Error(), s.env.now()
}

// keep notes why newer contents of the files of a parameter do not count, and
// logs it once. It returns err.
func (s *Source) keep(key string, err error) error {
	switch {
	case err == nil:
		delete(s.refused, key)
	case s.final:
		if s.refused == nil {
			s.refused = make(map[string]string)
		}
		if s.refused[key] != err.Error() {
			s.env.log().Error("new file refused, what was read before stays", "port", s.env.port(), "error", err)
		}
		s.refused[key] = err.Error()
	}
	return err
}

func (s *Source) logFinal(msg string, args ...any) {
	if s.final {
		s.env.log().Error(msg, args...)
	}
}

// rescan looks for new and vanished certificates in the directory. A vanished
// one is served until the process ends or another takes its names: a directory
// that is gone for a moment must not end service.
func (s *Source) rescan(errs *[]error) bool {
	found, err := s.loader().Scan(s.p.CertDir)
	if err != nil {
		err = s.fileError("SSL_cert_dir", err)
	}
	if s.keep("SSL_cert_dir", err) != nil {
		*errs = append(*errs, err)
		return false
	}
	have := make(map[certfile.Files]bool)
	for _, sl := range s.fromDir {
		have[sl.files] = true
	}
	grown := false
	for _, f := range found {
		if have[f] {
			continue
		}
		sl, err := s.fileSlot("SSL_cert_dir", f)
		if err != nil {
			*errs = append(*errs, err)
			s.logFinal("new certificate refused", "port", s.env.port(), "error", err)
			continue
		}
		sl.since = s.env.now()
		s.fromDir = append(s.fromDir, sl)
		s.env.log().Info("certificate added", "port", s.env.port(), "file", f.Cert, "subject", certfile.Name(sl.cur.Load().Leaf))
		s.logAuthority(sl)
		s.noteReplaced()
		grown = true
	}
	return s.dropVanished(found) || grown
}

// dropVanished removes slots whose files are gone from a directory that still
// holds others.
func (s *Source) dropVanished(found []certfile.Files) bool {
	n := len(s.fromDir)
	there := make(map[certfile.Files]bool, len(found))
	for _, f := range found {
		there[f] = true
	}
	s.fromDir = slices.DeleteFunc(s.fromDir, func(sl *slot) bool {
		gone := !there[sl.files]
		if gone {
			s.env.log().Info("certificate removed", "port", s.env.port(), "file", sl.files.Cert)
		}
		return gone
	})
	return len(s.fromDir) != n
}

// reloadTrust makes the sites again if one of their files is touched. It
// returns nil if nothing about them has changed, or if they cannot be made.
func (s *Source) reloadTrust(touched func(string) bool, errs *[]error) map[string]*site {
	g := s.cur.Load()
	any := false
	for _, st := range g.bySite {
		any = any || slices.ContainsFunc(st.files, touched)
	}
	if !any {
		return nil
	}
	sites, warnings, err := s.loadSites(g.bySite)
	if err != nil {
		*errs = append(*errs, err)
		if s.final && s.trustErr != err.Error() {
			s.logFinal("new trust files refused, the old ones stay", "port", s.env.port(), "error", err)
		}
		if s.final {
			s.trustErr = err.Error()
		}
		return nil
	}
	s.trustErr = ""
	s.warnAgain(warnings)
	for pattern, st := range sites {
		if st.digest != g.bySite[pattern].digest {
			s.env.log().Info("trust files replaced", "port", s.env.port(), "for", st.describe())
			return sites
		}
	}
	return nil
}

// warnAgain logs what has to be warned of since the files were read before.
func (s *Source) warnAgain(warnings []string) {
	for _, w := range warnings {
		if !slices.Contains(s.trustWarnings, w) {
			s.env.log().Warn(w, "port", s.env.port())
		}
	}
	s.trustWarnings = warnings
}

// TrustError returns why newer contents of authority or revocation files do
// not count, or "".
func (s *Source) TrustError() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trustErr
}

// Files returns the files and directories that the Source depends on, for a
// process that follows them in its place.
func (s *Source) Files() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files()
}

func (s *Source) files() []string {
	var out []string
	add := func(f string) {
		if f != "" && f != ForceSelfSigned && !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	add(s.p.CertDir)
	add(s.p.PasswdFile)
	add(s.p.StapleFile)
	for _, f := range s.p.TicketKeyFiles {
		add(f)
	}
	for _, st := range s.cur.Load().bySite {
		for _, f := range st.files {
			add(f)
		}
	}
	seen := make(map[string]bool)
	for _, sl := range s.slots() {
		for _, f := range []string{sl.files.Cert, sl.files.Key} {
			if f != "" && !seen[f] {
				seen[f] = true
				out = append(out, f)
			}
		}
	}
	return out
}
