//go:build !linux

package proc

import "time"

// Monotonic returns the time since the system was started; 0, as no service
// manager here asks for it.
func Monotonic() time.Duration { return 0 }
