//go:build !linux

package child

import "syscall"

func endWithUs() *syscall.SysProcAttr { return nil }
