package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"netserver/conf"
	"netserver/internal/foreign"
	"netserver/internal/identity"
	"netserver/proto"
	"netserver/tlsparams"
)

// isolation decides whether the supervisor keeps the private keys to itself
// and serving processes have it sign their handshakes.
func (p *program) isolation() (on bool, notes []string, err error) {
	pr := &p.conf.Process
	sources := proto.Sources(p.transports)
	id := p.conf.identity
	other := id.Account != nil && id.Account.UID != os.Geteuid()
	forced := pr.KeyIsolation == "1"
	if pr.KeyIsolation == "0" || len(sources) == 0 && !p.conf.services.Identified() || !forced && !other {
		return false, nil, nil
	}
	refuse := func(why, hint string) error {
		return &conf.Problem{Key: "key_isolation", Err: errors.New(why), Hint: hint}
	}
	if slices.ContainsFunc(sources, (*tlsparams.Source).KeysInCode) {
		if forced {
			return false, nil, refuse("certificates that the program's own code gives have their keys in every process", "give the files' names with SSL_cert_file, or set key_isolation 0")
		}
		notes = append(notes, "key_isolation: certificates that the program's own code gives have their keys in every process")
	}
	if path := plantable(p, sources); other && path != "" {
		why := fmt.Sprintf("%s is in a directory that user %s, who serves the clients, may write to: keys there cannot be kept from it", path, id.Account.User)
		if forced {
			return false, nil, refuse(why, "give the directory to another owner, or set key_isolation 0")
		}
		return false, append(notes, "key_isolation is off: "+why), nil
	}
	return true, append(notes, "private keys stay in this process; those that serve clients can have it sign TLS handshakes, and nothing else"), nil
}

// plantable returns a file of a certificate or key in whose place those who
// serve the clients could put another, or "".
func plantable(p *program, sources []*tlsparams.Source) string {
	a := p.conf.identity.Account
	if a == nil {
		return ""
	}
	var list []string
	for _, s := range sources {
		for _, c := range s.Status() {
			list = append(list, c.CertFile, c.KeyFile)
		}
		par := s.Params()
		list = append(list, par.PasswdFile)
		if par.CertDir != "" {
			list = append(list, filepath.Join(par.CertDir, "certificates"))
		}
	}
	for _, s := range p.made.Outbound {
		par := s.Params()
		list = append(list, par.CertFile, par.KeyFile, par.PasswdFile)
	}
	for _, f := range list {
		if f != "" && (identity.FileRights{UID: a.UID, Groups: a.Groups}).MayReplace(f) {
			return f
		}
	}
	return ""
}

// mayIsolate is what isolation comes to as far as the keys alone decide.
func (c *Config) mayIsolate() bool {
	id, how := c.identity, c.Process.KeyIsolation
	return how == "1" || how != "0" && id.Account != nil && id.Account.UID != os.Geteuid()
}

// outboundFiles returns what names the files of TLS to targets, in the form in
// which they are given to processes that may not read them, and keys sign for
// those.
func (c *Config) outboundFiles() (list []tlsparams.Params) {
	for _, p := range c.services.Outbound() {
		list = append(list, p.Files())
	}
	return list
}

// transparent reports whether targets are connected to from clients' addresses.
// The error says why this process cannot have that done.
func (p *program) transparent() (bool, error) {
	if !p.conf.services.Transparent() {
		return false, nil
	}
	if err := foreign.Why(); err != nil {
		return true, &conf.Problem{Key: "transparent", Err: err}
	}
	return true, nil
}
