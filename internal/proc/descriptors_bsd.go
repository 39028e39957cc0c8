//go:build unix && !linux

package proc

func closeRange() bool { return false }

// KeepToItself does nothing here.
func KeepToItself() error { return nil }
