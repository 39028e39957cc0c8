//go:build unix

package bench

import "syscall"

// ownUsage returns this process's CPU time in microseconds and its largest
// memory, in KiB on Linux.
func ownUsage() (cpu, rss int64) {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return (u.Utime.Nano() + u.Stime.Nano()) / 1000, int64(u.Maxrss)
}
