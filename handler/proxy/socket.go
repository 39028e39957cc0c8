package proxy

import (
	"errors"
	"net"
)

// socketOf returns the socket below nc, or nc itself if it does not tell.
func socketOf(nc net.Conn) net.Conn {
	for range 8 { // more layers than anyone stacks
		u, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		nc = u.NetConn()
	}
	return nc
}

// closeWrite ends the sending direction of nc.
func closeWrite(nc net.Conn) error {
	if w, ok := nc.(interface{ CloseWrite() error }); ok {
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
