//go:build unix

package daemon

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"netserver/conf"
)

const (
	sigStop   = syscall.SIGTERM
	sigDrain  = syscall.SIGQUIT
	sigReload = syscall.SIGHUP
	sigMore   = syscall.SIGTTIN
	sigLess   = syscall.SIGTTOU
	sigReopen = syscall.SIGUSR1
	sigState  = syscall.SIGUSR2
)

// watched are the signals that the program obeys.
func watched() []os.Signal {
	return []os.Signal{syscall.SIGINT, sigStop, sigDrain, sigReload, sigMore, sigLess, sigReopen, sigState}
}

// isOther reports whether a signal means something only to a supervisor.
func isOther(s os.Signal) bool {
	return s == sigMore || s == sigLess || s == sigReopen || s == sigState
}

// endsWorker reports whether a signal ends the worker that it is sent to.
func endsWorker(s os.Signal) bool { return s == sigStop || s == syscall.SIGINT }

// endsStart reports whether a signal ends a program that does not serve yet.
func endsStart(s os.Signal, role string) bool {
	return endsWorker(s) || s == sigDrain && role != roleCheck
}

// dieOf ends this process as a signal does that nobody takes.
func dieOf(s os.Signal) {
	if n, ok := s.(syscall.Signal); ok && n != syscall.SIGQUIT { // of which Go would tell much
		signal.Reset(s)
		syscall.Kill(os.Getpid(), n)
		select {}
	}
	os.Exit(exitFailed)
}

// signalName returns INT for SIGINT.
func signalName(s os.Signal) string {
	if n, ok := s.(syscall.Signal); ok {
		return strings.TrimPrefix(unix.SignalName(n), "SIG")
	}
	return s.String()
}

// passed returns the signals of sig_passthrough.
func (p *ProcessConfig) passed() ([]os.Signal, error) {
	var list []os.Signal
	for _, text := range p.SigPassthrough {
		for _, name := range conf.Words(text) {
			n := unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(name), "SIG"))
			switch n {
			case 0:
				return nil, fmt.Errorf("sig_passthrough: there is no signal %q", name)
			case unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD, unix.SIGPIPE, unix.SIGURG, unix.SIGPROF:
				return nil, fmt.Errorf("sig_passthrough: %s cannot be passed on", strings.ToUpper(name))
			}
			list = append(list, n)
		}
	}
	return list, nil
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
