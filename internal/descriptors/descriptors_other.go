//go:build !unix

package descriptors

// CloseInherited does nothing: only named handles are inherited here.
func CloseInherited() {}
