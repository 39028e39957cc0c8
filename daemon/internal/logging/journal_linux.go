package logging

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// canJournal reports whether this system may have a journal.
const canJournal = true

// sendEntry sends an entry: in a datagram or, if it is too large for one, as a
// sealed file in memory.
func sendEntry(c *net.UnixConn, entry []byte) error {
	_, err := c.Write(entry)
	if !errors.Is(err, syscall.EMSGSIZE) {
		return err
	}
	fd, err := unix.MemfdCreate("netserver-access-log", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "memfd")
	defer f.Close()
	if _, err := f.Write(entry); err != nil {
		return err
	}
	seals := unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	// WriteMsgUnix refuses a socket for datagrams that is connected.
	werr := raw.Write(func(to uintptr) bool {
		err = unix.Sendmsg(int(to), nil, unix.UnixRights(fd), nil, 0)
		return err != unix.EAGAIN
	})
	return errors.Join(werr, os.NewSyscallError("sendmsg", err))
}
