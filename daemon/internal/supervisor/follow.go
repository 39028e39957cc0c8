package supervisor

import (
	"context"
	"slices"

	"netserver/daemon/internal/wire"
	"netserver/internal/watch"
)

// follows reports whether the supervisor follows the files of a generation's
// TLS ports: its workers may not see them.
func (g *generation) follows() bool {
	id := g.conf.Identity
	return (id.Account != nil || id.Chroot != "") && len(g.plan.Files)+len(g.plan.Dirs) > 0
}

// followFiles tells the workers of g when files are changed, until g is closed.
func (s *supervisor) followFiles(g *generation) {
	if !g.follows() {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.unfollow = cancel
	tell := func(paths []string) { s.post(func() { g.filesChanged(paths) }) }
	w := &watch.Watcher{
		Ready: func() { tell(nil) },
		Failed: func(dir string, err error) {
			s.log.Warn("cannot watch files for changes; polling them instead", "directory", dir, "err", err)
		},
	}
	list := slices.Concat(g.plan.Files, g.plan.Dirs)
	go w.Run(ctx, func() []string { return list }, tell)
}

func (g *generation) filesChanged(paths []string) {
	if g.leaving {
		return
	}
	for w := range g.workers {
		if w.ready {
			w.tell(wire.Message{Op: wire.OpFiles, Paths: paths})
		}
	}
}
