package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// DescriptorLimit returns how many descriptors a process may have, 0 if that is
// not known or not limited.
func DescriptorLimit(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(b, []byte("Max open files"))
	if f := bytes.Fields(rest); len(f) > 0 {
		if n, err := strconv.Atoi(string(f[0])); err == nil {
			return n
		}
	}
	return 0
}

// UsageOf returns the resident memory and the descriptors of a process, as far
// as this one may see them.
func UsageOf(pid int) (u Usage) {
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid)); err == nil {
		if f := bytes.Fields(b); len(f) > 1 {
			if pages, err := strconv.ParseInt(string(f[1]), 10, 64); err == nil {
				n := pages * int64(os.Getpagesize())
				u.Memory = &n
			}
		}
	}
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	// Linux 6.2 and later tell the number without a look at each.
	if info, err := os.Stat(dir); err == nil && info.Size() > 0 {
		n := int(info.Size())
		u.Descriptors = &n
		return u
	}
	f, err := os.Open(dir)
	if err != nil {
		return u
	}
	defer f.Close()
	if names, err := f.Readdirnames(-1); err == nil {
		n := len(names)
		u.Descriptors = &n
	}
	return u
}
