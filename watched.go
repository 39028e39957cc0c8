package netserver

import (
	"net"
	"time"

	"netserver/proto"
)

// watched is a Conn as its Transport sees it in the handshake: the accepted
// connection, which tells the handshake scheduler when it waits.
type watched Conn

var _ proto.Waits = (*watched)(nil)

// Waiting tells that the handshake waits for the network.
func (w *watched) Waiting() { w.admission.ticket.Load().Waiting() }

// Woken tells that the network has something, and may wait for a turn.
func (w *watched) Woken() { w.admission.ticket.Load().Woken() }

// NetConn returns what Accept returned.
func (w *watched) NetConn() net.Conn {
	if w.l.own {
		return w.nc // which is Ready's to change after the handshake only
	}
	return w.raw
}

// Read reads, and counts as waiting for the network meanwhile.
func (w *watched) Read(b []byte) (int, error) {
	w.Waiting()
	n, err := w.raw.Read(b)
	w.Woken()
	return n, err
}

// The others are those of the accepted connection.
func (w *watched) Write(b []byte) (int, error)        { return w.raw.Write(b) }
func (w *watched) Close() error                       { return w.raw.Close() }
func (w *watched) LocalAddr() net.Addr                { return w.raw.LocalAddr() }
func (w *watched) RemoteAddr() net.Addr               { return w.raw.RemoteAddr() }
func (w *watched) SetDeadline(t time.Time) error      { return w.raw.SetDeadline(t) }
func (w *watched) SetReadDeadline(t time.Time) error  { return w.raw.SetReadDeadline(t) }
func (w *watched) SetWriteDeadline(t time.Time) error { return w.raw.SetWriteDeadline(t) }
