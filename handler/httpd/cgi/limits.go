package cgi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"netserver/internal/childproc/program"
	"netserver/internal/identity"
)

// Limits are what each program and what it starts may use. Zero leaves what the
// server itself has, and nothing is raised above that. They need Linux, where
// they are in force before the program's first instruction.
type Limits struct {
	CPU       time.Duration // of processor time of each process, in whole seconds; XCPU, and KILL a second later
	Memory    int64         // bytes of address space of each process
	FileSize  int64         // bytes of each file that is written
	Files     int           // open files of each process; at least 3
	Processes int           // of the program's user, those that the server has not started included; none for root
	Core      int64         // bytes of a core dump; negative is none
	Nice      int           // is added to the priority number: 1 to 19
}

// A Cgroup has each program in a control group of its own (Linux, cgroup v2), in
// the directory Parent; "" is none. All that is in it ends with the program. A
// limit of zero is none.
type Cgroup struct {
	Parent    string
	Memory    int64 // bytes, memory.max
	CPU       int   // hundredths of a processor, cpu.max
	Processes int   // threads too, pids.max
}

// ErrTimeout is the cause of the end of a program after Handler.Timeout.
var ErrTimeout = errors.New("the program ran too long")

// ErrIdentity is wrapped by Check's error if the server may not start programs
// as Handler.User.
var ErrIdentity = errors.New("only root can start a program as another user")

// restrict sets what bounds the program, where it runs and as whom, and starts
// it to see whether all that can be had here; it ends before its first
// instruction.
func (h *Handler) restrict() error {
	c := &h.command
	errs := []error{c.Restrict(program.Limits(h.Limits), program.Cgroup(h.Cgroup), h.Umask), h.become()}
	if h.Timeout < 0 {
		errs = append(errs, fmt.Errorf("the time limit is negative: %v", h.Timeout))
	}
	if h.Dir != "" {
		dir, err := filepath.Abs(h.Dir)
		if err == nil {
			var fi fs.FileInfo
			if fi, err = os.Stat(dir); err == nil && !fi.IsDir() {
				err = syscall.ENOTDIR
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("working directory %s: %w", h.Dir, reason(err)))
		}
		c.Dir = dir
	}
	if err := errors.Join(errs...); err != nil || c.Path == "" {
		return err
	}
	return h.starter.Probe(c)
}

// become has the program run as Handler.User.
func (h *Handler) become() error {
	if h.User == "" {
		if h.Group != "" {
			return errors.New("a group is given without a user")
		}
		return nil
	}
	a, err := identity.LookupAccount(h.User, h.Group)
	switch {
	case err != nil:
		return fmt.Errorf("user: %w", err)
	case identity.IsRoot():
		h.command.User = &program.Identity{UID: a.UID, GID: a.GID, Groups: a.Groups}
	case h.Group != "" || a.UID != os.Geteuid():
		return fmt.Errorf("user %s: %w, and this process is user %d", h.User, ErrIdentity, os.Geteuid())
	}
	return nil
}

// timed bounds how long a program may run.
func (h *Handler) timed(ctx context.Context) (context.Context, context.CancelFunc) {
	if h.Timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, h.Timeout, fmt.Errorf("%w: more than %v", ErrTimeout, h.Timeout))
}
