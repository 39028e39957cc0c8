//go:build !linux

package childproc

import (
	"os"
	"os/exec"
)

// openBinary notes the path: this system cannot execute an open file.
func openBinary(name string) (*Binary, error) {
	b := &Binary{name: name, path: name}
	b.file, _ = os.Open(name) // to tell it from its successor; it need not be readable
	return b, nil
}

func (b *Binary) reach(*exec.Cmd) (path string, release func()) { return b.path, func() {} }

// openOwn opens the file of this process's program.
func openOwn() (*os.File, error) {
	name, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return os.Open(name)
}
