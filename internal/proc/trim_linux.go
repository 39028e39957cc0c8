package proc

import (
	"bufio"
	"bytes"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// TrimProgram lets go of the pages of the program's and its libraries' files
// that this process has mapped, most of which only its start needed. Those that
// it needs again come back from the file, as after any shortage of memory. What
// it writes to is not touched.
func TrimProgram() error {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return fmt.Errorf("proc: own memory: %w", err)
	}
	defer f.Close()
	var from, to uint64
	clean := false
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		line := sc.Bytes()
		var perms, path string
		var a, b, offset, inode uint64
		var device string
		if n, _ := fmt.Sscanf(string(line), "%x-%x %s %x %s %d %s", &a, &b, &perms, &offset, &device, &inode, &path); n >= 6 {
			from, to = a, b
			clean = inode != 0 && len(perms) == 4 && perms[0] == 'r' && perms[1] == '-' && perms[3] == 'p'
			continue
		}
		// A page of its own, such as one that was relocated at start, would
		// be lost.
		if clean && bytes.HasPrefix(line, []byte("Anonymous:")) && bytes.HasSuffix(line, []byte(" 0 kB")) {
			if _, _, errno := unix.RawSyscall(unix.SYS_MADVISE, uintptr(from), uintptr(to-from), unix.MADV_DONTNEED); errno != 0 {
				return os.NewSyscallError("madvise", errno)
			}
		}
	}
	return sc.Err()
}
