package worker

import (
	"context"

	"netserver"
	"netserver/daemon/internal/wire"
)

// counted is the Handler with a count of the clients in it.
type counted struct {
	w *worker
	netserver.Handler
}

// Unwrap returns the Handler itself.
func (h *counted) Unwrap() netserver.Handler { return h.Handler }

func (h *counted) Serve(ctx context.Context, c *netserver.Conn) error {
	w := h.w
	w.serving.Add(1)
	n := w.total.Add(1)
	if limit := w.init.MaxClients; limit > 0 && n == uint64(limit) {
		w.leave(wire.Leave{})
	}
	w.changed()
	defer func() {
		w.serving.Add(-1)
		w.changed()
	}()
	return h.Handler.Serve(ctx, c)
}
