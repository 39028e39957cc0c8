//go:build !unix

package identity

import (
	"errors"
	"io/fs"
)

// Can always fails here: rights of other users are not worked out, and nobody
// can become another user.
func (FileRights) Can(string, uint32) error { return errors.ErrUnsupported }

// Allows returns true here.
func (FileRights) Allows(string, fs.FileInfo, uint32) bool { return true }

// MayReplace returns true here.
func (FileRights) MayReplace(string) bool { return true }

// Walk always fails here.
func (FileRights) Walk(string, func(dir string, d, entry fs.FileInfo) bool) (fs.FileInfo, error) {
	return nil, errors.ErrUnsupported
}
