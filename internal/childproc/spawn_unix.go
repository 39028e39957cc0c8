//go:build unix

package childproc

import (
	"os/exec"
	"syscall"
)

// CanSpawn reports whether processes with a Link can be started here.
const CanSpawn = true

// ownSession has the child begin a session of its own: the signals of a terminal
// do not reach it, as its parent decides what becomes of it, and it has no
// controlling terminal, into which it could type (TIOCSTI) what a shell there
// would run.
func ownSession(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
