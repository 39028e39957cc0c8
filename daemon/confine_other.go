//go:build !linux

package daemon

import (
	"errors"
	"fmt"
	"runtime"
)

func restrictFiles(fence) (string, error) {
	return "", fmt.Errorf("%s has no Landlock: %w", runtime.GOOS, errors.ErrUnsupported)
}
