//go:build unix

package logs

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// openNoWait keeps open from waiting for the reader of a named pipe, and a
// terminal from becoming the controlling one.
const openNoWait = syscall.O_NONBLOCK | syscall.O_NOCTTY

// noReader reports whether err is open's error for a named pipe without a
// reader, or for a socket.
func noReader(err error, path string) bool {
	if !errors.Is(err, syscall.ENXIO) {
		return false
	}
	info, err := os.Stat(path)
	return err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) != 0
}
