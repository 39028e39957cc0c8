package httpd

import "context"

// IsWaiting reports whether the connection of a request that has been answered
// waits for the next one.
func IsWaiting(ctx context.Context) bool {
	hc := connOf(ctx)
	return hc.phase.Load() == phaseIdle && hc.reads.busy()
}
