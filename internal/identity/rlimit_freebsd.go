package identity

import "golang.org/x/sys/unix"

func setRlimit(res int, v uint64) error {
	return unix.Setrlimit(res, &unix.Rlimit{Cur: int64(v & (1<<63 - 1)), Max: int64(v & (1<<63 - 1))})
}
