//go:build !linux

package proc

import "time"

// Began is not known here.
func Began(int) (time.Time, bool) { return time.Time{}, false }

// Ended cannot tell here.
func Ended(int) bool { return false }
