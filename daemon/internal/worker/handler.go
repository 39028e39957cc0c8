package worker

import (
	"context"
	"net"

	"netserver"
	"netserver/daemon/internal/wire"
	"netserver/internal/bridge"
)

// counted is the Handler with a count of the clients in it.
type counted struct {
	w *worker
	netserver.Handler
}

// StartsTLS says what the Handler does.
func (h *counted) StartsTLS() bool {
	s, ok := h.Handler.(bridge.TLSStarter)
	return ok && s.StartsTLS()
}

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

// Descriptors tells what the Handler opens for each client.
func (h *counted) Descriptors() int {
	if d, ok := h.Handler.(netserver.Descriptors); ok {
		return d.Descriptors()
	}
	return 0
}

// Check lets the Handler refuse the addresses that are served.
func (h *counted) Check(addrs ...net.Addr) error {
	if c, ok := h.Handler.(interface{ Check(...net.Addr) error }); ok {
		return c.Check(addrs...)
	}
	return nil
}
