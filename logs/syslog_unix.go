//go:build unix

package logs

import (
	"errors"
	"syscall"
)

// wrongKind reports whether a socket is a stream where a datagram socket was
// wanted, or the other way round.
func wrongKind(err error) bool { return errors.Is(err, syscall.EPROTOTYPE) }

func tooLong(err error) bool { return errors.Is(err, syscall.EMSGSIZE) }

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
