//go:build !linux

package proc

import "time"

// processBegan is not known here.
func processBegan(int) (time.Time, bool) { return time.Time{}, false }

// processEnded cannot tell here.
func processEnded(int) bool { return false }
