//go:build unix

package proc

import (
	"os"
	"os/exec"
	"syscall"
)

// CanSpawn reports whether processes with a Link can be started here.
const CanSpawn = true

// firstFile is the descriptor of the first inherited file.
const firstFile = 3

// ownSession has the child begin a session of its own: the signals of a terminal
// do not reach it, as its parent decides what becomes of it, and it has no
// controlling terminal, into which it could type (TIOCSTI) what a shell there
// would run.
func ownSession(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// inherited returns the first inherited files, with these names.
func inherited(names []string) []*os.File {
	files := make([]*os.File, len(names))
	for i := range files {
		fd := firstFile + i
		syscall.CloseOnExec(fd)
		files[i] = os.NewFile(uintptr(fd), names[i])
	}
	return files
}
