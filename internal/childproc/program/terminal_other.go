//go:build !linux

package program

import (
	"errors"
	"fmt"
	"os"
)

// OpenTerminal is for Linux.
func OpenTerminal(columns, rows uint16) (in *os.File, out *Outlet, theirs *os.File, err error) {
	return nil, nil, nil, fmt.Errorf("a terminal for programs needs Linux: %w", errors.ErrUnsupported)
}

// EndKeys is for Linux.
func EndKeys(*os.File, int) ([]byte, bool) { return nil, false }
