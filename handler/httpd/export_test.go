package httpd

import "context"

// IsWaiting reports whether the connection of a request that has been answered
// waits for the next one.
func IsWaiting(ctx context.Context) bool {
	hc := connOf(ctx)
	return hc.phase.Load() == phaseIdle && hc.reads.busy()
}

// EnterUnwatched does for the clients of c's server what a Handler does by itself,
// except that nothing waits for the drain.
func (h *Handler) EnterUnwatched(drained <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.runs == nil {
		h.runs = make(map[<-chan struct{}]*servers)
	}
	if h.runs[drained] == nil {
		h.runs[drained] = h.newServers(drained)
	}
}

// BeginSparing does what a drain does before net/http closes what looks idle to
// it, and returns a function that closes the connection of a request as net/http
// does then.
func BeginSparing(ctx context.Context) (closeIdle func()) {
	hc := connOf(ctx)
	hc.s.sparing.Store(true)
	return func() { hc.Close() }
}
