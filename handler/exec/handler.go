package exec

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"netserver/internal/childproc/program"
)

// A Handler runs a program for each client. Its fields must not change once it
// is in use. It may serve many clients at the same time, each by its own
// program; the server's limits bound their number.
type Handler struct {
	// Path is the program: a path, or a name that Check looks up once in
	// $PATH. Required.
	Path string
	// Args are the program's arguments, without its own name. They are passed
	// unchanged, except for Substitute; no shell interprets them.
	Args []string
	// Substitute makes %{NAME} in Args the client's value of that name, one of
	// Substitutions, and %% a %. Only a verified certificate has values. A client
	// without the value is refused, as is one whose value contains a control
	// character, a slash or a backslash, is a relative directory or longer than
	// 255 bytes, or begins with - at the start of an argument: ErrArgument.
	Substitute bool
	// Dir is the program's working directory; default the server's.
	Dir string
	// Env are environment variables in addition to PATH, TZ, LANG, LANGUAGE,
	// LC_*, HOME, USER, LOGNAME and SHELL, which always come from the server's
	// environment: NAME=VALUE sets one, NAME passes the server's on, and
	// PREFIX* passes on all of the server's whose names begin with PREFIX.
	// Variables set for each client, and those for the server only, cannot be
	// given.
	Env []string
	// Stderr is where the program's standard error goes; default the log, and
	// with a Terminal that.
	Stderr Stderr
	// KillGrace is the time between TERM and KILL for a program whose client
	// is gone. Default 5 s; negative kills at once. It must be less than 10 s,
	// which is how long a stopping server waits for its handlers.
	KillGrace time.Duration
	// WaitDelay is how long processes left behind by the program may go on
	// writing to the client. Default 5 s; negative is no time. The program's
	// own output is always delivered.
	WaitDelay time.Duration
	// Pipes connects plain TCP and UNIX clients by pipes too, instead of
	// handing the program their socket: the server's limits then see their
	// bytes, but getpeername fails.
	Pipes bool
	// Spare is how many started programs wait for clients, so that a client
	// does not wait for its program's start; at most MaxSpare. Default 0, and
	// none if negative. A program that reads before it acts cannot tell the
	// difference. Since they are started before their client is known, all
	// programs of a Handler with Spare are joined as with Pipes, and none gets
	// variables that tell of its client. A client that comes when none is left
	// has one started. Substitute and Terminal cannot be had with it.
	//
	// They are started by Run, a few at a time, which the server calls, and
	// ended when the server takes no more clients, or ends. A Handler that
	// several Servers have at once has those of the first.
	Spare int
	// Log is told of spare programs that end before they have a client, or
	// cannot be started. Default: nobody.
	Log *slog.Logger

	// Terminal, if not nil, gives each program a pseudo-terminal instead of pipes
	// or a socket, as its controlling terminal. It needs Linux, and a client that
	// is a stream.
	Terminal *Terminal
	// Timeout is how long the program may run; then it gets TERM, and KILL after
	// KillGrace. Default: as long as it wants.
	Timeout time.Duration
	// Limits are what each program may use.
	Limits Limits
	// Cgroup is the control group of each program.
	Cgroup Cgroup
	// Umask is the program's; default the server's. Negative is 0. It needs
	// Linux.
	Umask int
	// User and Group are who the program runs as, by name or number; default the
	// server itself, and the user's own groups. Several groups are separated by
	// commas, the first is the main one. Only root can start a program as another
	// user: Check's error is ErrIdentity for others.
	User, Group string

	once     sync.Once
	resolved command
	err      error
	starter  program.Starter
	lines    program.Rate // of all clients' standard error in the log
	ports    ownPorts
	pool     atomic.Pointer[pool] // nil unless spare programs wait
}

// A Stderr is where a program's standard error goes.
type Stderr string

const (
	StderrLog     Stderr = "log"     // line by line, at most 1024 bytes per line and 20 lines per second for a client; also the zero Stderr
	StderrClient  Stderr = "client"  // to the client, mixed with the standard output
	StderrDrop    Stderr = "drop"    // nowhere
	StderrInherit Stderr = "inherit" // the server's own standard error
)

// maxKillGrace keeps KillGrace below the time that a stopping server waits for
// its handlers.
const maxKillGrace = 10 * time.Second

// Counts returns how many programs were started so far, and how many of them
// have ended: with status 0, with another, and by a signal. It may be called at
// any time.
func (h *Handler) Counts() (started, succeeded, failed, killed uint64) { return h.starter.Counts() }

func (h *Handler) killGrace() time.Duration { return duration(h.KillGrace, 5*time.Second) }
func (h *Handler) waitDelay() time.Duration { return duration(h.WaitDelay, 5*time.Second) }

// duration returns def for zero, 0 for a negative d, and otherwise d.
func duration(d, def time.Duration) time.Duration {
	switch {
	case d == 0:
		return def
	case d < 0:
		return 0
	}
	return d
}

// A command is a Handler with all look-ups done.
type command struct {
	program.Command
	env       []string   // for all clients
	arguments []argument // nil unless they differ by client
}

// Check looks the program up and checks all fields. Call it at start, so that
// a missing program fails the start and not the first client. The error joins
// all problems. Check works once; later calls return the same error.
func (h *Handler) Check() error {
	h.once.Do(h.resolve)
	return h.err
}

func (h *Handler) resolve() {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("exec: "+format, args...)) }
	c := &h.resolved
	var err error
	if c.Path, err = lookup(h.Path); err != nil {
		bad("%w", err)
	}
	c.Argv = append([]string{h.Path}, h.Args...)
	for i, a := range h.Args {
		if strings.IndexByte(a, 0) >= 0 {
			bad("%s: argument %d contains a NUL byte", h.Path, i+1)
		}
	}
	if h.Dir != "" {
		if c.Dir, err = directory(h.Dir); err != nil {
			bad("working directory %w", err)
		}
	}
	for _, kv := range h.Env {
		if err := CheckEnv(kv); err != nil {
			bad("environment: %w", err)
		}
	}
	c.env = baseEnv(os.Environ(), h.Env)
	if err := errors.Join(h.parseArguments(c), h.restrict(c), h.checkTerminal(c)); err != nil {
		bad("%w", err)
	}
	switch h.Stderr {
	case "", StderrLog, StderrClient, StderrDrop, StderrInherit:
	default:
		bad("invalid destination %q for standard error: write log, client, drop or inherit", h.Stderr)
	}
	if h.KillGrace >= maxKillGrace {
		bad("%v between TERM and KILL is too long: it must be less than %v", h.KillGrace, maxKillGrace)
	}
	if err := h.checkSpare(); err != nil {
		bad("%w", err)
	}
	h.lines.Init(handlerLines, handlerLines)
	if len(errs) == 0 {
		if err := h.starter.Probe(&c.Command); err != nil {
			bad("%s: %w", h.Path, err)
		}
	}
	h.err = errors.Join(errs...)
}

// lookup finds a program by its path, or by its name in $PATH.
func lookup(name string) (string, error) {
	if name == "" {
		return "", errors.New("no program is given")
	}
	path, err := osexec.LookPath(name)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	var oe *osexec.Error
	var pe *fs.PathError
	switch {
	case err == nil:
		return path, nil
	case errors.Is(err, osexec.ErrNotFound):
		return "", fmt.Errorf("%s: not found in $PATH", name)
	case errors.Is(err, osexec.ErrDot):
		return "", fmt.Errorf("%s: $PATH finds it in the current directory only; give its path, ./%s", name, name)
	case errors.As(err, &pe):
		err = pe.Err
	case errors.As(err, &oe):
		err = oe.Err
	}
	if fi, e := os.Stat(name); e == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 == 0 {
		return "", fmt.Errorf("%s: %w: it is not executable; chmod +x makes it so", name, err)
	}
	return "", fmt.Errorf("%s: %w", name, err)
}

// directory returns the absolute path of an existing directory.
func directory(dir string) (string, error) {
	fi, err := os.Stat(dir)
	var pe *fs.PathError
	switch {
	case errors.As(err, &pe):
		return "", fmt.Errorf("%s: %w", dir, pe.Err)
	case err != nil:
		return "", err
	case !fi.IsDir():
		return "", fmt.Errorf("%s: %w", dir, syscall.ENOTDIR)
	}
	return filepath.Abs(dir)
}

// An ExitError says that the program ended with a nonzero status, or by a
// signal that the server did not send.
type ExitError struct {
	Status int    // the exit status, or -1 if a signal ended it
	Signal string // SIGSEGV, say, or ""
}

// Error says how the program ended.
func (e *ExitError) Error() string {
	switch {
	case e.Signal != "":
		return "program ended by " + e.Signal
	case e.Status < 0:
		return "program ended, but another part of the process collected its status"
	}
	return fmt.Sprintf("program exited with status %d", e.Status)
}

// exitError returns nil for status 0.
func exitError(e program.Exit) error {
	if e.Status == 0 {
		return nil
	}
	return &ExitError{Status: e.Status, Signal: e.Signal}
}
