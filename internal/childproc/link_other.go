//go:build !unix

package childproc

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
)

func errNoLink() error {
	return fmt.Errorf("links between processes on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// NewLink makes a socket pair, which this system has not.
func NewLink() (*Link, *os.File, error) { return nil, nil, errNoLink() }

// LinkOf makes a Link of the file that NewLink made in the parent.
func LinkOf(*os.File) (*Link, error) { return nil, errNoLink() }

func (l *Link) send([]byte, []*os.File) error { return errNoLink() }

func (l *Link) receiveHead([]byte) ([]*os.File, error) { return nil, errNoLink() }

func (l *Link) receiveBody([]byte) error { return errNoLink() }

func discard(files []*os.File) { closeFiles(files) }

func refuseRights(*net.UnixConn) {}
