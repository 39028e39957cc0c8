package proto

import (
	"errors"
	"sync"
)

// A Trier is a connection that can read and write without waiting.
type Trier interface {
	// TryRead reads what has come; 0 and nil is nothing. The rules for the
	// goroutine that reads hold for it.
	TryRead(b []byte) (n int, err error)
	// TryWrite takes of b what can be sent soon, 0 while it still Holds
	// something. With an empty b it sends of that what can be sent. It must not
	// be called while another TryWrite or Write runs.
	TryWrite(b []byte) (n int, err error)
	// Holds returns how many bytes are held back that TryWrite has taken: a
	// TryWrite sends them when the socket can be written. It may be called at
	// any time.
	Holds() int
}

// maxHeld bounds what is held back: a record that TryWrite has taken, and what
// crypto/tls answers to key updates.
const maxHeld = 64 << 10

var errHeld = errors.New("TLS: the client takes none of what it is sent")

// maxTry is as much as one TryWrite takes: what its records come to is held
// back as a whole.
const maxTry = 16 << 10

// unsent is what the socket has not taken of the records that TryWrite has made.
type unsent struct {
	mu sync.Mutex
	b  []byte
}

// TryRead reads decrypted bytes that are there, and does not wait: a part of a
// record is kept by crypto/tls, and is nothing yet. It returns
// errors.ErrUnsupported where that cannot be had.
func (c *TLSConn) TryRead(b []byte) (int, error) {
	if !c.ahead.canTry() {
		return 0, errors.ErrUnsupported
	}
	c.ahead.tries = true
	n, err := c.read(b)
	c.ahead.tries = false
	if err == error(errWouldWait{}) {
		err = nil
	}
	return n, err
}

// TryWrite encrypts and sends b, or the beginning of it.
func (c *TLSConn) TryWrite(b []byte) (int, error) {
	switch {
	case c.dead.Load():
		return 0, errAlerted
	case !c.ahead.canTry():
		return 0, errors.ErrUnsupported
	case c.ahead.unsent.Load() == nil:
		c.ahead.unsent.Store(new(unsent))
	}
	if left, err := c.ahead.flush(); err != nil || left > 0 || len(b) == 0 {
		return 0, err
	}
	return c.Conn.Write(b[:min(len(b), maxTry)])
}

// Holds returns how many bytes are held back.
func (c *TLSConn) Holds() int {
	h := c.ahead.unsent.Load()
	if h == nil {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.b)
}

// writeHeld is Write once TryWrite has been called.
func (c *TLSConn) writeHeld(b []byte) (n int, err error) {
	for {
		if err := c.ahead.drain(); err != nil || n == len(b) {
			return n, err
		}
		m, err := c.Conn.Write(b[n:min(len(b), n+maxTry)])
		if n += m; err != nil {
			return n, err
		}
	}
}

// hold sends of b what can be sent, and keeps the rest.
func (a *ahead) hold(h *unsent, b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	if len(h.b) == 0 {
		var err error
		if n, err = a.trySend(b); err != nil {
			return n, err
		}
	}
	if len(h.b)+len(b)-n > maxHeld {
		return n, errHeld
	}
	if n < len(b) {
		h.b = append(h.b, b[n:]...)
	}
	return len(b), nil
}

// flush sends what can be sent of what is held, and returns how much is left.
func (a *ahead) flush() (left int, err error) {
	h := a.unsent.Load()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.b) == 0 {
		return 0, nil
	}
	n, err := a.trySend(h.b)
	h.drop(n)
	return len(h.b), err
}

// drain sends all that is held, up to the write deadline.
func (a *ahead) drain() error {
	h := a.unsent.Load()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.b) == 0 {
		return nil
	}
	n, err := a.Conn.Write(h.b)
	h.drop(n)
	return err
}

func (h *unsent) drop(n int) {
	if h.b = h.b[n:]; len(h.b) == 0 {
		h.b = nil
	}
}
