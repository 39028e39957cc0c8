//go:build unix

package password

import (
	"os"
	"os/exec"
	"syscall"
)

// alone gives the command a session of its own, without the terminal that the
// server may have, and has it end with all that it has started.
func alone(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if _, err := os.Stat(os.DevNull); err != nil {
		// In a root directory without it the null device is the standard input
		// of those who serve.
		cmd.Stdin, cmd.Stderr = os.Stdin, os.Stdin
	}
	cmd.Cancel = func() error {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		return cmd.Process.Kill()
	}
}
