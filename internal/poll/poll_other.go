//go:build !linux

package poll

import (
	"errors"
	"syscall"
)

// A Poller cannot be had: here a goroutine waits for each socket.
type Poller struct{}

// New fails with errors.ErrUnsupported.
func New() (*Poller, error) { return nil, errors.ErrUnsupported }

// Wait, Watch and Close are those of a Poller that there is not.
func (*Poller) Wait() ([]uint64, error) { return nil, errors.ErrUnsupported }
func (*Poller) Watch(syscall.RawConn, uint64, bool, bool, bool) error {
	return errors.ErrUnsupported
}
func (*Poller) Close() {}
