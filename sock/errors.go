package sock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"netserver/port"
)

// A ListenError says which port could not be opened and why. Its text is one
// line that begins like Net::Server's. It unwraps to the cause, which has the
// system's error number where there is one.
type ListenError struct {
	Network string    // "tcp", "udp", "unix" or "unixgram"
	Spec    port.Spec // the port
	Err     error     // the cause
}

// Unwrap returns the cause.
func (e *ListenError) Unwrap() error { return e.Err }

// Error returns the line: the operation, [the reason], and the remedy.
func (e *ListenError) Error() string {
	what := "Cannot bind and listen to "
	if e.Network == "udp" || e.Network == "unixgram" {
		what = "Cannot bind to "
	}
	if isUnix(e.Network) {
		kind := "UNIX"
		if e.Network == "unixgram" {
			kind = "UNIXDGRAM"
		}
		what += fmt.Sprintf("%s socket at file %s", kind, e.Spec.Port)
	} else {
		what += fmt.Sprintf("%s port %s on %s", e.proto(), e.Spec.Port, e.host())
	}
	if hint := e.hint(); hint != "" {
		return fmt.Sprintf("%s [%s]: %s", what, e.reason(), hint)
	}
	return fmt.Sprintf("%s [%s]", what, e.reason())
}

func (e *ListenError) proto() string {
	if e.Spec.Proto == "" {
		return strings.ToUpper(e.Network)
	}
	return strings.ToUpper(e.Spec.Proto)
}

func (e *ListenError) host() string {
	if isAny(e.Spec.Host) || isDual(e.Spec) {
		return "*"
	}
	return e.Spec.Host
}

// reason is the system's message for a plain system error, otherwise the whole
// text on one line.
func (e *ListenError) reason() string {
	var no syscall.Errno
	if errors.As(e.Err, &no) && !errors.As(e.Err, new(*plainError)) {
		return no.Error()
	}
	return strings.ReplaceAll(e.Err.Error(), "\n", "; ")
}

// A plainError is a cause whose text says more than its error number.
type plainError struct {
	text string
	err  error // nil, or the system's error
}

func (e *plainError) Error() string { return e.text }
func (e *plainError) Unwrap() error { return e.err }

// explain returns an error with the given text that unwraps to err.
func explain(err error, format string, args ...any) error {
	return &plainError{text: fmt.Sprintf(format, args...), err: err}
}

// hint says what to do about the cause, if known.
func (e *ListenError) hint() string {
	if errors.As(e.Err, new(*plainError)) {
		return ""
	}
	switch {
	case errors.Is(e.Err, syscall.EMFILE), errors.Is(e.Err, syscall.ENFILE):
		return "too few file descriptors: raise ulimit -n"
	case isUnix(e.Network):
		return e.unixHint()
	case errors.Is(e.Err, syscall.EACCES):
		if n, err := strconv.Atoi(e.Spec.Port); err == nil && n >= 1024 {
			return "a security policy of the system forbids it"
		}
		return "ports below 1024 need root" + orCapability
	case isInUse(e.Err):
		return e.inUseHint()
	case errors.Is(e.Err, syscall.EADDRNOTAVAIL):
		return "no network interface of this machine has this address"
	case errors.Is(e.Err, syscall.EAFNOSUPPORT):
		return "this system does not support the address family"
	}
	return ""
}

func (e *ListenError) inUseHint() string {
	if tool := showPortUser(e.Network, e.Spec.Port); tool != "" {
		return "another socket has this port; find it with: " + tool
	}
	return "another socket has this port"
}

func (e *ListenError) unixHint() string {
	dir := filepath.Dir(e.Spec.Port)
	switch {
	case errors.Is(e.Err, syscall.ENOENT):
		return fmt.Sprintf("the directory %s does not exist: create it first", dir)
	case errors.Is(e.Err, syscall.ENOTDIR):
		return fmt.Sprintf("%s is not a directory", dir)
	case errors.Is(e.Err, syscall.EACCES), errors.Is(e.Err, syscall.EPERM):
		return fmt.Sprintf("user %d may not create or change the file in %s", os.Geteuid(), dir)
	case isInUse(e.Err):
		return "a running program has this socket open"
	}
	return ""
}

func isUnix(network string) bool { return network == "unix" || network == "unixgram" }
