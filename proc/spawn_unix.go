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

// setGroup keeps the signals of a terminal from reaching the child: its parent
// decides what becomes of it.
func setGroup(cmd *exec.Cmd, session bool) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: session, Setpgid: !session}
}

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
