//go:build !linux

package hello

import (
	"errors"
	"net"
)

// A poller is not used: here a goroutine waits for each client.
type poller struct{}

func newPoller() (*poller, error) { return nil, errors.ErrUnsupported }

func (*poller) wait() ([]found, error)            { return nil, errors.ErrUnsupported }
func (*poller) add(net.Conn, uint64, int) error   { return errors.ErrUnsupported }
func (*poller) again(net.Conn, uint64, int) error { return errors.ErrUnsupported }
func (*poller) done(net.Conn, bool) error         { return errors.ErrUnsupported }
func (*poller) close()                            {}
