package program

import (
	"errors"
	"fmt"
	"time"
)

// Limits are what a program and what it starts may use. Zero leaves what the
// server itself has; nothing is raised above that.
type Limits struct {
	CPU       time.Duration // of processor time of each process, in whole seconds
	Memory    int64         // bytes of address space of each process
	FileSize  int64         // bytes of each file that is written
	Files     int           // open files of each process
	Processes int           // of the program's user, those that the server has not started included
	Core      int64         // bytes of a core dump; negative is none
	Nice      int           // is added to the priority number: 1 to 19
}

// An Identity is the user that a program runs as.
type Identity struct {
	UID, GID int
	Groups   []int // supplementary ones
}

// Check returns what is out of range.
func (l Limits) Check() error {
	for _, v := range []struct {
		name  string
		value int64
	}{{"processor time", int64(l.CPU)}, {"memory", l.Memory}, {"file size", l.FileSize}, {"open files", int64(l.Files)}, {"processes", int64(l.Processes)}} {
		if v.value < 0 {
			return fmt.Errorf("%s: %d is negative; without a limit leave it out", v.name, v.value)
		}
	}
	switch {
	case l.Files > 0 && l.Files < 3:
		return fmt.Errorf("open files: %d are too few, a program starts with three", l.Files)
	case l.Nice < 0 || l.Nice > 19:
		return fmt.Errorf("nice %d: it is 1 to 19, or 0 for the server's own priority", l.Nice)
	}
	return nil
}

// held reports whether the program has to be held at its start, until its
// limits are set.
func (cmd *Command) held() bool { return cmd.Limits != Limits{} }

// Restrict sets the limits, the control group and the umask of cmd. A umask of 0
// is the server's, and a negative one 0. The error joins all that is out of
// range.
func (cmd *Command) Restrict(l Limits, g Cgroup, umask int) error {
	var errs []error
	if err := l.Check(); err != nil {
		errs = append(errs, fmt.Errorf("limits: %w", err))
	}
	switch {
	case umask > 0o777:
		errs = append(errs, fmt.Errorf("umask %#o has bits other than permissions", umask))
	case umask != 0:
		mask := max(umask, 0)
		cmd.Umask = &mask
	}
	if g.Parent == "" && g != (Cgroup{}) || g.Memory < 0 || g.CPU < 0 || g.Processes < 0 {
		errs = append(errs, errors.New("control group: its limits are positive, and need a parent"))
	}
	cmd.Limits, cmd.Cgroup = l, g
	return errors.Join(errs...)
}
