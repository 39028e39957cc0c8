package acme

import (
	"context"
	"log/slog"

	"netserver/daemon/internal/wire"
)

// A Running is a Manager that runs.
type Running struct {
	m      *Manager
	cancel context.CancelFunc
	done   chan struct{}
}

// Start runs a Manager on a goroutine of its own, once before is closed, which
// may be nil: two must not write to one storage. It tells tally how orders go,
// and shares certificates with the nodes of a cluster, nil for none.
func Start(c Config, tally *Tally, log *slog.Logger, deploy func(context.Context, []wire.Challenge) error, with *Cluster, before <-chan struct{}) *Running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Running{m: New(c, log, deploy, with), cancel: cancel, done: make(chan struct{})}
	r.m.tally = tally
	go r.run(ctx, before)
	return r
}

func (r *Running) run(ctx context.Context, before <-chan struct{}) {
	defer close(r.done)
	if before != nil {
		<-before
	}
	r.m.Run(ctx)
}

// Hurry is Manager.Hurry.
func (r *Running) Hurry() { r.m.Hurry() }

// Cancel ends it. It does not wait for that: Done does.
func (r *Running) Cancel() { r.cancel() }

// Done returns a channel that is closed when it has ended.
func (r *Running) Done() <-chan struct{} { return r.done }
