package supervisor

import (
	"fmt"

	"netserver/internal/proc"
)

// isSupervisors reports whether how, the end of a process before it could take
// signals, is one that was meant for the supervisor.
func isSupervisors(how string) bool {
	for _, s := range proc.ServerSignals() {
		if !proc.IsStop(s) && how == fmt.Sprintf("signal: %v", s) {
			return true
		}
	}
	return false
}

// maxEarlyEnds is how many processes of one start may end so.
const maxEarlyEnds = 10

// restartEarly starts a process again that a signal ended before it could serve,
// and reports whether it has.
func (s *supervisor) restartEarly(w *child, how string) bool {
	g := w.gen
	if g.early >= maxEarlyEnds || len(w.reason) > 0 || !w.dismissed && !isSupervisors(how) {
		return false
	}
	g.early++
	if how == "" {
		how = "signal"
	}
	s.log.Warn(fmt.Sprintf("worker %d (pid %d) was ended by a signal while it started (%s); starting it again", w.id, w.proc.Pid(), how))
	return s.spawn(g) == nil
}
