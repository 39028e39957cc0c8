package proc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// OpenAs is os.OpenFile with the rights of a, for root alone: it opens what a
// could open and no more, whatever links a has put in the way. A file that is
// created belongs to a.
func OpenAs(a Account, path string, flag int, perm fs.FileMode) (*os.File, error) {
	type opened struct {
		f   *os.File
		err error
	}
	c := make(chan opened)
	go func() {
		f, err := openAs(a, path, flag, perm)
		c <- opened{f, err}
	}()
	o := <-c
	return o.f, o.err
}

// openAs changes the rights of its thread. If they cannot be changed back the
// thread ends with the goroutine.
func openAs(a Account, path string, flag int, perm fs.FileMode) (f *os.File, err error) {
	runtime.LockOSThread()
	groups, err := unix.Getgroups()
	if err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("getgroups: %w", err)
	}
	uid, gid := unix.Geteuid(), unix.Getegid()
	// A change back must be possible before any is made, and the user goes
	// last: without root's rights the groups could not be set.
	err = unix.Setgroups(a.Groups)
	if err == nil {
		err = setFS(a.UID, a.GID)
	}
	if err == nil {
		f, err = os.OpenFile(path, flag, perm)
	}
	back := setFS(uid, gid)
	if back == nil {
		back = unix.Setgroups(groups)
	}
	if back == nil {
		runtime.UnlockOSThread()
	}
	return f, err
}

// setFS sets who the thread is to the file system.
func setFS(uid, gid int) error {
	unix.SetfsgidRetGid(gid)
	unix.SetfsuidRetUid(uid)
	// An impossible number changes nothing and tells the one in force.
	g, err := unix.SetfsgidRetGid(-1)
	if err == nil && g != gid {
		err = errors.New("the thread's group for files cannot be changed")
	}
	u, uerr := unix.SetfsuidRetUid(-1)
	if uerr == nil && u != uid {
		uerr = errors.New("the thread's user for files cannot be changed")
	}
	return errors.Join(err, uerr)
}
