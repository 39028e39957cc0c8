package worker

import (
	"context"
	"net/netip"
	"os"

	"netserver/cluster"
	"netserver/daemon/internal/clustering"
	"netserver/daemon/internal/wire"
	"netserver/internal/proc"
	"netserver/internal/sandbox"
)

// share tells the supervisor what this worker has for other nodes.
func (w *worker) share(s clustering.Share) {
	for _, part := range s.Parts() {
		wire.Send(w.link, wire.Message{Op: wire.OpShare, Shared: &part})
	}
}

// staples shares OCSP responses with other nodes, by the supervisor.
type staples struct{ w *worker }

func (s staples) Get(_ context.Context, leaf [32]byte) []byte {
	m, err := s.w.ask(wire.Message{Op: wire.OpStaple, Have: leaf[:]})
	if err != nil || m.Failed != "" {
		return nil
	}
	return m.Data
}

func (s staples) Put(leaf [32]byte, der []byte) {
	if len(der) > 0 && len(der) <= wire.MaxStaple {
		wire.Send(s.w.link, wire.Message{Op: wire.OpStaple, Have: leaf[:], Data: der})
	}
}

// runCluster is what a process does that shares with other nodes: it has become
// who the workers are, reaches the store and nothing else, and tells the
// supervisor what it hears.
func (w *worker) runCluster(ctx context.Context) int {
	signals := w.o.Signals()
	defer proc.SurviveBrokenPipes()()
	var err error
	if w.conf, err = w.o.Settings(w.init.Plan); err != nil {
		return w.fail(err)
	}
	endLog := w.openLog()
	defer endLog()
	ended := make(chan struct{})
	go w.listen(ended)
	c := w.init.Cluster
	box := sandbox.Sandbox{Read: append(systemFiles[:], nameFiles[:]...), Write: c.Write}
	for _, file := range append(nameFiles[:], c.Read...) {
		box.Read = append(box.Read, placesOf(file)...)
	}
	if err := w.confineHelper(box); err != nil {
		return w.fail(err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s := new(clustering.Sharing)
	keeper := clustering.NewKeeper(s, func(id uint64, k wire.Kept) {
		wire.Send(w.link, wire.Message{Op: wire.OpKept, ID: id, Kept: &k})
	})
	go w.obeyForCluster(ctx, stop, signals, ended, s, keeper)
	wire.Send(w.link, wire.Message{Op: wire.OpReady, Sandbox: w.confined})
	if err := s.Run(ctx, c, w.o.Stores, w.log, func(n cluster.News) {
		wire.Send(w.link, wire.Message{Op: wire.OpNews, News: &n})
	}); err != nil {
		return w.fail(err)
	}
	if ctx.Err() == nil {
		return wire.ExitFailed
	}
	return wire.ExitDone
}

// obeyForCluster passes on what the supervisor says, and ends the process when
// that says so or is gone.
func (w *worker) obeyForCluster(ctx context.Context, stop func(), signals <-chan os.Signal, ended <-chan struct{}, s *clustering.Sharing, keeper *clustering.Keeper) {
	defer stop()
	for {
		select {
		case sig := <-signals:
			if proc.IsStop(sig) {
				return
			}
		case c := <-w.commands:
			switch c.Op {
			case wire.OpReport:
				if c.Report != nil {
					s.Report(*c.Report)
				}
			case wire.OpDistrust:
				s.Distrust()
			case wire.OpLifted:
				if p, err := netip.ParsePrefix(c.Network); err == nil {
					s.Lifted(p)
				}
			case wire.OpKeep:
				if c.Keep != nil {
					keeper.Do(ctx, c.ID, c.Keep)
				}
			case wire.OpStop:
				return
			}
		case <-ended:
			return
		case <-ctx.Done():
			return
		}
	}
}
