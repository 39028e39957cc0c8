//go:build !unix

package childproc

import (
	"net"
	"os"
	"syscall"
)

// NewPair makes a socket pair, which this system has not.
func NewPair() (mine, theirs *os.File, err error) { return nil, nil, errNoLink() }

// ConnOf makes a connection of a file that NewPair made in the parent.
func ConnOf(*os.File) (net.Conn, error) { return nil, errNoLink() }

// EndPair ends a connection from this end of a pair.
func EndPair(syscall.Conn) error { return errNoLink() }
