package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"netserver/access"
	"netserver/conf"
	"netserver/daemon/internal/serving"
	"netserver/daemon/internal/wire"
	"netserver/internal/childproc"
	"netserver/internal/identity"
)

// A lack is something that the serving user is not allowed to do.
type lack struct {
	what  string // "cannot execute /x/y: why"
	fatal bool   // clients could not be served, or the start would fail
}

// A servingUser is the user that serves the clients, with its rights to files.
type servingUser struct{ identity.FileRights }

// preflight checks, before a port is opened, that the serving user can do what
// the configuration needs. Root never takes that user's place by itself: one
// wrong mode of a directory would make a program on the network root's. If the
// user was chosen, a lack that is certain to matter is an error and any other a
// warning. If it is nobody by default, both are errors.
func (p *program) preflight() error {
	a := p.conf.identity.Account
	if a == nil && p.conf.identity.Chroot == "" {
		return nil
	}
	user := identity.Account{User: "root", Groups: []int{os.Getegid()}}
	if a != nil {
		user = *a
	}
	chosen := a == nil || p.conf.Process.User != ""
	root := p.lacks(identity.Account{}) // what root could not do either
	p.warnOfNamesInChroot()
	var errs []error
	for _, o := range p.lacks(user) {
		switch {
		case !chosen && o.fatal && slices.Contains(root, o):
			errs = append(errs, errors.New(o.what))
		case !chosen && o.fatal:
			errs = append(errs, &conf.Problem{Err: fmt.Errorf("user %s, who serves the clients when root starts the server, %s", user.User, o.what),
				Hint: "give that user the right, or say --user NAME (--user root, if root is to serve)"})
		case !chosen:
			errs = append(errs, &conf.Problem{Err: fmt.Errorf("user %s, who serves the clients when root starts the server, %s", user.User, o.what),
				Hint: "give that user the right, or say --user NAME (--user root, if root is to serve; --user nobody, if it does not matter)"})
		case o.fatal:
			errs = append(errs, &conf.Problem{Key: "user", Err: fmt.Errorf("%s %s", user.User, o.what)})
		default:
			p.warnings = append(p.warnings, fmt.Sprintf("user %s %s", user.User, o.what))
		}
	}
	return errors.Join(errs...)
}

// warnOfNamesInChroot warns of name look-ups in a root directory without the
// files that configure them.
func (p *program) warnOfNamesInChroot() {
	root := p.conf.identity.Chroot
	if root == "" {
		return
	}
	missing := func(path string) bool {
		_, err := os.Stat(filepath.Join(root, path))
		return err != nil
	}
	if !missing("/etc/resolv.conf") {
		return
	}
	given := p.res.Given()
	add := func(what string) {
		p.warnings = append(p.warnings, fmt.Sprintf("%s: names are looked up, but %s has no etc/resolv.conf: they are asked of 127.0.0.1 port 53, beside etc/hosts; put a copy there, and renew it with the system's own", what, root))
	}
	for _, to := range p.targets() {
		if wire.IsName(to.Address) {
			add(to.Key + " " + to.Address)
		}
	}
	for _, f := range p.targetsFiles() {
		add(serving.KeyTargetsFile + " " + f)
	}
	for _, key := range wire.LookupKeys() {
		if text := given.Get(key); text != "" && text != "0" && text != "off" {
			add(key)
		}
	}
}

// targets returns whom the clients are connected to, by the configuration.
func (p *program) targets() []serving.Target {
	if p.library {
		return nil
	}
	return p.conf.services.Targets()
}

// targetsFiles returns the files of targets that are in the configuration.
func (p *program) targetsFiles() []string {
	if p.library {
		return nil
	}
	return p.conf.services.TargetsFiles()
}

// lacks returns what keeps a user from serving what is configured.
func (p *program) lacks(a identity.Account) []lack {
	u := servingUser{identity.FileRights{UID: a.UID, Groups: append([]int{a.GID}, a.Groups...), Root: p.conf.Process.Chroot}}
	var list []lack
	if !p.library {
		for _, argv := range p.conf.services.Programs() {
			for _, o := range u.program(argv) {
				if !slices.Contains(list, o) { // several ports may run one program
					list = append(list, o)
				}
			}
		}
	}
	if a.UID == 0 {
		return list
	}
	if o := u.ownProgram(); o != nil {
		list = append(list, *o)
	}
	list = append(list, p.unreadable(u)...)
	for _, to := range p.targets() {
		if o := u.backend(to.Address); o != nil {
			list = append(list, *o)
		}
	}
	return list
}

// ownProgram returns what keeps the user from executing the server's own
// program. It gets that file open: the directories above it do not matter.
func (u servingUser) ownProgram() *lack {
	name, err := os.Executable()
	if err != nil {
		return nil
	}
	info, err := os.Stat(name)
	if err != nil || (identity.FileRights{UID: u.UID, Groups: u.Groups}).Allows(name, info, identity.WantExecute) {
		return nil
	}
	return &lack{what: fmt.Sprintf("cannot execute the server's own program %s: its mode is %v", name, info.Mode()), fatal: true}
}

// program returns what keeps the user from running argv.
func (u servingUser) program(argv []string) []lack {
	path, err := u.find(argv[0])
	if err != nil {
		return []lack{{what: fmt.Sprintf("cannot execute %s: %v", argv[0], err), fatal: true}}
	}
	var list []lack
	if err := u.canRun(path); err != nil {
		list = append(list, lack{what: fmt.Sprintf("cannot execute %s: %v", path, err), fatal: true})
	}
	for _, arg := range argv[1:] {
		if o := u.argument(arg); o != nil {
			list = append(list, *o)
		}
	}
	return list
}

// find returns the absolute path of a program, which may be searched for in
// $PATH, in the user's root directory.
func (u servingUser) find(name string) (string, error) {
	if u.Root == "" || strings.Contains(name, "/") {
		path := name
		if u.Root == "" {
			var err error
			if path, err = osexec.LookPath(name); err != nil {
				return "", notFound(name)
			}
			return filepath.Abs(path)
		}
		return filepath.Join("/", path), nil // the working directory is the root
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		path := filepath.Join("/", dir, name)
		if u.Can(path, identity.WantExecute) == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("it is not found in $PATH below %s", u.Root)
}

// notFound says where a program was looked for.
func notFound(name string) error {
	if strings.Contains(name, "/") {
		return errors.New("it is not found")
	}
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
		return fmt.Errorf("it is not found in $PATH; write ./%s for the one in this directory", name)
	}
	return errors.New("it is not found in $PATH")
}

// canRun returns why the user cannot execute a file or its interpreter.
func (u servingUser) canRun(path string) error { return u.canRunAt(path, 0) }

// maxInterpreters is how many files may run one another: the kernel's own limit.
const maxInterpreters = 5

func (u servingUser) canRunAt(path string, depth int) error {
	if err := u.Can(path, identity.WantExecute); err != nil {
		return u.explain(err)
	}
	interpreter, script := u.interpreter(path)
	if interpreter == "" || depth == maxInterpreters {
		return nil
	}
	what := "its loader"
	if script {
		what = "its interpreter"
		if err := u.Can(path, identity.WantRead); err != nil {
			return err
		}
	}
	if err := u.canRunAt(interpreter, depth+1); err != nil {
		return fmt.Errorf("%s %s: %w", what, interpreter, err)
	}
	return nil
}

// explain says where a file is missing.
func (u servingUser) explain(err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if u.Root == "" {
		return errors.New("there is no such file")
	}
	return fmt.Errorf("there is no such file below the root directory %s", u.Root)
}

// interpreter returns what runs a program: what a script's first line names, or
// what loads its shared libraries.
func (u servingUser) interpreter(path string) (name string, script bool) {
	f, err := u.open(path)
	if err != nil {
		return "", false
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", false
	}
	return childproc.InterpreterOf(f)
}

// open opens a file to read it; none through a link that leads out of the root
// directory. It does not wait for the other end of a named pipe.
func (u servingUser) open(path string) (*os.File, error) {
	const flag = os.O_RDONLY | syscall.O_NONBLOCK
	if u.Root == "" {
		return os.OpenFile(path, flag, 0)
	}
	root, err := os.OpenRoot(u.Root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.OpenFile(strings.TrimPrefix(filepath.Clean(path), "/"), flag, 0)
}

// argument returns what keeps the user from a file or directory that an
// argument of the program names, as "FILE" or "--key=FILE".
func (u servingUser) argument(arg string) *lack {
	names := []string{arg}
	if _, value, ok := strings.Cut(arg, "="); ok {
		names = append(names, value)
	}
	for _, name := range names {
		path := u.absolute(name)
		if path == "" {
			continue
		}
		want := uint32(identity.WantRead)
		info, err := os.Stat(filepath.Join("/", u.Root, path))
		switch {
		case err != nil || !info.Mode().IsRegular() && !info.IsDir():
			continue
		case info.IsDir():
			want = identity.WantRead | identity.WantExecute
		}
		if err := u.Can(path, want); err != nil {
			return &lack{what: fmt.Sprintf("cannot read %s, an argument of the program: %v", path, err)}
		}
	}
	return nil
}

// absolute returns the path that a name means to the program, "" for none.
func (u servingUser) absolute(name string) string {
	switch {
	case name == "" || strings.ContainsAny(name, "\n\x00"):
		return ""
	case strings.HasPrefix(name, "/"):
		return name
	case u.Root != "":
		return "/" + name
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return ""
	}
	return path
}

// backend returns what keeps the user from the socket of a target.
func (u servingUser) backend(target string) *lack {
	path := strings.TrimPrefix(target, "unix:")
	if !strings.HasPrefix(path, "/") {
		return nil
	}
	if err := u.Can(path, identity.WantWrite); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &lack{what: fmt.Sprintf("cannot connect to %s: %v", path, err), fatal: true}
	}
	return nil
}

// unreadable returns the files that the serving processes have to read
// themselves and cannot.
func (p *program) unreadable(u servingUser) []lack {
	var list []lack
	check := func(key, path, why string) {
		if err := u.Can(path, identity.WantRead); err != nil {
			list = append(list, lack{what: fmt.Sprintf("cannot read %s %s%s: %v", key, path, why, u.explain(err)), fatal: true})
		}
	}
	whole := identity.FileRights{UID: u.UID, Groups: u.Groups}
	for _, path := range p.files.names() {
		abs, err := filepath.Abs(path)
		// A file that the user could exchange is not read for it by root.
		if err == nil && whole.MayReplace(abs) {
			check("the file", abs, " (which it could exchange, so that root does not read it)")
		}
	}
	for _, f := range p.ruleFiles() {
		if path := u.absolute(f.path); path != "" {
			check(f.key, path, "")
		}
	}
	for _, f := range p.targetsFiles() {
		if path := u.absolute(f); path != "" {
			check(serving.KeyTargetsFile, path, "")
		}
	}
	if !p.library {
		for _, dir := range p.conf.services.WebRoots() {
			if path := u.absolute(dir); path != "" {
				if err := u.Can(path, identity.WantExecute); err != nil { // a list of its names is not needed
					list = append(list, lack{what: fmt.Sprintf("cannot serve %s %s: %v", serving.KeyRoot, path, u.explain(err)), fatal: true})
				}
			}
		}
	}
	return append(list, p.passwords(u)...)
}

// A ruleFile is a file of access rules, and the key that names it.
type ruleFile struct{ key, path string }

// ruleFiles returns the files of access rules of the server and of each port,
// once.
func (p *program) ruleFiles() (list []ruleFile) {
	add := func(r *access.Rules) {
		for _, f := range []struct {
			key  string
			vals []conf.Value
		}{{"allow_file", r.AllowFile}, {"deny_file", r.DenyFile}, {"cidr_allow_file", r.CIDRAllowFile}, {"cidr_deny_file", r.CIDRDenyFile}} {
			for _, v := range f.vals {
				if one := (ruleFile{f.key, v.Text}); !slices.Contains(list, one) {
					list = append(list, one)
				}
			}
		}
	}
	add(&p.conf.Server.Access.Rules)
	for _, spec := range p.conf.Server.Ports {
		if r, own := p.engine().RulesOf(spec); own {
			add(&r)
		}
	}
	return list
}

// passwords returns what keeps the user from the commands that print the
// passwords of key files.
func (p *program) passwords(u servingUser) []lack {
	const key = "SSL_passwd_command"
	if isolated, _, _ := p.isolation(); isolated {
		return nil // the supervisor runs them
	}
	seen := make(map[string]bool)
	var list []lack
	for _, s := range p.conf.Server.Ports {
		command := s.Params.Get(key)
		if command == "" {
			command = p.res.Given().Get(key)
		}
		argv := strings.Fields(command)
		if !s.IsTLS() || len(argv) == 0 || seen[command] {
			continue
		}
		seen[command] = true
		for _, o := range u.program(argv) {
			list = append(list, lack{what: key + ": " + o.what, fatal: o.fatal})
		}
	}
	return list
}
