package place

import (
	"errors"
	"io/fs"
)

// WithoutPath returns what a *fs.PathError wraps, for messages that name the
// file themselves, or name another than the one that was opened; any other
// error as it is.
func WithoutPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
