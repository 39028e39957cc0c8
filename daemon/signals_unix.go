//go:build unix

package daemon

import (
	"os"
	"os/signal"
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

// outlivePipes lets the program go on when the reader of its standard error or
// output goes away: writes then fail, but the program is not ended by SIGPIPE.
// The signal is taken rather than ignored, because programs that are started
// inherit what is ignored. It returns a function that undoes that.
func outlivePipes() (undo func()) {
	c := make(chan os.Signal, 1) // nobody receives; what does not fit is dropped
	signal.Notify(c, syscall.SIGPIPE)
	return func() { signal.Stop(c) }
}
