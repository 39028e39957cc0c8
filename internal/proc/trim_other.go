//go:build !linux

package proc

// TrimProgram does nothing here: the system takes back by itself what is not
// used.
func TrimProgram() error { return nil }
