package identity

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Package syscall changes all threads, in programs with cgo too.
func setAllGid(gid int) error { return syscall.Setresgid(gid, gid, gid) }
func setAllUid(uid int) error { return syscall.Setresuid(uid, uid, uid) }

// dropBounds and the functions below change the calling thread alone. That is
// enough, as the program is started again on it.
func dropBounds() error {
	for c := uintptr(0); c <= 63; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) {
			return nil // past the last one that the kernel knows
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func dropCaps() error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return err
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return unix.Capset(&hdr, &none[0])
}

func checkCaps() error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&hdr, &caps[0]); err != nil {
		return err
	}
	for _, c := range caps {
		if c.Effective|c.Permitted|c.Inheritable != 0 {
			return errors.New("capabilities are left")
		}
	}
	return nil
}

// CanNoNewPrivs tells that the system can keep programs from gaining rights.
const CanNoNewPrivs = true

func noNewPrivs() error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }

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
	case "memlock":
		return unix.RLIMIT_MEMLOCK, nil
	case "nofile":
		return unix.RLIMIT_NOFILE, nil
	case "nproc":
		return unix.RLIMIT_NPROC, nil
	case "stack":
		return unix.RLIMIT_STACK, nil
	}
	return 0, fmt.Errorf("there is no limit of that name: %w", errors.ErrUnsupported)
}

func setRlimit(res int, v uint64) error {
	return unix.Prlimit(0, res, &unix.Rlimit{Cur: v, Max: v}, nil)
}
