package worker

import (
	"time"

	"netserver/daemon/internal/wire"
	"netserver/proto"
)

// renewTickets takes the supervisor's secrets in place of those before.
func (w *worker) renewTickets(n *wire.Secrets) {
	if n == nil || len(n.Current) == 0 {
		return
	}
	for _, s := range proto.Sources(w.p.Transports) {
		s.RenewTicketSecret(w.init.Secret, n.Current, n.Past...)
	}
}

// setChallenges has the ports answer challenges of certificate authorities.
func (w *worker) setChallenges(all []wire.Challenge) *wire.Answer {
	a := new(wire.Answer)
	if err := wire.SetChallenges(proto.Sources(w.p.Transports), w.p.Answers, all); err != nil {
		a.Failed = err.Error()
	}
	return a
}

// reloadPause is how long a worker waits before it tries files again that were
// no good: the other half of a pair may be under way.
const reloadPause = time.Second

// A reloader reads files again: TLS of ports, or to targets.
type reloader interface {
	TryReload(paths ...string) error
	Reload(paths ...string) error
}

// reloadFiles reads TLS files again, twice if need be. The Sources log what
// is wrong the second time.
func (w *worker) reloadFiles(paths []string) {
	var all, again []reloader
	for _, s := range proto.Sources(w.p.Transports) {
		all = append(all, s)
	}
	for _, s := range w.p.Outbound {
		all = append(all, s)
	}
	for _, s := range all {
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
