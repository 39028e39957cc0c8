package proc

import (
	"os"
	"path"
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

// ownGroupMemory returns the least that a control group of this process may
// have before the kernel slows it down or ends something in it, 0 if there is
// no limit or it is not known. A service manager gives each service a group,
// which SystemMemory does not look at.
func ownGroupMemory() int64 {
	b, _ := os.ReadFile("/proc/self/cgroup")
	return leastLimit("/sys/fs/cgroup", string(b))
}

// leastLimit returns the least limit of the groups that the file cgroup names,
// and of those above them.
func leastLimit(mounted, cgroup string) (least int64) {
	for line := range strings.Lines(cgroup) {
		root, files := mounted, []string{"memory.max", "memory.high"}
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(f) < 3:
			continue
		case f[1] == "memory": // version 1
			root, files = root+"/memory", []string{"memory.limit_in_bytes"}
		case f[1] != "":
			continue
		}
		for dir := path.Clean("/" + f[2]); ; dir = path.Dir(dir) {
			for _, name := range files {
				b, _ := os.ReadFile(path.Join(root, dir, name))
				if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && n > 0 && (least == 0 || n < least) {
					least = n
				}
			}
			if dir == "/" {
				break
			}
		}
	}
	return least
}
