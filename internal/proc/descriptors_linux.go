package proc

import (
	"math"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// closeRange reports whether it did the work of CloseInherited.
func closeRange() bool {
	if unix.CloseRange(firstFile, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) == nil {
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
		if fd, err := strconv.Atoi(name); err == nil && fd >= firstFile {
			syscall.CloseOnExec(fd)
		}
	}
	return err == nil
}

// KeepToItself has the kernel let no other process of this user look into this
// one: not by ptrace, not at its descriptors and memory in /proc, not by
// pidfd_getfd. Such a process leaves no core dump. It is in force until the
// process executes a program.
func KeepToItself() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
}
