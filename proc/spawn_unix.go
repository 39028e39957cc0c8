//go:build unix

package proc

import (
	"fmt"
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

// inherited returns the first n inherited files.
func inherited(n int) []*os.File {
	files := make([]*os.File, n)
	for i := range files {
		fd := firstFile + i
		syscall.CloseOnExec(fd)
		files[i] = os.NewFile(uintptr(fd), fmt.Sprintf("inherited descriptor %d", fd))
	}
	return files
}
