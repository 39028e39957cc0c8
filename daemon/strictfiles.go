package daemon

import (
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strings"

	"netserver/conf"
	"netserver/daemon/internal/clustering"
	"netserver/daemon/internal/serving"
	"netserver/internal/identity"
	"netserver/internal/place"
	"netserver/proto"
)

const keyStrictFiles = "strict_files"

// A trustedFile is one that decides what the server does.
type trustedFile struct {
	key, path string
	served    bool // only the serving user uses it, who may own it
	secret    bool // others must not read it either
}

// strictFiles looks for files that others than root and the user who starts the
// server could change: through them they could make root do anything. With
// strict_files such files are refused; without it root is warned.
func (p *program) strictFiles() error {
	strict := p.conf.Process.StrictFiles
	if !strict && !identity.IsRoot() {
		return nil
	}
	var errs []error
	found := 0
	for _, f := range p.trustedFiles() {
		why := p.loose(f)
		if why == "" {
			continue
		}
		switch found++; {
		case found > maxLoose:
		case strict:
			errs = append(errs, &conf.Problem{Key: keyStrictFiles, Err: fmt.Errorf("%s %s %s", f.key, f.path, why)})
		default:
			p.warnings = append(p.warnings, fmt.Sprintf("%s %s %s (%s 1 refuses that)", f.key, f.path, why, keyStrictFiles))
		}
	}
	if more := found - maxLoose; more > 0 && strict {
		errs = append(errs, &conf.Problem{Key: keyStrictFiles, Err: fmt.Errorf("%d more files are affected", more)})
	} else if more > 0 {
		p.warnings = append(p.warnings, fmt.Sprintf("%d more files are affected", more))
	}
	return errors.Join(errs...)
}

// maxLoose is how many files are named: there may be many in a directory.
const maxLoose = 20

// loose says who else could change or read a file; "" is nobody.
func (p *program) loose(f trustedFile) string {
	var also []int
	if a := p.conf.identity.Account; a != nil && f.served {
		also = []int{a.UID}
	}
	if err := place.Unwritable(f.path, also...); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "can be changed by others: " + err.Error()
	}
	if f.secret && place.OthersRead(f.path) {
		return fmt.Sprintf("can be read by every user: chmod o-r %s", f.path)
	}
	return ""
}

// trustedFiles lists each file once, by its absolute path.
func (p *program) trustedFiles() []trustedFile {
	var list []trustedFile
	seen := make(map[string]bool)
	add := func(key, path string, served, secret bool) {
		abs, err := filepath.Abs(path)
		if path == "" || err != nil || seen[abs] {
			return
		}
		seen[abs] = true
		list = append(list, trustedFile{key, abs, served, secret})
	}
	command := func(key string, argv []string, served bool) {
		if len(argv) == 0 {
			return
		}
		path, err := osexec.LookPath(argv[0])
		if err != nil {
			return // which is an error already
		}
		add(key, path, served, false)
		interpreter, _ := servingUser{}.interpreter(path)
		add(key+": the interpreter", interpreter, served, false)
		for _, arg := range argv[1:] {
			// A script is the program, as much as what runs it.
			if info, err := os.Stat(arg); err == nil && info.Mode().IsRegular() {
				add(key+": the argument", arg, served, false)
			}
		}
	}
	add("conf_file", p.conf.confFile, false, false)
	if name, err := os.Executable(); err == nil {
		add("the server's own program", name, false, false)
	}
	for _, s := range proto.Sources(p.transports) {
		for _, f := range s.Params().Secrets() {
			add("the secret", f, false, true)
		}
		for _, c := range s.Status() {
			add("the key", c.KeyFile, false, true)
		}
	}
	for _, s := range p.made.Outbound {
		f := s.Params().Files()
		if f.KeyFile == "" {
			add("the key", f.CertFile, false, true)
		}
		for _, name := range f.Secrets() {
			add("the secret", name, false, true)
		}
	}
	for _, f := range p.files.names() {
		add("the file", f, false, false)
	}
	add(keyACMECAFile, p.conf.ACME.CAFile, false, false)
	add("the secret", p.conf.ACME.EABKeyFile, false, true)
	add(clustering.KeyFile, p.conf.cluster.KeyFile, false, true)
	add(clustering.KeyPassword, p.conf.cluster.PasswordFile, false, true)
	add(clustering.KeyCA, p.conf.cluster.CAFile, false, false)
	add(clustering.KeyCert, p.conf.cluster.CertFile, false, true)
	for _, f := range p.ruleFiles() {
		add(f.key, f.path, true, false)
	}
	for _, f := range p.targetsFiles() {
		add(serving.KeyTargetsFile, f, true, false)
	}
	if p.conf.Process.Chroot == "" {
		for _, argv := range p.conf.services.Programs() {
			command("the program", argv, true)
		}
		command("dequeue_command", p.conf.Jobs.Command, true)
	}
	command("access_log_file", p.conf.logging().AccessProgram(), false)
	commands := []string{p.res.Given().Get("SSL_passwd_command")}
	for _, s := range p.conf.Server.Ports {
		commands = append(commands, s.Params.Get("SSL_passwd_command"))
	}
	for _, c := range commands {
		command("SSL_passwd_command", strings.Fields(c), false)
	}
	slices.SortStableFunc(list, func(a, b trustedFile) int { return strings.Compare(a.path, b.path) })
	return list
}
