package events

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"netserver"
)

// A turn is a Client that goes on.
type turn Client

// Serial has the clients of a Handler go on one at a time.
func (t *turn) Serial() any {
	if t.h.Parallel {
		return nil
	}
	return t.h
}

const (
	inputSize = 32 << 10 // of a buffer for input
	longest   = 64 << 10 // datagram
	bulk      = 4 << 10  // of one read: more is likely to be there
	reads     = 16       // of one turn
)

var inputs = sync.Pool{New: func() any { b := make([]byte, inputSize); return &b }}

// Serve sees what has happened to the client, and has it wait again.
func (t *turn) Serve(_ context.Context, conn *netserver.Conn) error {
	c := (*Client)(t)
	if !c.h.Parallel {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
	}
	ended := true // unless it parks: also if a function panics
	err := errors.New("one of the functions panicked")
	defer func() {
		if ended {
			c.end(err)
		}
	}()
	more := false
	if more, err = c.look(); err != nil {
		return err
	}
	waits, ferr := c.flush()
	if err = ferr; err != nil {
		return err
	}
	closing := c.closing()
	if closing && !waits {
		return nil
	}
	ended = false
	err = conn.ParkFor(t, !closing && !c.eof, waits)
	if more {
		conn.Wake()
	}
	return err
}

// look calls the functions for what has happened. It returns true if there may
// be more.
func (c *Client) look() (more bool, err error) {
	if !c.opened {
		c.opened = true
		c.h.add(c)
		c.conn.EndReadsOnDrain()
		if err := c.does(doingOpen, func() error { return c.h.callOpen(c) }); err != nil {
			return false, err
		}
	}
	if waits, err := c.flush(); err != nil || waits && c.closing() {
		return false, err
	}
	for range reads {
		if c.eof || c.closing() {
			return false, nil
		}
		n, err := c.read()
		if err != nil || n < bulk {
			return false, err
		}
	}
	return true, nil
}

// read reads once and calls the function for what there is.
func (c *Client) read() (n int, err error) {
	pooled := inputs.Get().(*[]byte)
	defer inputs.Put(pooled)
	b := *pooled
	need := len(c.rest) + bulk
	if c.conn.Datagram() {
		need = len(c.rest) + longest
	}
	if need > len(b) {
		b = make([]byte, need)
	}
	have := copy(b, c.rest)
	n, err = c.conn.TryRead(b[have:])
	if n > 0 {
		if err := c.input(b[:have+n]); err != nil {
			return n, err
		}
	}
	if err != nil {
		err = c.ended(err)
	}
	return n, err
}

// input gives Input what there is, and keeps what it does not use.
func (c *Client) input(in []byte) (err error) {
	used := len(in)
	if c.h.Input != nil {
		err = c.does(doingInput, func() (err error) {
			used, err = c.h.Input(c, in)
			return err
		})
	}
	if err != nil {
		return err
	}
	used = min(max(used, 0), len(in))
	switch rest := in[used:]; {
	case len(rest) == 0:
		c.rest = nil
	case len(rest) > c.h.maxInput():
		return ErrInputTooLong
	default:
		c.rest = append([]byte(nil), rest...)
	}
	return nil
}

// ended calls the function for what ended a read, and returns nil if the client
// goes on.
func (c *Client) ended(err error) error {
	switch {
	case err == io.EOF:
		c.eof = true
		rest := c.rest
		c.rest = nil
		if c.h.EOF != nil {
			err = c.does(doingEOF, func() error { return c.h.EOF(c, rest) })
		} else {
			err = nil
		}
		c.Close()
		return err
	case errors.Is(err, netserver.ErrDraining):
		if c.h.Drain == nil {
			c.Close()
			return nil
		}
		return c.does(doingDrain, func() error { return c.h.Drain(c) })
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.conn.SetReadDeadline(time.Time{})
		if c.h.Timeout == nil {
			return nil
		}
		return c.does(doingTimeout, func() error { return c.h.Timeout(c) })
	}
	return err
}

// does calls one of the functions. Of its errors io.EOF closes the client.
func (c *Client) does(what int64, f func() error) error {
	if !c.h.Parallel {
		c.h.running.Store(c)
		defer c.h.running.Store(nil)
	}
	c.began.Store(time.Now().UnixNano()&^doingMask | what)
	defer c.began.Store(0)
	err := f()
	if err == io.EOF {
		c.Close()
		return nil
	}
	return err
}

func (h *Handler) callOpen(c *Client) error {
	if h.Open == nil {
		return nil
	}
	return h.Open(c)
}

// end calls Close, the last of the functions.
func (c *Client) end(err error) {
	c.out.Lock()
	c.out.gone = true
	c.out.list, c.out.bytes = nil, 0
	c.out.Unlock()
	if !c.opened {
		return
	}
	c.h.remove(c)
	if c.h.Close != nil {
		c.does(doingClose, func() error { c.h.Close(c, err); return nil })
	}
}
