package proxy

import (
	"errors"
	"net"

	"netserver/proto"
)

// closeWrite shuts down the sending direction of nc.
func closeWrite(nc net.Conn) error {
	if w, ok := nc.(proto.HalfCloser); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// reset closes nc with a reset, where the protocol has one, as TCP does.
func reset(nc net.Conn) {
	if t, ok := nc.(interface{ SetLinger(int) error }); ok {
		t.SetLinger(0)
	}
	nc.Close()
}
