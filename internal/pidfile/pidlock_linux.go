package pidfile

import "golang.org/x/sys/unix"

// The lock belongs to the open file, and so ends with the process and not
// before.
const (
	setLock = unix.F_OFD_SETLK
	getLock = unix.F_OFD_GETLK
)
