package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"netserver"
	"netserver/proto"
)

// The defaults of MaxInput and MaxOutput, in bytes.
const (
	DefaultMaxInput  = 64 << 10
	DefaultMaxOutput = 256 << 10
)

// What ends a client of a Handler. ErrSlowReceiver is outcome.SlowReceiver in its
// record.
var (
	ErrInputTooLong = errors.New("more input than is kept while nothing of it is used")
	ErrSlowReceiver = proto.ErrSlowReceiver
)

// A Handler calls its functions for what happens to clients. Functions that are
// nil are skipped. They are called one at a time, for all clients of the Handler
// together; with Parallel one at a time for each client. They must not wait for
// anything: one that takes longer than a second is named in the log, with its
// stack. One that panics ends its client alone. An error that one returns ends
// the client, at once, and stands in its record; io.EOF ends it as Client.Close
// does.
//
// It serves TCP, TLS and UNIX ports, and those for datagrams, where all that
// comes from one address is a client (see MaxSessions).
//
// A Handler may serve several ports. Its fields must not change while it serves;
// its methods may be called at any time, also by its functions.
type Handler struct {
	// Open is called first for each client.
	Open func(c *Client) error
	// Input is called when the client has sent something. In is all that has come
	// and has not been used yet; used is how many bytes of it are not wanted
	// again. The rest is offered again, with what follows. In may be changed,
	// and must not be kept. If Input is nil all input is thrown away.
	Input func(c *Client, in []byte) (used int, err error)
	// EOF is called when the client sends no more, with what has not been used.
	// After it the client is closed when it has been sent what is written.
	EOF func(c *Client, rest []byte) error
	// Timeout is called when the time of SetTimeout is over.
	Timeout func(c *Client) error
	// Drain is called when the server takes no more clients and wants those it
	// has to go. If it is nil they are closed, as by Client.Close.
	Drain func(c *Client) error
	// Close is called last, once for each client that Open was called for,
	// with what ended it: nil if it left or was closed. What is written in it
	// to this client is lost.
	Close func(c *Client, err error)

	// Parallel lets functions be called for different clients at the same time.
	Parallel bool
	// MaxInput is how many bytes of a client are kept that Input does not use;
	// more end it with ErrInputTooLong. 0 is DefaultMaxInput.
	MaxInput int
	// MaxOutput is how many bytes may wait for a client that does not take
	// them; more end it with ErrSlowReceiver. 0 is DefaultMaxOutput.
	MaxOutput int
	// MaxSessions is how many clients each port for datagrams may have at once,
	// as proto.Sessions tells; 0 is its default. With a negative number each
	// datagram is a client of its own.
	MaxSessions int

	mu   sync.Mutex // held while a function is called, but with Parallel
	list struct {
		sync.Mutex
		all []*Client
	}
	running atomic.Pointer[Client] // for whom a function is called; nil with Parallel
}

var (
	_ netserver.Handler = (*Handler)(nil)
	_ proto.Sessions    = (*Handler)(nil)
	_ proto.Runner      = (*Handler)(nil)
	_ proto.Serial      = (*turn)(nil)
)

// Sessions is MaxSessions.
func (h *Handler) Sessions() int { return h.MaxSessions }

// Serve has the client wait for its first turn.
func (h *Handler) Serve(_ context.Context, c *netserver.Conn) error {
	cl := &Client{h: h, conn: c}
	err := c.ParkFor((*turn)(cl), false, false)
	c.Wake()
	return err
}

// Do calls f as one of the Handler's functions: with no other at the same time,
// unless they are Parallel. It waits for its turn, so it must not be called by
// one of them.
func (h *Handler) Do(f func()) {
	if h.Parallel {
		f()
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// After calls f, as Do does, when d is over, unless the timer is stopped before.
// If f panics that is logged, to slog.Default(), and goes no further.
func (h *Handler) After(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(d, func() {
		defer func() {
			if v := recover(); v != nil {
				slog.Error("panic in a timer of the events handler", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			}
		}()
		h.Do(f)
	})
}

// Clients returns the clients whose Open has been called and whose Close has
// not.
func (h *Handler) Clients() []*Client {
	h.list.Lock()
	defer h.list.Unlock()
	return slices.Clone(h.list.all)
}

// Broadcast writes b to all clients for which to returns true, or to all if to
// is nil. It waits for nobody, and b is kept once for all who do not take it at
// once. It returns how many it was written to.
func (h *Handler) Broadcast(b []byte, to func(*Client) bool) (n int) {
	var kept []byte // a copy of b, once somebody needs it
	for _, c := range h.Clients() {
		if to != nil && !to(c) {
			continue
		}
		if c.send(b, &kept) == nil {
			n++
		}
	}
	return n
}

func (h *Handler) add(c *Client) {
	h.list.Lock()
	defer h.list.Unlock()
	c.at = len(h.list.all)
	h.list.all = append(h.list.all, c)
}

// remove takes c out; the last takes its place.
func (h *Handler) remove(c *Client) {
	h.list.Lock()
	defer h.list.Unlock()
	all := h.list.all
	last := len(all) - 1
	all[c.at] = all[last]
	all[c.at].at = c.at
	all[last] = nil
	h.list.all = all[:last]
}

func (h *Handler) maxInput() int {
	if h.MaxInput > 0 {
		return h.MaxInput
	}
	return DefaultMaxInput
}

func (h *Handler) maxOutput() int {
	if h.MaxOutput > 0 {
		return h.MaxOutput
	}
	return DefaultMaxOutput
}
