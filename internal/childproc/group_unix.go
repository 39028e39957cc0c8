//go:build unix

package childproc

import "syscall"

// KillGroup ends the child and what it has started in its process group, even
// if the child itself has ended a moment ago.
func (c *Child) KillGroup() { syscall.Kill(-c.Pid(), syscall.SIGKILL) }

// TerminateOwnGroup sends TERM to this process, which should expect it, and to
// what it has started in its process group. What is stopped goes on, to end.
func TerminateOwnGroup() {
	syscall.Kill(0, syscall.SIGTERM)
	syscall.Kill(0, syscall.SIGCONT)
}

// KillOwnGroup ends this process and what it has started in its process group.
func KillOwnGroup() { syscall.Kill(0, syscall.SIGKILL) }
