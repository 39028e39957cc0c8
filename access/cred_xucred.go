//go:build darwin || freebsd

package access

import "golang.org/x/sys/unix"

const canCred = true

// peerCred reads LOCAL_PEERCRED. The first group in it is the primary one.
func peerCred(fd int) (*Cred, error) {
	const solLocal = 0 // SOL_LOCAL, the level of UNIX socket options
	u, err := unix.GetsockoptXucred(fd, solLocal, unix.LOCAL_PEERCRED)
	if err != nil {
		return nil, err
	}
	n := min(max(int(u.Ngroups), 0), len(u.Groups))
	if n == 0 {
		return nil, ErrNoCred
	}
	return &Cred{UID: u.Uid, GID: u.Groups[0], Groups: append([]uint32(nil), u.Groups[1:n]...)}, nil
}
