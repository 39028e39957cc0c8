//go:build unix

package sock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	places "netserver/internal/place"
	"netserver/port"
)

func listenUnix(p port.Spec, o Options) (net.Listener, error) {
	f, file, err := bindUnix(unix.SOCK_STREAM, p.Port, o)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, errors.Join(err, file.remove())
	}
	return &StreamListener{sock: l.(*net.UnixListener), named: newNamed(p, l.Addr()), file: file}, nil
}

func listenUnixgram(p port.Spec, o Options) (net.Listener, error) {
	f, file, err := bindUnix(unix.SOCK_DGRAM, p.Port, o)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	pc, err := net.FilePacketConn(f)
	if err != nil {
		return nil, errors.Join(err, file.remove())
	}
	l, err := newUnixgramListener(pc.(*net.UnixConn), file, p, o)
	if err != nil {
		return nil, errors.Join(err, pc.Close(), file.remove())
	}
	return l, nil
}

// bindUnix makes a socket bound to path, listening if it is a stream. The
// file's owner and mode are set before a client can connect: a stream accepts
// none before listen(2); for datagrams see closeMode. Package net offers no
// hook between its own bind and listen.
func bindUnix(sockType int, path string, o Options) (*os.File, *socketFile, error) {
	if err := checkPath(path); err != nil {
		return nil, nil, err
	}
	uid, gid, err := o.owner()
	if err != nil {
		return nil, nil, err
	}
	// In the last directory, links are not followed and foreign files are not
	// taken for ours; on the way to it, bind(2) itself would follow anything.
	if err := places.Steady(path); err != nil {
		return nil, nil, explain(err, "%v", err)
	}
	if err := clearStale(path); err != nil {
		return nil, nil, err
	}
	fd, err := newUnixSocket(sockType)
	if err != nil {
		return nil, nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), path)
	file, err := bindFile(fd, sockType, path, o, uid, gid)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, file, nil
}

// bindFile binds fd to path and removes the file again if a later step fails.
func bindFile(fd, sockType int, path string, o Options, uid, gid int) (*socketFile, error) {
	if o.UnixMode != 0 {
		closeMode(fd)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	file, err := newSocketFile(path, true)
	if err == nil {
		err = setAccess(path, file.info, uid, gid, o.UnixMode)
	}
	if err == nil && sockType == unix.SOCK_STREAM {
		err = os.NewSyscallError("listen", unix.Listen(fd, o.EffectiveBacklog()))
	}
	if err != nil {
		return nil, errors.Join(err, file.remove())
	}
	return file, nil
}

// newUnixSocket works like package net's own sysSocket for systems that
// cannot set close-on-exec in the same call.
func newUnixSocket(sockType int) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := unix.Socket(unix.AF_UNIX, sockType, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	return fd, err
}

// isOpen reports whether some process has the socket of a file open. It
// connects with a datagram socket: for the server of a stream that is the
// wrong type and goes unnoticed, so no client appears there.
func isOpen(path string) (bool, error) {
	fd, err := newUnixSocket(unix.SOCK_DGRAM)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return false, err
	}
	switch err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err {
	case unix.ECONNREFUSED, unix.ENOENT:
		return false, nil
	case nil, unix.EPROTOTYPE, unix.EAGAIN, unix.EPERM: // EPERM: connected to someone else
		return true, nil
	default:
		return false, err
	}
}

// owner looks up the numbers of UnixOwner and UnixGroup; -1 if not given.
func (o Options) owner() (uid, gid int, err error) {
	uid, gid = -1, -1
	if o.UnixOwner != "" {
		uid, err = lookupID(o.UnixOwner, func(name string) (string, error) {
			u, err := user.Lookup(name)
			if err != nil {
				return "", explain(err, "unix_owner: there is no user %q", name)
			}
			return u.Uid, nil
		})
	}
	if o.UnixGroup != "" && err == nil {
		gid, err = lookupID(o.UnixGroup, func(name string) (string, error) {
			g, err := user.LookupGroup(name)
			if err != nil {
				return "", explain(err, "unix_group: there is no group %q", name)
			}
			return g.Gid, nil
		})
	}
	return uid, gid, err
}

func lookupID(name string, lookup func(string) (string, error)) (int, error) {
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	id, err := lookup(name)
	if err != nil {
		return -1, err
	}
	return strconv.Atoi(id)
}

// wrapAccess explains why setting the owner or mode failed.
func wrapAccess(what string, err error) error {
	if err == nil {
		return nil
	}
	return explain(err, "cannot set the file's %s: %v", what, err)
}

// errNotOwn reports that the file at the path is not the one that was bound.
func errNotOwn(path string) error {
	return explain(nil, "another file took the place of %s while it was being set up", fmt.Sprintf("%q", path))
}
