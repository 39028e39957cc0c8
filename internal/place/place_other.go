//go:build !unix

package place

import (
	"io/fs"
	"os"
)

// OpenFile is os.OpenFile: this system's permissions are not owner and mode.
func OpenFile(path string, flag int, perm fs.FileMode, _ Options) (*os.File, error) {
	return os.OpenFile(path, flag, perm)
}

// Steady returns nil on this system.
func Steady(string) error { return nil }

// Guarded returns nil on this system.
func Guarded(string) error { return nil }

// Unwritable returns nil on this system.
func Unwritable(string, ...int) error { return nil }

// OthersRead returns false on this system.
func OthersRead(string) bool { return false }
