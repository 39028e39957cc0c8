package cgi

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"netserver/internal/childproc/program"
)

// A Handler runs a program for each request. Its fields must not change once it
// is in use. It may serve many requests at the same time, each by its own
// program; nothing here bounds their number but the server's limits.
type Handler struct {
	// Path is the program: a path, or a name that Check looks for in the working
	// directory and then in $PATH. Required.
	Path string
	// Args are the program's arguments, without its own name. No shell reads
	// them.
	Args []string
	// Dir is the program's working directory; default the server's.
	Dir string
	// Origin is what the environment tells of the server.
	Origin Origin
	// Stderr is where the program's standard error goes: log (the default; line
	// by line, at most 1024 bytes a line and 20 lines a second for a request),
	// client (into the answer), drop, or inherit (the server's own).
	Stderr string
	// KillGrace is the time between TERM and KILL for a program whose client is
	// gone. Default 5 s; negative kills at once.
	KillGrace time.Duration
	// WaitDelay is how long processes that the program leaves behind may go on
	// writing. Default 5 s; negative is no time.
	WaitDelay time.Duration
	// MaxHeader bounds the program's headers, in bytes. Default 100000.
	MaxHeader int
	// ContentType is that of answers that have none. Default text/html.
	ContentType string
	// TypeOnAllStatuses leaves the Content-Type to answers that have no body.
	TypeOnAllStatuses bool

	// Timeout is how long a program may run; then it is ended, and its client gets
	// status 500 or, if headers were sent, the end of its connection. 0 is no
	// limit.
	Timeout time.Duration
	// Limits are what each program may use.
	Limits Limits
	// Cgroup is the control group of each program.
	Cgroup Cgroup
	// Umask is the program's; default the server's. Negative is 0. It needs Linux.
	Umask int
	// User and Group are who the program runs as, by name or number; default the
	// server's. Group may name several, separated by commas; without it they are
	// the user's own. Only root can start a program as another user.
	User, Group string

	once    sync.Once
	command program.Command
	err     error
	starter program.Starter
	lines   program.Rate // of all requests' standard error in the log
}

// Bounds of what requests can make programs write to the log: lines a second of
// one request, and of all requests of a Handler.
const (
	requestLines = 20
	handlerLines = 200
)

const defaultMaxHeader = 100_000

func (h *Handler) maxHeader() int {
	if h.MaxHeader <= 0 {
		return defaultMaxHeader
	}
	return h.MaxHeader
}

func (h *Handler) contentType() string {
	if h.ContentType == "" {
		return "text/html"
	}
	return h.ContentType
}

func (h *Handler) killGrace() time.Duration { return orDefault(h.KillGrace) }
func (h *Handler) waitDelay() time.Duration { return orDefault(h.WaitDelay) }

func orDefault(d time.Duration) time.Duration {
	switch {
	case d == 0:
		return 5 * time.Second
	case d < 0:
		return 0
	}
	return d
}

// Check looks the program up and checks the fields. Call it at start, so that a
// missing program fails the start and not the first request. It works once;
// later calls return the same error.
func (h *Handler) Check() error {
	h.once.Do(h.resolve)
	return h.err
}

func (h *Handler) resolve() {
	h.lines.Init(handlerLines, handlerLines)
	path, err := lookup(h.Path)
	if err != nil {
		h.err = fmt.Errorf("cgi: %w", err)
	}
	h.command = program.Command{Path: path, Argv: append([]string{h.Path}, h.Args...)}
	for _, a := range h.command.Argv {
		if strings.IndexByte(a, 0) >= 0 {
			h.err = errors.Join(h.err, fmt.Errorf("cgi: %s: an argument contains a NUL byte", h.Path))
		}
	}
	if err := h.restrict(); err != nil {
		h.err = errors.Join(h.err, fmt.Errorf("cgi: %s: %w", h.Path, err))
	}
	switch h.Stderr {
	case "", "log", "client", "drop", "inherit":
	default:
		h.err = errors.Join(h.err, fmt.Errorf("cgi: invalid destination %q for standard error: write log, client, drop or inherit", h.Stderr))
	}
}

// lookup finds a program by its path, or by its name.
func lookup(name string) (string, error) {
	if name == "" {
		return "", errors.New("no program is given")
	}
	path := name
	if !strings.ContainsRune(name, filepath.Separator) {
		if fi, err := os.Stat(name); err == nil && fi.Mode().IsRegular() {
			path = "." + string(filepath.Separator) + name
		}
	}
	path, err := osexec.LookPath(path)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err == nil {
		return path, nil
	}
	if fi, e := os.Stat(name); e == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 == 0 {
		return "", fmt.Errorf("%s: it is not executable; chmod +x makes it so", name)
	}
	return "", fmt.Errorf("%s: %w", name, reason(err))
}

// reason is the innermost error, without the path that stands before it.
func reason(err error) error {
	var oe *osexec.Error
	var pe *fs.PathError
	var no syscall.Errno
	switch {
	case errors.As(err, &no):
		return no
	case errors.As(err, &pe):
		return pe.Err
	case errors.As(err, &oe):
		return oe.Err
	}
	return err
}

// Counts returns how many programs were started so far, and how many of them
// have ended: with status 0, with another, and by a signal. It may be called at
// any time.
func (h *Handler) Counts() (started, succeeded, failed, killed uint64) { return h.starter.Counts() }
