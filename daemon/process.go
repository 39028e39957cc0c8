package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"netserver/conf"
	"netserver/internal/childproc"
	"netserver/internal/identity"
	"netserver/internal/proc"
)

// A ResourceLimit is one of the system's limits on a process, such as "nofile".
// Both bounds are set to Value; negative is no limit.
type ResourceLimit struct {
	Name  string
	Value int64
}

// ProcessConfig is what the program is as a process. The zero value runs in
// the foreground, with a supervisor, and if started by root as nobody.
type ProcessConfig struct {
	User  string // name or number that workers become; default nobody if root starts the server, else no change
	Group string // names or numbers, by commas or blanks; the first is the group, all are supplementary; default the user's own
	// Chroot is the workers' root directory.
	Chroot string
	// Umask is set in every process; nil keeps the one at start.
	Umask *fs.FileMode
	// NoNewPrivs keeps workers and what they execute from gaining rights:
	// "1", "0", or "auto" (the default): if they have another user than the
	// supervisor.
	NoNewPrivs string
	// Landlock restricts the files that workers can reach, where the kernel
	// can do that: "1", "0", or "auto" (the default), which means 1 for the
	// command's echo and proxy and 0 for programs and for Run.
	Landlock string
	// LandlockWrite are directories that stay writable.
	LandlockWrite []string
	// Seccomp has the kernel end a worker that makes a system call which
	// serving clients never needs, such as to execute a program: "1", "0", or
	// "auto" (the default), which means 1 for the command's echo and proxy,
	// where the kernel can do that, and 0 for Run, whose Handler may need any.
	// Where workers run programs it is refused.
	Seccomp string
	// KeyIsolation keeps private keys out of the workers: "1", "0", or "auto"
	// (the default): if they have another user than the supervisor. They can
	// have it sign TLS handshakes, and nothing else.
	KeyIsolation string
	// SignRate is how many signatures a second each worker may have; further
	// ones wait. 0 is 5000 for each CPU.
	SignRate int
	// Limits are the workers' own.
	Limits []ResourceLimit

	PIDFile    string
	Background bool // the starting process ends with status 0 when the server serves
	Setsid     bool // the same, in a session of its own and with no standard streams
	// Supervisor says whether workers serve the clients: "1", or "0" for the
	// process that was started, which cannot restart in place or change its
	// identity. "auto" (the default) is 1 where the system has what it takes,
	// and 0 for INET.
	Supervisor string

	// HUPGrace is how long clients may stay after a restart in place that
	// does not concern them. 0 is until they end.
	HUPGrace time.Duration
	// CutOnHUP gives every client no more than the grace time at a restart.
	CutOnHUP bool
	// WorkerTimeout is how long a worker may leave an echo of the supervisor
	// without an answer before it is killed and replaced. 0 is 5 s, negative
	// for ever.
	WorkerTimeout time.Duration
	// SigPassthrough names signals that are sent to the workers too.
	SigPassthrough []string

	// StrictFiles refuses files that others may change, and keys that they
	// may read; without it root is warned of them.
	StrictFiles bool

	// Control is the socket that netserver ctl speaks to.
	Control ControlConfig

	// Admin is the HTTP listener for operators.
	Admin AdminConfig
}

const groupProcess = "process"

func (p *ProcessConfig) define(s *conf.Set) {
	define := func(when conf.When, name, arg, def, help string, b conf.Binder) {
		s.Define(conf.Key{Name: name, Group: groupProcess, Arg: arg, Default: def, Help: help, When: when}, b)
	}
	theirs := func(when conf.When, name, arg, def, help string, b conf.Binder) {
		k := conf.Key{Name: name, Group: groupProcess, Arg: arg, Default: def, Help: help, When: when, NetServer: true}
		if name == "user" || name == "group" || name == "pid_file" {
			k.Empty = conf.EmptyTakesOff
		}
		s.Define(k, b)
	}
	theirs(factBecome, "user", "USER", "", "user that serves the clients, name or number (default: nobody if root starts the server; root only if named here)", conf.String(&p.User))
	theirs(factSupervisor, "group", "GROUP", "", "group of that user, or several by commas: the first is the group, all are supplementary ones (default: the user's own)", conf.String(&p.Group))
	theirs(factSupervisor, "chroot", "DIR", "", "root directory of the workers; a program after -- must be found in it", conf.String(&p.Chroot))
	define(factSupervisor, "umask", "MODE", "", "file mode mask, octal", withTexts{conf.Func(p.setUmask), p.umaskTexts()})
	define(factSupervisor, "no_new_privs", "auto|0|1", "auto", "keep programs from gaining rights by setuid files; auto: if the user is changed", conf.Choice(&p.NoNewPrivs, "auto", "0", "1"))
	define(factSupervisor, "landlock", "auto|0|1", "auto", "Linux: let workers read only the files that the configuration names (with a program after --: read and execute any) and write none; auto: 0 for programs, else 1 where the kernel supports it", conf.Choice(&p.Landlock, "auto", "0", "1"))
	s.Define(conf.Key{Name: "landlock_write", Group: groupProcess, When: factSupervisor + " " + factConfined, Arg: "DIR", List: true, Help: "directory that stays writable under landlock"}, conf.Strings(&p.LandlockWrite))
	define(factSupervisor, "seccomp", "auto|0|1", "auto", "Linux: have the kernel kill a worker that makes a system call which serving clients never needs, such as starting a program, inspecting other processes or mounting; auto: 1 for the echo and the proxy, where the kernel supports it", conf.Choice(&p.Seccomp, "auto", "0", "1"))
	define(factSupervisor+" "+factKeys, "key_isolation", "auto|0|1", "auto", "keep private keys in the supervisor, which signs TLS handshakes for the workers; auto: if the user is changed", conf.Choice(&p.KeyIsolation, "auto", "0", "1"))
	define(factSupervisor+" "+factKeys+" key_isolation", "sign_rate", "N", "", "signatures a second for each worker with key_isolation; further ones wait (default: 5000 per CPU)", conf.Int(&p.SignRate, 1, math.MaxInt32))
	for _, name := range []string{"nofile", "core", "nproc", "as", "memlock"} {
		define(factSupervisor, "limit_"+name, "N", "", "the system's limit of that name for workers; -1 is unlimited", withTexts{conf.Func(p.setLimit(name)), p.limitTexts(name)})
	}
	theirs(conf.Always, "pid_file", "FILE", "", "file for the process number, locked while the server runs", conf.String(&p.PIDFile))
	theirs(factSupervisor, "background", "0|1", "", "go into the background; the starting command exits once the server serves, or with the error (standard output and error stay open: see setsid)", conf.Bool(&p.Background))
	theirs(factSupervisor, "setsid", "0|1", "", "background, in a session of its own with standard streams from and to /dev/null", conf.Bool(&p.Setsid))
	define(conf.Always, keyStrictFiles, "0|1", "", "refuse a conf file, program, key, certificate, rule or password file, and at a restart the server's own program, that others than root and the user who starts the server may change, or a key that everybody may read (default: root is warned)", conf.Bool(&p.StrictFiles))
	define(factListens, "supervisor", "auto|0|1", "auto", "1: worker processes serve the clients, so that HUP can restart in place and a server started by root runs as nobody; 0: the started process itself serves (Fork and Single); auto: 1 where the system supports it, except with INET", conf.Choice(&p.Supervisor, "auto", "0", "1"))
	define(factRestarts, "hup_grace", "SECONDS", "", "that clients may stay after a HUP that does not concern them (default: until they end; before a ninth generation of processes is started, clients of the oldest get the grace time)", conf.Seconds(&p.HUPGrace, 0, 365*24*time.Hour))
	s.Define(conf.Key{Name: "leave_children_open_on_hup", Group: groupProcess, When: factRestarts, NetServer: true, Arg: "0|1", Default: "1", Help: "0 limits all clients to the grace time at a HUP"},
		conf.Func(func(v []conf.Value) error { return invert(&p.CutOnHUP, v) }))
	define(factSupervisor, "worker_timeout", "SECONDS", "5", "without a response after which a worker is killed and replaced (six times as long if it is busy or waits for a CPU or a disk; one in a debugger is left alone); 0 is never", insteadOf0(conf.Seconds(&p.WorkerTimeout, 0, time.Hour), &p.WorkerTimeout, -1))
	s.Define(conf.Key{Name: "sig_passthrough", Group: groupProcess, When: factSupervisor, NetServer: true, Arg: "SIGNALS", List: true, Help: "signals passed on to the workers, such as WINCH, separated by commas or blanks"}, conf.Strings(&p.SigPassthrough))
	p.Control.define(s)
	p.Admin.define(s)
}

func invert(p *bool, vals []conf.Value) error {
	*p = false
	for _, v := range vals {
		on, err := conf.ParseBool(v)
		if err != nil {
			return err
		}
		*p = !on
	}
	return nil
}

func (p *ProcessConfig) setUmask(vals []conf.Value) error {
	p.Umask = nil
	for _, v := range vals {
		var m fs.FileMode
		if err := conf.FileMode(&m).Set([]conf.Value{v}); err != nil {
			return err
		}
		p.Umask = &m
	}
	return nil
}

func (p *ProcessConfig) setLimit(name string) func([]conf.Value) error {
	return func(vals []conf.Value) error {
		p.Limits = without(p.Limits, name)
		for _, v := range vals {
			var n int64
			if err := conf.Int(&n, -1, math.MaxInt64).Set([]conf.Value{v}); err != nil {
				return err
			}
			p.Limits = append(without(p.Limits, name), ResourceLimit{Name: name, Value: n})
		}
		return nil
	}
}

// withTexts has a function for a binder say what its variable holds.
type withTexts struct {
	conf.Binder
	texts []string // when the key is defined
}

// Texts returns that.
func (b withTexts) Texts() []string { return b.texts }

func (p *ProcessConfig) umaskTexts() []string {
	if p.Umask == nil {
		return nil
	}
	return []string{fmt.Sprintf("%04o", *p.Umask)}
}

func (p *ProcessConfig) limitTexts(name string) []string {
	for _, l := range p.Limits {
		if l.Name == name {
			return []string{fmt.Sprint(l.Value)}
		}
	}
	return nil
}

func without(list []ResourceLimit, name string) []ResourceLimit {
	var kept []ResourceLimit
	for _, l := range list {
		if l.Name != name {
			kept = append(kept, l)
		}
	}
	return kept
}

// nobody is who serves when root starts the server and names no other.
const nobody = "nobody"

// identify looks up who the workers are to be.
func (p *ProcessConfig) identify() (identity.Identity, error) {
	id := identity.Identity{Chroot: p.Chroot, Umask: p.Umask}
	for _, l := range p.Limits {
		id.Limits = append(id.Limits, identity.Limit(l))
	}
	name := p.User
	if name == "" && (identity.IsRoot() || p.Group != "") {
		name = nobody
		if !identity.IsRoot() {
			name = fmt.Sprint(os.Geteuid())
		}
	}
	var errs []error
	if name != "" {
		a, err := identity.LookupAccount(name, p.Group)
		switch {
		case errors.Is(err, identity.ErrNoGroup):
			errs = append(errs, fmt.Errorf("group: %w", err))
		case err != nil:
			errs = append(errs, fmt.Errorf("user: %w", err))
		case !identity.IsRoot() && a.UID != os.Geteuid():
			errs = append(errs, fmt.Errorf("user: only root can become user %s (%d); leave the key out, or start the server as root", a.User, a.UID))
		case !identity.IsRoot() && p.Group != "":
			errs = append(errs, errors.New("group: only root can choose groups; leave the key out, or start the server as root"))
		case identity.IsRoot():
			id.Account = &a
		}
	}
	if p.Chroot != "" {
		errs = append(errs, p.checkChroot())
	}
	id.NoNewPrivs = p.NoNewPrivs == "1" || p.NoNewPrivs != "0" && identity.CanNoNewPrivs && id.Account != nil && id.Account.UID != 0
	return id, errors.Join(errs...)
}

func (p *ProcessConfig) checkChroot() error {
	info, err := os.Stat(p.Chroot)
	switch {
	case !identity.IsRoot():
		return errors.New("chroot: only root can change the root directory; start the server as root")
	case !filepath.IsAbs(p.Chroot):
		return fmt.Errorf("chroot: %s must be an absolute path", p.Chroot)
	case err != nil:
		return fmt.Errorf("chroot: %w", err)
	case !info.IsDir():
		return fmt.Errorf("chroot: %s is not a directory", p.Chroot)
	}
	return nil
}

// inProcess reports whether the server serves in the process that was
// started, and whether that makes the type impossible. Which keys it does is
// for their conditions to say.
func (c *Config) inProcess() (bool, error) {
	alone, why := c.alone()
	if !alone {
		return false, nil
	}
	var errs []error
	if c.Type != typeINET && identity.IsRoot() && c.Process.User == "" {
		errs = append(errs, &conf.Problem{Err: fmt.Errorf("%s root itself would serve the clients", why), Hint: "say --user root if that is meant, or leave supervisor 0 out: then nobody serves, or the user that you name"})
	}
	if c.hasPool() {
		errs = append(errs, fmt.Errorf("type %s requires a supervisor, and there is none %s", c.Type, why))
	}
	return true, errors.Join(errs...)
}

// alone reports whether the server serves in the process that was started,
// and why.
func (c *Config) alone() (alone bool, why string) {
	if childproc.CanSpawn && c.Process.Supervisor != "0" && c.Type != typeINET {
		return false, ""
	}
	why = "with supervisor 0"
	switch {
	case c.Type == typeINET:
		why = "with type INET, where what starts the server decides"
	case !childproc.CanSpawn:
		why = "on this system"
	}
	return true, why
}

func asRoot(user string) bool { return user == "root" || user == "0" }

// passed returns the signals of sig_passthrough.
func (p *ProcessConfig) passed() ([]os.Signal, error) {
	var list []os.Signal
	for _, text := range p.SigPassthrough {
		for _, name := range conf.Words(text) {
			s, err := proc.SignalNamed(name)
			if err != nil {
				return nil, fmt.Errorf("sig_passthrough: %w", err)
			}
			list = append(list, s)
		}
	}
	return list, nil
}

// paceGC returns what sets the garbage collector of a process that serves: a
// function that may be called in a sandbox, which this one may not. A Go
// program's own process is not touched, and the many of a pool get no more
// memory each.
func (v *invocation) paceGC(c *Config) func() (stop func()) {
	garbage := int64(0)
	switch {
	case v.server != nil:
		return func() func() { return func() {} }
	case !c.hasPool() && c.Type != typeSingle && c.Type != typeINET:
		garbage = proc.SpareGarbage()
	}
	return func() func() { return proc.PaceGC(garbage) }
}

// hasPool reports whether the type is one of several workers.
func (c *Config) hasPool() bool { return c.Type == typePreFork || c.Type == typePreForkSimple }

const defaultWorkerTimeout = 5 * time.Second

// workerTimeout is how long a worker may be silent; 0 is for ever.
func (c *Config) workerTimeout() time.Duration {
	switch t := c.Process.WorkerTimeout; {
	case t < 0:
		return 0
	case t == 0:
		return defaultWorkerTimeout
	default:
		return t
	}
}

// checkSeccomp refuses a filter that the server could not serve under.
func (c *Config) checkSeccomp() error {
	if c.Process.Seccomp != "1" || !c.services.RunPrograms() {
		return nil
	}
	return &conf.Problem{Key: "seccomp", Err: errors.New("it cannot be 1 where a program serves clients: the processes that serve clients could not start it"), Hint: "leave it out"}
}
