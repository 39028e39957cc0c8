//go:build !linux

package proc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
)

// OpenAs opens a file with the rights of another user, which this system
// cannot do for one thread.
func OpenAs(Account, string, int, fs.FileMode) (*os.File, error) {
	return nil, fmt.Errorf("on %s no single thread can have another user's rights: %w", runtime.GOOS, errors.ErrUnsupported)
}
