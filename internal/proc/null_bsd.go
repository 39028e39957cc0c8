//go:build unix && !linux

package proc

// stdinIsNull cannot tell here.
func stdinIsNull() bool { return false }
