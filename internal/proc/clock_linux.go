package proc

import (
	"time"

	"golang.org/x/sys/unix"
)

// Monotonic returns the time since the system was started, as service managers
// count it.
func Monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
