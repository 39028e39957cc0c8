//go:build unix && !linux

package identity

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Root's setgid and setuid set the real, effective and saved id; here they act
// on the whole process.
func setAllGid(gid int) error { return syscall.Setgid(gid) }
func setAllUid(uid int) error { return syscall.Setuid(uid) }

// There are no capabilities here.
func dropBounds() error { return nil }
func dropCaps() error   { return nil }
func checkCaps() error  { return nil }

// CanNoNewPrivs tells that the system can keep programs from gaining rights.
const CanNoNewPrivs = false

func noNewPrivs() error {
	return fmt.Errorf("%s has nothing like it: %w", runtime.GOOS, errors.ErrUnsupported)
}

func limitNumber(name string) (int, error) {
	switch name {
	case "as":
		return unix.RLIMIT_AS, nil
	case "core":
		return unix.RLIMIT_CORE, nil
	case "cpu":
		return unix.RLIMIT_CPU, nil
	case "data":
		return unix.RLIMIT_DATA, nil
	case "fsize":
		return unix.RLIMIT_FSIZE, nil
	case "nofile":
		return unix.RLIMIT_NOFILE, nil
	case "stack":
		return unix.RLIMIT_STACK, nil
	}
	return 0, fmt.Errorf("there is no limit of that name on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
