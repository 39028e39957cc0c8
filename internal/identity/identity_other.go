//go:build !unix

package identity

import (
	"errors"
	"fmt"
	"runtime"
)

// CanNoNewPrivs tells that the system can keep programs from gaining rights.
const CanNoNewPrivs = false

func system() *System {
	no := fmt.Errorf("%s: %w", runtime.GOOS, errors.ErrUnsupported)
	return &System{
		Umask:      func(int) {},
		Limit:      func(Limit) error { return no },
		Chroot:     func(string) error { return no },
		DropBounds: func() error { return no },
		Setgroups:  func([]int) error { return no },
		Setgid:     func(int) error { return no },
		Setuid:     func(int) error { return no },
		DropCaps:   func() error { return no },
		NoNewPrivs: func() error { return no },
		Check:      func(int, int) error { return no },
	}
}

// IsRoot reports whether the process may become anybody.
func IsRoot() bool { return false }
