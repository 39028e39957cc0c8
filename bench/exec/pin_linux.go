package main

import (
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// pinned runs start, whose child processes have the last processor for
// themselves, and has this process leave it to them, so that the load does not
// take the time of what is measured. With one processor it only runs start.
func pinned(start func() error) error {
	n := runtime.NumCPU()
	if n < 2 {
		return start()
	}
	var server, load unix.CPUSet
	server.Set(n - 1)
	for i := range n - 1 {
		load.Set(i)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	names, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, name := range names {
		if tid, err := strconv.Atoi(name.Name()); err == nil {
			unix.SchedSetaffinity(tid, &load) // or it has ended
		}
	}
	if err := unix.SchedSetaffinity(0, &server); err != nil {
		return err
	}
	defer unix.SchedSetaffinity(0, &load)
	return start()
}
