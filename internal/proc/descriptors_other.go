//go:build !unix

package proc

// CloseInherited does nothing: only named handles are inherited here.
func CloseInherited() {}
