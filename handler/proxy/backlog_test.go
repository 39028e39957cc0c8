//go:build unix

package proxy_test

import "syscall"

func shrinkBacklog(fd int) error { return syscall.Listen(fd, 0) }
