//go:build !linux

package proc

// ActivityOf knows nothing here.
func ActivityOf(int) (Activity, bool) { return Activity{}, false }
