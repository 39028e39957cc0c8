package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Began tells when a process was started, to a hundredth of a second.
func Began(pid int) (time.Time, bool) {
	// Field 22 is the start, in ticks after the boot, of which Linux shows 100
	// a second.
	_, fields, ok := StatOf(fmt.Sprintf("/proc/%d/stat", pid))
	if !ok || len(fields) < 20 {
		return time.Time{}, false
	}
	ticks, err := strconv.ParseInt(string(fields[19]), 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	boot, ok := bootTime()
	return boot.Add(time.Duration(ticks) * 10 * time.Millisecond), ok
}

// Ended reports whether a process has ended and waits to be reaped.
func Ended(pid int) bool {
	state, _, ok := StatOf(fmt.Sprintf("/proc/%d/stat", pid))
	return ok && (state == 'Z' || state == 'X')
}

func bootTime() (time.Time, bool) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return time.Time{}, false
	}
	for line := range bytes.Lines(stat) {
		if rest, ok := bytes.CutPrefix(line, []byte("btime ")); ok {
			n, err := strconv.ParseInt(string(bytes.TrimSpace(rest)), 10, 64)
			return time.Unix(n, 0), err == nil
		}
	}
	return time.Time{}, false
}
