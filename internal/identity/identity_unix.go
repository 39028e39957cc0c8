//go:build unix

package identity

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"netserver/internal/place"
)

func system() *System {
	return &System{
		Umask:      func(mask int) { syscall.Umask(mask) },
		Limit:      setLimit,
		Chroot:     chroot,
		DropBounds: dropBounds,
		Setgroups:  syscall.Setgroups,
		Setgid:     setAllGid,
		Setuid:     setAllUid,
		DropCaps:   dropCaps,
		NoNewPrivs: noNewPrivs,
		Check:      checkIdentity,
	}
}

func chroot(dir string) error {
	if err := os.Chdir(dir); err != nil {
		return place.WithoutPath(err)
	}
	if err := syscall.Chroot("."); err != nil {
		return err
	}
	return place.WithoutPath(os.Chdir("/"))
}

// checkIdentity tries the ways back that there must not be.
func checkIdentity(uid, gid int) error {
	if u, e := os.Getuid(), os.Geteuid(); u != uid || e != uid {
		return fmt.Errorf("the user is %d, effectively %d", u, e)
	}
	if g, e := os.Getgid(), os.Getegid(); g != gid || e != gid {
		return fmt.Errorf("the group is %d, effectively %d", g, e)
	}
	if uid == 0 {
		return nil
	}
	if syscall.Setuid(0) == nil || syscall.Seteuid(0) == nil {
		return errWayBack
	}
	return errors.Join(checkCaps())
}

func setLimit(l Limit) error {
	res, err := limitNumber(l.Name)
	if err != nil {
		return err
	}
	v := uint64(syscall.RLIM_INFINITY & (1<<64 - 1))
	if l.Value >= 0 {
		v = uint64(l.Value)
	}
	return setRlimit(res, v)
}

// IsRoot reports whether the process may become anybody.
func IsRoot() bool { return os.Geteuid() == 0 }
