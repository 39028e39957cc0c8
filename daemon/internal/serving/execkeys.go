package serving

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"netserver/conf"
	"netserver/handler/exec"
	"netserver/handler/httpd/cgi"
)

// An ExecConfig says how programs that serve clients are started, and what they
// may use.
type ExecConfig struct {
	Dir         string // working directory
	Substitute  bool   // %{NAME} in arguments
	Timeout     time.Duration
	Limits      exec.Limits
	Cgroup      exec.Cgroup
	Umask       int // as exec.Handler has it
	User, Group string
	PTY         bool          // a terminal for each program
	PTYSize     exec.Terminal // of which size
}

const (
	keyExecUser = "exec_user"
	keyExecPTY  = "exec_pty"

	keyExecCgroup    = "exec_cgroup"
	keyExecProcesses = "exec_max_processes"
	factLinux        = "linux"
)

const (
	mostBytes = 1 << 50
	longest   = 365 * 24 * time.Hour
)

// define defines the keys of e.
func (e *ExecConfig) define(define func(when conf.When, name, arg, def, help string, b conf.Binder)) {
	const when, linux = conf.When(FactStarted), conf.When(FactStarted + " " + factLinux)
	l := &e.Limits
	define(when, "exec_dir", "DIR", "", "a program's working directory (default: the server's)", conf.String(&e.Dir))
	define(FactPrograms, "exec_substitute", "0|1", "", "%{NAME} in a program's arguments is the client's "+strings.Join(exec.Substitutions(), ", ")+", and %% a %. Who has no such value, or one that a program could misunderstand, is refused", conf.Bool(&e.Substitute))
	define(when, "exec_timeout", "SECONDS", "", "how long a program may run; then it gets TERM, and KILL after exec_kill_after", conf.Seconds(&e.Timeout, time.Millisecond, longest))
	define(linux, "exec_umask", "MODE", "", "a program's file mode mask, octal (default: the server's)", conf.Func(e.setUmask))
	define(linux, "exec_nice", "N", "", "is added to the priority number of a program: 1 to 19 yield to others", conf.Int(&l.Nice, 1, 19))
	define(linux, "exec_max_cpu", "SECONDS", "", "processor time of each process of a program", conf.Seconds(&l.CPU, time.Second, longest))
	define(linux, "exec_max_memory", "BYTES", "", "address space of each process of a program", conf.Size(&l.Memory, 1<<20, mostBytes))
	define(linux, "exec_max_file_size", "BYTES", "", "each file that a program writes", conf.Size(&l.FileSize, 1, mostBytes))
	define(linux, "exec_max_files", "N", "", "open files of each process of a program", conf.Int(&l.Files, 3, 1<<30))
	define(linux, keyExecProcesses, "N", "", "processes of the user that a program runs as, the server's own and those of other programs included; root has no such limit", conf.Int(&l.Processes, 1, 1<<22))
	define(linux, "exec_max_core", "BYTES", "", "a core dump of a program; none or 0: it leaves none", conf.Func(e.setCore))
	g := &e.Cgroup
	define(linux, keyExecCgroup, "DIR", "", "make a control group (cgroup v2) in this directory for each program; it and all that it has started end together", conf.String(&g.Parent))
	const grouped = linux + " " + keyExecCgroup
	define(grouped, "exec_cgroup_memory", "BYTES", "", "memory of a program and all that it starts", conf.Size(&g.Memory, 1<<20, mostBytes))
	define(grouped, "exec_cgroup_cpu", "PERCENT", "", "of a processor, for a program and all that it starts: 50 is half of one, 200 are two", conf.Int(&g.CPU, 1, 100_000))
	define(grouped, "exec_cgroup_processes", "N", "", "processes and threads of a program and all that it starts", conf.Int(&g.Processes, 1, 1<<22))
	const pty = FactPrograms + " " + factStream + " " + factLinux
	define(pty, keyExecPTY, "0|1", "", "give each program a terminal, as at a keyboard: with echo, ^C, and HUP when its client leaves", conf.Bool(&e.PTY))
	define(pty+" "+keyExecPTY, "exec_pty_size", "COLUMNSxROWS", "80x24", "of the terminal", conf.Func(e.setSize))
	define(when, keyExecUser, "USER", "", "who a program runs as, by name or number; only a server whose serving processes are root can start one as another user (user root)", conf.String(&e.User))
	define(when+" "+keyExecUser, "exec_group", "GROUPS", "", "a program's group and, separated by commas, its further ones (default: those of exec_user)", conf.String(&e.Group))
}

func (e *ExecConfig) setUmask(vals []conf.Value) error {
	e.Umask = 0
	for _, v := range vals {
		var m fs.FileMode
		if err := conf.FileMode(&m).Set([]conf.Value{v}); err != nil {
			return err
		}
		if e.Umask = int(m); m == 0 {
			e.Umask = -1
		}
	}
	return nil
}

// setCore reads a size of which 0 is none.
func (e *ExecConfig) setCore(vals []conf.Value) error {
	if err := conf.Size(&e.Limits.Core, -1, mostBytes).Set(vals); err != nil {
		return err
	}
	if len(vals) > 0 && e.Limits.Core == 0 {
		e.Limits.Core = -1
	}
	return nil
}

func (e *ExecConfig) setSize(vals []conf.Value) error {
	e.PTYSize = exec.Terminal{}
	for _, v := range vals {
		columns, rows, ok := strings.Cut(v.Text, "x")
		c, cerr := strconv.ParseUint(columns, 10, 16)
		r, rerr := strconv.ParseUint(rows, 10, 16)
		if !ok || cerr != nil || rerr != nil || c == 0 || r == 0 {
			return v.Errorf("%q is not a size such as 80x24, columns and rows up to 65535", v.Text)
		}
		e.PTYSize = exec.Terminal{Columns: int(c), Rows: int(r)}
	}
	return nil
}

// fill sets what e says of programs.
func (e *ExecConfig) fill(h *exec.Handler) {
	h.Dir, h.Substitute, h.Timeout = e.Dir, e.Substitute, e.Timeout
	h.Cgroup = e.Cgroup
	h.Limits, h.Umask, h.User, h.Group = e.Limits, e.Umask, e.User, e.Group
	if e.PTY {
		h.Terminal = &e.PTYSize
	}
}

// fillScript sets what e says of a program of HTTP.
func (e *ExecConfig) fillScript(h *cgi.Handler) {
	h.Dir, h.Timeout = e.Dir, e.Timeout
	h.Cgroup = cgi.Cgroup(e.Cgroup)
	h.Limits, h.Umask, h.User, h.Group = cgi.Limits(e.Limits), e.Umask, e.User, e.Group
}

// mayBecome returns why programs cannot run as exec_user in processes that serve
// as somebody else than this one.
func (e *ExecConfig) mayBecome(env Env) error {
	asRoot := e.User == "root" || e.User == "0" || e.User == "" && env.ServesAs == "" && os.Geteuid() == 0
	switch {
	case e.Limits.Processes > 0 && asRoot && !env.Jailed:
		return &conf.Problem{Key: keyExecProcesses, Err: errors.New("the program runs as root, to whom the kernel does not apply this limit"),
			Hint: "give " + keyExecUser + ", or exec_cgroup_processes"}
	case e.User == "":
		return nil
	case env.ServesAs != "" && (env.ServesAs != e.User || e.Group != ""):
		return &conf.Problem{Key: keyExecUser,
			Err:  fmt.Errorf("%w, and the serving processes are user %s", exec.ErrIdentity, env.ServesAs),
			Hint: "have one server for each such user (user " + e.User + "), which needs no more rights, or let the serving processes keep root (user root)"}
	case env.Jailed:
		return &conf.Problem{Key: keyExecUser, Err: errors.New("users are not looked up below a root directory"), Hint: "leave chroot out"}
	}
	return nil
}
