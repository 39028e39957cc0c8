//go:build !linux

package sandbox

import (
	"errors"
	"fmt"
	"runtime"
)

// Restrict cannot be done here.
func Restrict(Sandbox) (string, error) {
	return "", fmt.Errorf("%s has no Landlock: %w", runtime.GOOS, errors.ErrUnsupported)
}

// KeepToItself does nothing here.
func KeepToItself() error { return nil }
