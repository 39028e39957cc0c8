package access

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const canCred = true

// peerCred reads SO_PEERCRED, and SO_PEERGROUPS where the kernel has it (4.13).
func peerCred(fd int) (*Cred, error) {
	u, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return nil, err
	}
	if u.Uid == ^uint32(0) {
		// An unconnected socket has no peer; its identity must not match
		// anything.
		return nil, unix.ENOTCONN
	}
	return &Cred{UID: u.Uid, GID: u.Gid, PID: int(u.Pid), Groups: peerGroups(fd)}, nil
}

// maxGroups is NGROUPS_MAX, the kernel's own limit.
const maxGroups = 65536

// peerGroups returns the supplementary groups, or nil if only the primary one
// is known; a group rule can then match less, never more.
func peerGroups(fd int) []uint32 {
	groups := make([]uint32, 32)
	for {
		size := uint32(len(groups) * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		n := int(size / 4)
		switch {
		case errno == 0 && n <= len(groups):
			return groups[:n:n]
		case errno == unix.ERANGE && n > len(groups) && n <= maxGroups:
			groups = make([]uint32, n)
		default:
			return nil
		}
	}
}
