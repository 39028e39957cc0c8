package proxy

import (
	"context"
	"errors"
	"sync"
	"time"

	"netserver"
)

const defaultAnswerTimeout = 2 * time.Second

// A Handler forwards clients to a backend. Its fields must not change while it
// serves; it may serve any number of clients at once.
type Handler struct {
	// Target is short for a Backend of one target: host:port, [address]:port,
	// or the path of a UNIX stream socket, as /path, unix:/path or unix:path
	// (unix:@name is an abstract one of Linux). A host name is looked up for
	// each client, and its addresses are tried in turn. Either Target or Backend
	// is required.
	Target string
	// ConnectTimeout bounds connecting to Target, including the look-up and all
	// addresses. Default 5 s; negative leaves it to the system, which may take
	// minutes. A Backend has its own.
	ConnectTimeout time.Duration
	// Backend is used in place of Target; Handlers may share it.
	Backend *Backend
	// AnswerTimeout is how long a datagram waits for the backend's answers.
	// Default 2 s; it cannot be disabled, because each waiting datagram holds
	// a socket.
	AnswerTimeout time.Duration
	// Answers is how many datagrams the backend sends back for each of the
	// client's. Default 1. With more, the client gets those that arrive within
	// AnswerTimeout. Negative means that none is expected, as for syslog, and
	// does not wait.
	Answers int

	once   sync.Once
	opened *Backend // Backend, or one for Target
	err    error    // what is wrong with it
}

// backend returns the Backend to use, once it is known to be right.
func (h *Handler) backend() (*Backend, error) {
	h.once.Do(func() {
		switch h.opened = h.Backend; {
		case h.opened == nil:
			h.opened = &Backend{Targets: []Target{{Address: h.Target}}, ConnectTimeout: h.ConnectTimeout}
			h.opened.own, h.opened.label = true, "proxy_to "
		case h.Target != "" || h.ConnectTimeout != 0:
			h.err = errors.New("proxy.Handler has a Backend, and a Target or ConnectTimeout beside it: set one or the other")
			return
		}
		h.err = h.opened.init()
	})
	return h.opened, h.err
}

// Run runs the Backend until ctx ends; see Backend.Run. The server of h calls
// it. For a Target without SRV records there is nothing to do.
func (h *Handler) Run(ctx context.Context) {
	if b, err := h.backend(); err == nil && !(b.own && b.lone.Load() != nil) {
		b.Run(ctx)
	}
}

func (h *Handler) answerTimeout() time.Duration {
	if h.AnswerTimeout <= 0 {
		return defaultAnswerTimeout
	}
	return h.AnswerTimeout
}

func (h *Handler) answers() int {
	switch {
	case h.Answers == 0:
		return 1
	case h.Answers < 0:
		return 0
	}
	return h.Answers
}

// Serve connects to the backend and copies in both directions until both have
// ended, one side breaks off, or ctx is done. Errors caused by the backend
// begin with "proxy_to TARGET: ", or with "backend NAME: TARGET: ".
func (h *Handler) Serve(ctx context.Context, c *netserver.Conn) error {
	b, err := h.backend()
	if err != nil {
		return err
	}
	if c.Datagram() {
		return h.datagram(ctx, c, b)
	}
	nc, ep, err := b.reach(ctx, c)
	if err != nil {
		return err
	}
	return join(ctx, c, nc, b, ep)
}
