package netserver_test

import (
	"crypto/tls"
	"net"
	"sync"
	"testing"
	"time"

	"netserver/netservertest"
)

// A holder keeps what is written to it while it holds.
type holder struct {
	net.Conn
	mu   sync.Mutex
	hold bool
	held []byte
}

func (h *holder) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.hold {
		h.held = append(h.held, b...)
		return len(b), nil
	}
	return h.Conn.Write(b)
}

// shakeAndHold shakes hands on raw. drip then sends b under TLS, so many bytes
// of the records a second.
func shakeAndHold(t *testing.T, raw net.Conn) (c *tls.Conn, drip func(c *tls.Conn, b []byte, perSecond int)) {
	t.Helper()
	h := &holder{Conn: raw}
	c = tls.Client(h, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	go c.Read(make([]byte, 1)) // session tickets: net.Pipe holds nothing
	return c, func(c *tls.Conn, b []byte, perSecond int) {
		h.mu.Lock()
		h.hold = true
		h.mu.Unlock()
		c.Write(b)
		for n := range len(h.held) {
			if _, err := raw.Write(h.held[n : n+1]); err != nil {
				return
			}
			time.Sleep(time.Second / time.Duration(perSecond))
		}
	}
}

func tlsClient(t *testing.T, r *netservertest.Running, raw net.Conn) net.Conn {
	t.Helper()
	c := tls.Client(raw, r.ClientTLS())
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}
