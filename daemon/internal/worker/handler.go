package worker

import (
	"context"
	"errors"

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
	parked := false
	done := func() {
		w.serving.Add(-1)
		w.changed()
	}
	defer func() {
		if !parked {
			done()
		}
	}()
	err := h.Handler.Serve(ctx, c)
	if errors.Is(err, netserver.ErrParked) {
		parked = true
		context.AfterFunc(ctx, done)
	}
	return err
}
