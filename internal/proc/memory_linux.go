package proc

import (
	"os"
	"strconv"
	"strings"
)

// SystemMemory returns the bytes of memory that the process may have: its
// control group's, or the machine's. 0 is unknown.
func SystemMemory() int64 {
	total := machineMemory()
	if n := groupMemory(); n > 0 && (total == 0 || n < total) {
		return n
	}
	return total
}

// machineMemory returns the machine's memory, 0 if that is unknown.
func machineMemory() (total int64) {
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		if _, rest, ok := strings.Cut(string(b), "MemTotal:"); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				kib, _ := strconv.ParseInt(f[0], 10, 64)
				total = kib << 10
			}
		}
	}
	return total
}

// groupMemory returns what the control group may have, 0 if it has no limit or
// that is unknown.
func groupMemory() (least int64) {
	for _, name := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && n > 0 && (least == 0 || n < least) {
			least = n
		}
	}
	return least
}
