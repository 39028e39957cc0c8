//go:build unix && !linux

package descriptors

func closeRange() bool { return false }
