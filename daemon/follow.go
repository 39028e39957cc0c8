package daemon

import (
	"context"
	"slices"
	"time"

	"netserver/daemon/internal/wire"
	"netserver/internal/watch"
	"netserver/proto"
	"netserver/tlsparams"
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
			s.log.Warn("files cannot be followed at once, only looked at now and then", "directory", dir, "err", err)
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

// reloadPause is how long a worker waits before it tries files again that were
// no good: the other half of a pair may be under way.
const reloadPause = time.Second

// reloadFiles reads TLS files again, twice if need be. The Sources log what
// is wrong the second time.
func (w *worker) reloadFiles(paths []string) {
	var again []*tlsparams.Source
	for _, s := range sourcesOf(w.p.transports) {
		if s.TryReload(paths...) != nil {
			again = append(again, s)
		}
	}
	if len(again) == 0 {
		return
	}
	time.Sleep(reloadPause)
	for _, s := range again {
		s.Reload(paths...)
	}
}

// sourcesOf returns what the TLS of ports is made from, each once.
func sourcesOf(ts []proto.Transport) []*tlsparams.Source {
	var list []*tlsparams.Source
	for _, t := range ts {
		if st, ok := t.(proto.Startable); ok {
			t = st.TLS
		}
		s, ok := t.(interface{ Source() *tlsparams.Source })
		if ok && !slices.Contains(list, s.Source()) {
			list = append(list, s.Source())
		}
	}
	return list
}
