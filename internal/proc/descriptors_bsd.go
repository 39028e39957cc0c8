//go:build unix && !linux

package proc

func closeRange() bool { return false }
