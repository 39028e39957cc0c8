package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// ActivityOf looks at process pid; ok is false if that cannot be known.
func ActivityOf(pid int) (a Activity, ok bool) {
	state, fields, ok := StatOf(fmt.Sprintf("/proc/%d/stat", pid))
	if !ok || len(fields) < 13 {
		return a, false
	}
	a.Stopped = state == 'T'
	user, _ := strconv.ParseInt(string(fields[11]), 10, 64)
	system, _ := strconv.ParseInt(string(fields[12]), 10, 64)
	a.CPU = time.Duration(user+system) * 10 * time.Millisecond // Linux shows 100 ticks a second
	a.Busy = anyThread(pid, func(state byte) bool { return state == 'R' || state == 'D' })
	a.Tracer = tracerOf(pid)
	return a, true
}

// maxThreads is how many threads are looked at.
const maxThreads = 256

func anyThread(pid int, is func(state byte) bool) bool {
	dir, err := os.Open(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return false
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(maxThreads)
	for _, name := range names {
		if state, _, ok := StatOf(fmt.Sprintf("/proc/%d/task/%s/stat", pid, name)); ok && is(state) {
			return true
		}
	}
	return false
}

// StatOf returns the state and what follows the name of a process in a file
// stat, beginning with the state.
func StatOf(path string) (state byte, fields [][]byte, ok bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, nil, false
	}
	// The name in parentheses may hold anything.
	fields = bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) == 0 {
		return 0, nil, false
	}
	return fields[0][0], fields, true
}

func tracerOf(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte("TracerPid:")); ok {
			n, _ := strconv.Atoi(string(bytes.TrimSpace(rest)))
			return n
		}
	}
	return 0
}
