package sock

import (
	"errors"
	"os"
	"strings"
)

// ErrSpoiled is the error of a socket that cannot be mended where it is: it has
// to be opened again, once every process that shares it has closed it.
var ErrSpoiled = errors.New("the socket has to be opened again")

// Mend looks at an open socket that other processes share, and may have
// changed for everybody: by shutdown(2), connect(2), listen(2), a filter, or a
// device or hop limit that it takes nothing from. It makes it again what it was,
// and returns what was wrong; "" is nothing. An error other than ErrSpoiled
// says why that could not be told.
//
// Mend finds what would end a port for all who share it. It does not look at
// options that each process sets for itself, as those for accepted connections.
func Mend(f *os.File, r Request) (found string, err error) {
	c, err := f.SyscallConn()
	if err != nil {
		return "", err
	}
	var list []string
	var bad error
	err = c.Control(func(fd uintptr) { list, bad = mend(int(fd), r) })
	return strings.Join(list, ", "), errors.Join(err, bad)
}
