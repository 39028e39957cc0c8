package mend

import (
	"errors"
	"os"
	"strings"

	"netserver/sock"
)

// ErrSpoiled is the error of a socket that cannot be repaired: it must be
// opened again once every process that shares it has closed it.
var ErrSpoiled = errors.New("the socket must be opened again")

// Socket checks an open socket that other processes share and may have changed
// for all: by shutdown(2), connect(2), listen(2), a filter, or a device or hop
// limit that keeps packets out. It undoes the change and returns what was
// wrong, "" for nothing. An error other than ErrSpoiled says why the check
// failed.
//
// Socket finds changes that would end a port for all who share it. It ignores
// options that each process sets for itself, such as those for accepted
// connections.
func Socket(f *os.File, r sock.Request) (found string, err error) {
	c, err := f.SyscallConn()
	if err != nil {
		return "", err
	}
	var list []string
	var bad error
	err = c.Control(func(fd uintptr) { list, bad = mend(int(fd), r) })
	return strings.Join(list, ", "), errors.Join(err, bad)
}
