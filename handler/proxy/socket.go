package proxy

import (
	"errors"
	"net"

	"netserver/proto"
)

// closeWrite ends the sending direction of nc.
func closeWrite(nc net.Conn) error {
	if w, ok := nc.(proto.HalfCloser); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// reset closes nc so that the other side learns that it was broken off, where
// the socket can tell: TCP's can.
func reset(nc net.Conn) {
	if t, ok := nc.(interface{ SetLinger(int) error }); ok {
		t.SetLinger(0)
	}
	nc.Close()
}
