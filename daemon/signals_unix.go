//go:build unix

package daemon

import (
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// watched are the signals that the program obeys: INT and TERM stop it, QUIT
// drains, HUP will restart it.
var watched = []os.Signal{syscall.SIGINT, syscall.SIGTERM, sigDrain, sigReload}

const (
	sigDrain  = syscall.SIGQUIT
	sigReload = syscall.SIGHUP
)

// signalName returns INT for SIGINT.
func signalName(s os.Signal) string {
	if n, ok := s.(syscall.Signal); ok {
		return strings.TrimPrefix(unix.SignalName(n), "SIG")
	}
	return s.String()
}
