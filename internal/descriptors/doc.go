// Package descriptors has the open files that a process gets from its parent:
// naming them, keeping what is inherited by accident from programs, the null
// device, and the limit on their number.
//
// It imports nothing of this module. Start reading at Inherited
// (inherited_unix.go) and CloseInherited (descriptors.go).
package descriptors
