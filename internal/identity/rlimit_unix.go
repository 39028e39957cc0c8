//go:build unix && !linux && !freebsd && !dragonfly

package identity

import "golang.org/x/sys/unix"

func setRlimit(res int, v uint64) error {
	return unix.Setrlimit(res, &unix.Rlimit{Cur: v, Max: v})
}
