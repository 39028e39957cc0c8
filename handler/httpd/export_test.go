package httpd

import "context"

// IsWaiting reports whether the connection of a request that has been answered
// waits for the next one.
func IsWaiting(ctx context.Context) bool {
	hc := connOf(ctx)
	return hc.phase.Load() == phaseIdle && hc.reads.busy()
}

// HasEnded reports whether the client of a request is over but for that request.
func HasEnded(ctx context.Context) bool {
	hc := connOf(ctx)
	return hc.over.Load() && hc.open.Load() <= 0
}
