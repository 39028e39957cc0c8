//go:build unix && !linux

package program

import (
	"errors"
	"fmt"
	"syscall"
)

// begin is for Linux.
func (cmd *Command) begin(int) error { return errors.ErrUnsupported }

// limited completes how a program is started.
func (cmd *Command) limited(attr *syscall.SysProcAttr) { cmd.identify(attr) }

// withUmask runs f: Probe has refused a umask.
func (cmd *Command) withUmask(_ *thread, f func() error) error { return f() }

// Probe returns why the system cannot start cmd as it says.
func (s *Starter) Probe(cmd *Command) error {
	if cmd.held() || cmd.Umask != nil || cmd.Cgroup.Parent != "" {
		return fmt.Errorf("limits, priority and umask of programs need Linux: %w", errors.ErrUnsupported)
	}
	return nil
}
