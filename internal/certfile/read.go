package certfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// MaxSize is the largest file that Read accepts, in bytes. The largest in
// practice are revocation lists.
const MaxSize = 64 << 20

// A Role tells which of the two files an Error is about.
type Role int

const (
	RoleCert Role = iota // the certificate file
	RoleKey              // the private key file
)

// An Error says why a file is unusable. Reason follows the file's name.
type Error struct {
	Role   Role
	File   string
	Reason string
	Err    error // the cause, or nil
}

func (e *Error) Error() string { return e.File + " " + e.Reason }

// Unwrap returns the cause, such as fs.ErrNotExist.
func (e *Error) Unwrap() error { return e.Err }

func bad(role Role, file, format string, args ...any) *Error {
	return &Error{Role: role, File: file, Reason: fmt.Sprintf(format, args...)}
}

// Read reads a whole regular file of at most MaxSize bytes that is not empty.
// Anything else is an *Error.
func Read(role Role, file string) ([]byte, error) {
	data, err := read(file)
	if err != nil {
		err.Role = role
		return nil, err
	}
	return data, nil
}

// read reads a file that does not change meanwhile: half of the old contents
// and half of the new may look like a whole file.
func read(file string) ([]byte, *Error) {
	for range 3 {
		data, same, err := readOnce(file)
		if err != nil || same {
			return data, err
		}
	}
	return nil, &Error{File: file, Reason: "changes all the time; replace it by renaming a new one over it"}
}

// readOnce also reports whether the file stayed unchanged meanwhile.
func readOnce(file string) (data []byte, same bool, fail *Error) {
	// Check before opening: opening a device may have effects. A named pipe
	// that replaces it is opened without waiting for a writer.
	fi, err := os.Stat(file)
	if err != nil {
		return nil, false, osError(file, err)
	}
	if fi.IsDir() {
		return nil, false, &Error{File: file, Reason: "is a directory; name a file in it, or serve all of it with SSL_cert_dir"}
	}
	if !fi.Mode().IsRegular() {
		return nil, false, &Error{File: file, Reason: "is not a regular file"}
	}
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, false, osError(file, err)
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return nil, false, osError(file, err)
	}
	if !before.Mode().IsRegular() {
		return nil, false, &Error{File: file, Reason: "is not a regular file"}
	}
	if data, err = io.ReadAll(io.LimitReader(f, MaxSize+1)); err != nil {
		return nil, false, osError(file, err)
	}
	after, err := f.Stat()
	switch {
	case err != nil:
		return nil, false, osError(file, err)
	case len(data) > MaxSize:
		return nil, false, &Error{File: file, Reason: fmt.Sprintf("is larger than %d MiB", MaxSize>>20)}
	case len(bytes.TrimSpace(data)) == 0:
		return nil, false, &Error{File: file, Reason: "is empty"}
	}
	same = (after.Size() == int64(len(data)) || after.Size() == 0) && before.Size() == after.Size() && before.ModTime().Equal(after.ModTime())
	return data, same, nil
}

func osError(file string, err error) *Error {
	e := &Error{File: file, Err: err}
	var pe *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Reason = "does not exist; give the path of a file"
	case errors.Is(err, fs.ErrPermission):
		e.Reason = "cannot be read: permission denied; let the user that starts the server read it"
	case errors.As(err, &pe):
		e.Reason = "cannot be read: " + pe.Err.Error()
	default:
		e.Reason = "cannot be read: " + err.Error()
	}
	return e
}
