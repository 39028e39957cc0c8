//go:build unix && !linux

package proc

import "syscall"

// refuseRights does what only Linux can.
func refuseRights(syscall.Conn) {}
