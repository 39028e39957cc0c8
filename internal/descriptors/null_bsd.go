//go:build unix && !linux

package descriptors

// stdinIsNull cannot tell here.
func stdinIsNull() bool { return false }
