package daemon

import (
	"context"
	"fmt"
	"net"
	"sync"

	"netserver/port"
	"netserver/sock"
)

// oneEnd is what is left of Hooks to run for a server in one process.
type oneEnd struct {
	h    Hooks
	once sync.Once
}

// begin runs what comes before the first client, where one process is both
// supervisor and worker.
func (h Hooks) begin(ctx context.Context, ls []net.Listener) (*oneEnd, error) {
	if h.Bound != nil {
		var ports []port.Spec
		for _, l := range ls {
			if b, ok := l.(sock.Named); ok {
				ports = append(ports, b.Spec())
			}
		}
		h.Bound(ports)
	}
	if h.WorkerStart != nil {
		if err := h.WorkerStart(ctx); err != nil {
			return nil, fmt.Errorf("Hooks.WorkerStart: %w", err)
		}
	}
	if h.Serving != nil {
		h.Serving()
	}
	return &oneEnd{h: h}, nil
}

// ending runs Ending, if that has not been done.
func (e *oneEnd) ending() {
	e.once.Do(func() {
		if e.h.Ending != nil {
			e.h.Ending()
		}
	})
}

// ended runs what comes after the last client.
func (e *oneEnd) ended() {
	e.ending() // all listeners have ended by themselves
	if e.h.WorkerStop != nil {
		e.h.WorkerStop()
	}
	if e.h.Ended != nil {
		e.h.Ended()
	}
}
