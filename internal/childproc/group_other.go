//go:build !unix

package childproc

import "os"

// KillGroup ends the child.
func (c *Child) KillGroup() { c.Kill() }

// TerminateOwnGroup does nothing: there are no process groups.
func TerminateOwnGroup() {}

// KillOwnGroup ends this process.
func KillOwnGroup() { os.Exit(1) }
