//go:build unix

package logs

import (
	"errors"
	"syscall"
)

// wrongKind reports whether a socket is a stream socket instead of a datagram
// socket or vice versa.
func wrongKind(err error) bool { return errors.Is(err, syscall.EPROTOTYPE) }

func tooLong(err error) bool { return errors.Is(err, syscall.EMSGSIZE) }

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
