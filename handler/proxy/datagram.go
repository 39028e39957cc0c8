package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"netserver"
)

// maxDatagram is more than any UDP datagram holds.
const maxDatagram = 64 << 10

var datagrams = sync.Pool{New: func() any { b := make([]byte, maxDatagram); return &b }}

// datagram forwards one datagram and returns its answers. Each has its own
// socket to the backend, so answers need no matching.
func (h *Handler) datagram(ctx context.Context, c *netserver.Conn, on *Backend) error {
	buf := datagrams.Get().(*[]byte)
	defer datagrams.Put(buf)
	n, err := readPacket(c, *buf)
	if err != nil {
		return err
	}
	ep, err := on.acquireFor(ctx, c)
	if err != nil {
		return err
	}
	defer on.release(ep)
	if ep.where.network != "tcp" {
		return ep.failed(errors.New("datagrams cannot go to a socket path; set host:port"))
	}
	d := net.Dialer{Timeout: on.connectTimeout()}
	b, err := d.DialContext(ctx, "udp", ep.where.address)
	if err != nil {
		return ep.failed(connectReason(err, on.connectTimeout()))
	}
	defer b.Close()
	stop := context.AfterFunc(ctx, func() { b.Close() })
	defer stop()
	c.Note(slog.String("backend", b.RemoteAddr().String()))
	if _, err := b.Write((*buf)[:n]); err != nil {
		return ep.failed(reason(err))
	}
	return h.answersBack(ctx, c, b, ep, *buf)
}

// answersBack forwards the backend's answers to the client.
func (h *Handler) answersBack(ctx context.Context, c *netserver.Conn, b net.Conn, ep *endpoint, buf []byte) error {
	b.SetReadDeadline(time.Now().Add(h.answerTimeout()))
	for got := range h.answers() {
		n, err := b.Read(buf)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, os.ErrDeadlineExceeded) && got > 0:
			return nil // fewer answers than expected are not an error
		case errors.Is(err, os.ErrDeadlineExceeded):
			return ep.failed(lateError("no answer within " + h.answerTimeout().String()))
		default:
			return ep.failed(errnoOf(err))
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return err
		}
	}
	return nil
}

// readPacket reads the client's datagram into b.
func readPacket(c *netserver.Conn, b []byte) (n int, err error) {
	for {
		m, err := c.Read(b[n:])
		n += m
		switch {
		case err == io.EOF:
			return n, nil
		case err != nil:
			return n, err
		case n == len(b):
			return n, io.ErrShortBuffer
		}
	}
}

// errnoOf returns the system's part of err, or err.
func errnoOf(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
