package logging

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"netserver"
	"netserver/access"
)

// Connects returns h with Net::Server's line in the log of each client that is
// about to be served. log is asked for each, as it is opened late.
func Connects(h netserver.Handler, log func() *slog.Logger) netserver.Handler {
	if _, ok := h.(*connects); ok || h == nil {
		return h
	}
	if f, ok := h.(netserver.HandlerFunc); ok && f == nil {
		return h // which Serve refuses
	}
	return &connects{h, log}
}

type connects struct {
	netserver.Handler
	log func() *slog.Logger
}

func (h *connects) Serve(ctx context.Context, c *netserver.Conn) error {
	h.logConnect(ctx, c)
	return h.Handler.Serve(ctx, c)
}

// logConnect is not part of Serve, whose frame stays on the client's stack while
// it is served: with the attributes on it that stack grew by 4 KiB.
//
//go:noinline
func (h *connects) logConnect(ctx context.Context, c *netserver.Conn) {
	if log := h.log(); log.Enabled(ctx, slog.LevelInfo) {
		log.LogAttrs(ctx, slog.LevelInfo, connectLine(c), slog.Uint64("client", c.ID()))
	}
}

func connectLine(c *netserver.Conn) string {
	proto := strings.ToUpper(c.Port().Proto)
	if peer := c.Peer(); peer.IP.IsValid() {
		local := access.PeerOf(c.LocalAddr())
		return fmt.Sprintf("CONNECT %s Peer: \"[%s]:%d\" Local: \"[%s]:%d\"", proto, peer.IP, peer.Port, local.IP, local.Port)
	}
	return fmt.Sprintf("CONNECT %s Socket: %q", proto, c.LocalAddr().String())
}

// Unwrap returns the Handler itself.
func (h *connects) Unwrap() netserver.Handler { return h.Handler }
