package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

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
