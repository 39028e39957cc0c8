//go:build unix && !linux

package childproc

import "syscall"

// refuseRights does what only Linux can.
func refuseRights(syscall.Conn) {}
