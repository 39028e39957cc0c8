package exec

import (
	"net"
	"syscall"
)

// peerCredentials returns the identity of the process that connected the UNIX
// socket below nc, at the time of the connect.
func peerCredentials(nc net.Conn) (uid, gid uint32, pid int32, err error) {
	sock, ok := streamSocket(nc).(*net.UnixConn)
	if !ok {
		return 0, 0, 0, errNoCredentials
	}
	rc, err := sock.SyscallConn()
	if err != nil {
		return 0, 0, 0, err
	}
	var cred *syscall.Ucred
	cerr := rc.Control(func(fd uintptr) {
		cred, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	switch {
	case cerr != nil:
		return 0, 0, 0, cerr
	case err != nil:
		return 0, 0, 0, err
	}
	return cred.Uid, cred.Gid, cred.Pid, nil
}
