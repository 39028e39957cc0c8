package clustering

import "netserver/cluster"

// A LeaveAsk is whether this server asks the others of the cluster if it may
// drain. Its owner has a lock.
type LeaveAsk struct {
	id   uint64 // of the last time that it began to ask
	asks int    // who asks; all at once are one
}

// Ask begins to ask, or ends it.
func (l *LeaveAsk) Ask(begin bool) {
	switch {
	case begin:
		if l.asks++; l.asks == 1 {
			l.id++
		}
	case l.asks > 0:
		l.asks--
	}
}

// ID is that of cluster.Report.Leave.
func (l *LeaveAsk) ID() uint64 {
	if l.asks == 0 {
		return 0
	}
	return l.id
}

// May returns what the answer says, if it is one to the question of now.
func (l *LeaveAsk) May(a *cluster.Leave) (may bool, why string) {
	if a == nil || a.Ask != l.ID() {
		return false, "the others are asked"
	}
	return a.May, a.Why
}
