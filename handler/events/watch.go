package events

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"time"
)

// What a function is, in the lowest bits of Client.began.
const (
	doingOpen = iota + 1
	doingInput
	doingEOF
	doingTimeout
	doingDrain
	doingClose
	doingMask = 7
)

var doing = [...]string{"", "Open", "Input", "EOF", "Timeout", "Drain", "Close"}

// A function that takes so long is named in the log, and watchEvery is how often
// somebody looks.
const (
	tooLong    = time.Second
	watchEvery = 250 * time.Millisecond
)

// maxStack bounds what the log tells of a function's stack, in bytes.
const maxStack = 8 << 10

// Run names functions that take too long in the log, until ctx ends. The engine
// calls it.
func (h *Handler) Run(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			h.watch(now)
		}
	}
}

func (h *Handler) watch(now time.Time) {
	if !h.Parallel {
		if c := h.running.Load(); c != nil {
			c.watch(now)
		}
		return
	}
	for _, c := range h.Clients() {
		c.watch(now)
	}
}

// watch logs, once, a function of the client that takes too long.
func (c *Client) watch(now time.Time) {
	began := c.began.Load()
	if began == 0 || began == c.warned || now.UnixNano()-began < int64(tooLong) {
		return
	}
	c.warned = began
	c.conn.Logger().Warn("a function of the events handler blocks, and clients wait for it",
		slog.String("function", doing[began&doingMask]),
		slog.Duration("for", time.Duration(now.UnixNano()-began).Round(time.Millisecond)),
		slog.String("stack", stackOf(c)))
}

// stackOf returns the stack of the goroutine that has the client, or, as that
// cannot always be told, of all that have one.
func stackOf(c *Client) string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	this := fmt.Appendf(nil, "events.(*Client).does(%p", c)
	var all [][]byte
	for _, g := range bytes.Split(buf, []byte("\n\n")) {
		switch {
		case bytes.Contains(g, this):
			return string(g[:min(len(g), maxStack)])
		case bytes.Contains(g, []byte("events.(*Client).does(")):
			all = append(all, g)
		}
	}
	s := bytes.Join(all, []byte("\n\n"))
	return string(s[:min(len(s), maxStack)])
}
