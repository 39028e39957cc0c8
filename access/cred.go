package access

import (
	"errors"
	"slices"
	"syscall"
)

// A Cred is the identity of a UNIX client's process when it connected, as
// reported by the kernel. The client cannot choose it.
type Cred struct {
	UID, GID uint32
	PID      int      // 0 where the system does not report it
	Groups   []uint32 // supplementary groups, as far as the system reports them
}

// ErrNoCred is returned by CredOf where the system does not report a client's
// identity.
var ErrNoCred = errors.New("the system does not report the identity of UNIX clients")

// CredOf asks the kernel who is at the other end of a connected UNIX stream
// socket. It returns ErrNoCred on systems without that facility.
func CredOf(c syscall.Conn) (*Cred, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *Cred
	var credErr error
	if err := raw.Control(func(fd uintptr) { cred, credErr = peerCred(int(fd)) }); err != nil {
		return nil, err
	}
	return cred, credErr
}

// in reports whether the process was in one of the groups.
func (c *Cred) in(gid uint32) bool {
	return c.GID == gid || slices.Contains(c.Groups, gid)
}
