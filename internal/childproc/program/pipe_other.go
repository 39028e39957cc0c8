//go:build !linux

package program

import "os"

// pipe makes a pipe between us and a program.
func pipe(bool) (r, w *os.File, err error) { return os.Pipe() }
