//go:build unix

package proc

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What a signal means to a server.
const (
	StopSignal   = syscall.SIGTERM // as an interrupt does
	DrainSignal  = syscall.SIGQUIT
	ReloadSignal = syscall.SIGHUP
	MoreSignal   = syscall.SIGTTIN
	LessSignal   = syscall.SIGTTOU
	ReopenSignal = syscall.SIGUSR1
	StateSignal  = syscall.SIGUSR2
)

// ServerSignals returns the signals that a server obeys.
func ServerSignals() []os.Signal {
	return []os.Signal{syscall.SIGINT, StopSignal, DrainSignal, ReloadSignal, MoreSignal, LessSignal, ReopenSignal, StateSignal}
}

// ForSupervisor reports whether a signal means something only to a supervisor.
func ForSupervisor(s os.Signal) bool {
	return s == MoreSignal || s == LessSignal || s == ReopenSignal || s == StateSignal
}

// IsStop reports whether a signal asks a process to end soon: TERM or INT.
func IsStop(s os.Signal) bool { return s == StopSignal || s == syscall.SIGINT }

// DieOf ends this process as a signal does that nobody takes, or with a status
// where that cannot be done quietly.
func DieOf(s os.Signal, status int) {
	if n, ok := s.(syscall.Signal); ok && n != syscall.SIGQUIT { // of which Go would tell much
		signal.Reset(s)
		syscall.Kill(os.Getpid(), n)
		// What was ignored when this process began, as shells have it for INT
		// in the background, is ignored again now. Else it has no time to wait.
		time.Sleep(100 * time.Millisecond)
	}
	os.Exit(status)
}

// SignalName returns INT for SIGINT.
func SignalName(s os.Signal) string {
	if n, ok := s.(syscall.Signal); ok {
		return strings.TrimPrefix(unix.SignalName(n), "SIG")
	}
	return s.String()
}

// SignalNamed returns the signal of a name, such as WINCH, SIGWINCH or winch,
// that can be passed on to other processes.
func SignalNamed(name string) (os.Signal, error) {
	n := unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(name), "SIG"))
	switch n {
	case 0:
		return nil, fmt.Errorf("there is no signal %q", name)
	case unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD, unix.SIGPIPE, unix.SIGURG, unix.SIGPROF:
		return nil, fmt.Errorf("%s cannot be passed on", strings.ToUpper(name))
	}
	return n, nil
}

// SurviveBrokenPipes lets the program go on when the reader of its standard
// error or output goes away: writes then fail, but SIGPIPE does not end it. The
// signal is taken rather than ignored, because programs that are started
// inherit what is ignored. It returns a function that undoes that.
func SurviveBrokenPipes() (undo func()) {
	c := make(chan os.Signal, 1) // nobody receives; what does not fit is dropped
	signal.Notify(c, syscall.SIGPIPE)
	return func() { signal.Stop(c) }
}
