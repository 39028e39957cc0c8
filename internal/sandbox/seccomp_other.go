//go:build !linux || (!amd64 && !arm64)

package sandbox

import (
	"errors"
	"fmt"
	"runtime"
)

// RefuseCalls is an error here.
func RefuseCalls() error {
	return fmt.Errorf("there is no seccomp filter for %s on %s: %w", runtime.GOOS, runtime.GOARCH, errors.ErrUnsupported)
}
