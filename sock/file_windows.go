package sock

import (
	"os"
	"syscall"
)

// copyFile is not possible: package net cannot make a listener of a handle
// on Windows.
func copyFile(syscall.Conn, string) (*os.File, error) { return nil, syscall.EWINDOWS }
