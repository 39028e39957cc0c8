package exec

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"

	"netserver/internal/childproc/program"
	"netserver/internal/identity"
)

// Limits are what each program and what it starts may use. Zero leaves what
// the server itself has, and nothing is raised above that. They need Linux,
// where they are in force before the program's first instruction. The kernel
// traces it until then: with limits, a set-user-ID bit of the program has no
// effect.
type Limits struct {
	CPU       time.Duration // of processor time of each process, in whole seconds; XCPU, and KILL a second later
	Memory    int64         // bytes of address space of each process
	FileSize  int64         // bytes of each file that is written
	Files     int           // open files of each process; at least 3
	Processes int           // of the program's user, those that the server has not started included; none for root
	Core      int64         // bytes of a core dump; negative is none
	Nice      int           // is added to the priority number: 1 to 19
}

// A Cgroup has each program in a control group of its own (Linux, cgroup v2),
// whose limits are those of the program and all it has started together. When
// the program ends, or is ended, all of them are: nothing is left running, also
// not what has changed its process group. Zero is no limit.
type Cgroup struct {
	// Parent is the directory that the groups are made in, such as one that
	// systemd delegates. The server must be allowed to make groups there, its
	// cgroup.subtree_control must name the controllers of the limits, and no
	// process may be in it. "" is no group.
	Parent    string
	Memory    int64 // bytes, memory.max
	CPU       int   // hundredths of a processor, cpu.max
	Processes int   // threads too, pids.max
}

// ErrTimeout is wrapped by the error of a client whose program was ended after
// Handler.Timeout.
var ErrTimeout = errors.New("the program ran too long")

// ErrIdentity is wrapped by Check's error if the server may not start programs
// as Handler.User.
var ErrIdentity = errors.New("only root can start a program as another user")

// restrict fills in the limits and the identity of the program.
func (h *Handler) restrict(c *command) error {
	errs := []error{c.Restrict(program.Limits(h.Limits), program.Cgroup(h.Cgroup), h.Umask)}
	if h.Timeout < 0 {
		errs = append(errs, fmt.Errorf("the time limit is negative: %v", h.Timeout))
	}
	errs = append(errs, h.become(c))
	return errors.Join(errs...)
}

// become has the program run as Handler.User.
func (h *Handler) become(c *command) error {
	if h.User == "" {
		if h.Group != "" {
			return errors.New("a group is given without a user")
		}
		return nil
	}
	a, err := identity.LookupAccount(h.User, h.Group)
	if err != nil {
		return fmt.Errorf("user: %w", err)
	}
	if !identity.IsRoot() {
		if h.Group == "" && a.UID == os.Geteuid() {
			return nil
		}
		return fmt.Errorf("user %s: %w, and this process is user %d", h.User, ErrIdentity, os.Geteuid())
	}
	c.User = &program.Identity{UID: a.UID, GID: a.GID, Groups: a.Groups}
	c.env = homeOf(c.env, a, h.Env)
	return nil
}

// homeOf returns env with the variables of the user that the program runs as,
// except those that were given.
func homeOf(env []string, a identity.Account, given []string) []string {
	vars := map[string]string{"USER": a.User, "LOGNAME": a.User, "HOME": "/", "SHELL": ""}
	if u, err := user.LookupId(fmt.Sprint(a.UID)); err == nil {
		vars["HOME"] = u.HomeDir
	}
	for _, kv := range given {
		name, _, _ := strings.Cut(kv, "=")
		delete(vars, name)
	}
	var out []string
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		if _, ok := vars[name]; !ok {
			out = append(out, kv)
		}
	}
	for _, name := range []string{"HOME", "LOGNAME", "USER"} {
		if v, ok := vars[name]; ok {
			out = append(out, name+"="+v)
		}
	}
	return out
}

// timed bounds how long the program may run.
func (h *Handler) timed(ctx context.Context) (context.Context, context.CancelFunc) {
	if h.Timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, h.Timeout, fmt.Errorf("%w: more than %v", ErrTimeout, h.Timeout))
}
