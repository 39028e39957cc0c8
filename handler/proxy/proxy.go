package proxy

import (
	"context"
	"time"

	"netserver"
)

const (
	defaultConnectTimeout = 5 * time.Second
	defaultAnswerTimeout  = 2 * time.Second
)

// A Handler forwards clients to a backend. Its fields must not change while it
// serves; it may serve any number of clients at once.
type Handler struct {
	// Target is the backend: host:port, [address]:port, or the path of a UNIX
	// stream socket, as /path, unix:/path or unix:path (unix:@name is an
	// abstract one of Linux). A host name is looked up for each client, and
	// its addresses are tried in turn. Required.
	Target string
	// ConnectTimeout bounds connecting to the backend, including the look-up
	// and all addresses. Default 5 s; negative leaves it to the system, which
	// may take minutes.
	ConnectTimeout time.Duration
	// AnswerTimeout is how long a datagram waits for the backend's answers.
	// Default 2 s; it cannot be disabled, because each waiting datagram holds
	// a socket.
	AnswerTimeout time.Duration
	// Answers is how many datagrams the backend sends back for each of the
	// client's. Default 1. With more, the client gets those that arrive within
	// AnswerTimeout. Negative means that none is expected, as for syslog, and
	// does not wait.
	Answers int
}

func (h *Handler) connectTimeout() time.Duration {
	switch {
	case h.ConnectTimeout == 0:
		return defaultConnectTimeout
	case h.ConnectTimeout < 0:
		return 0
	}
	return h.ConnectTimeout
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
// begin with "proxy_to TARGET: ".
func (h *Handler) Serve(ctx context.Context, c *netserver.Conn) error {
	t, err := parseTarget(h.Target)
	if err != nil {
		return err
	}
	if c.Datagram() {
		return h.datagram(ctx, c, t)
	}
	b, err := h.connect(ctx, c, t)
	if err != nil {
		return err
	}
	return join(ctx, c, b, t)
}
