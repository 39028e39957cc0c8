package descriptors

import (
	"math"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// closeRange reports whether it did the work of CloseInherited.
func closeRange() bool {
	if unix.CloseRange(First, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return true
	}
	// Before Linux 5.11.
	f, err := os.Open("/proc/self/fd")
	if err != nil {
		return false
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	for _, name := range names {
		if fd, err := strconv.Atoi(name); err == nil && fd >= First {
			syscall.CloseOnExec(fd)
		}
	}
	return err == nil
}
