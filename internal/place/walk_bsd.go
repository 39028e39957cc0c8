//go:build unix && !linux

package place

import "golang.org/x/sys/unix"

const dirFlags = unix.O_RDONLY

func isProc(int) bool { return false }

func (w *walker) throughProc(string, *unix.Stat_t, bool) (bool, error) { return false, nil }

func (w *walker) stillThere(fd int) bool { return w.isThere(fd) }
