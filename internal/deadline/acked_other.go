//go:build !linux

package deadline

import "syscall"

func acked(syscall.RawConn, error) (uint64, bool) { return 0, false }
