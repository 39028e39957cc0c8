//go:build unix && !linux

package proto

// acknowledge does nothing: only Linux can be asked.
func acknowledge(uintptr) {}
