//go:build !unix

package proc

// CloseInherited does nothing: only named handles are inherited here.
func CloseInherited() {}

// KeepToItself does nothing here.
func KeepToItself() error { return nil }
