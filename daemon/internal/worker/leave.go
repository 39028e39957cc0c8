package worker

import (
	"fmt"
	"time"

	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/internal/bridge"
)

// leavingPage is how many clients are asked for at once.
const leavingPage = 1000

// leave closes the ports and lets clients finish, but for those that l names.
func (w *worker) leave(l wire.Leave) {
	w.setLeaving()
	for _, ln := range w.ls {
		ln.(bridge.Listener).Retire()
	}
	if len(l.Changed) > 0 {
		time.AfterFunc(l.Grace, func() {
			w.cut("of ports that were changed or removed", "a restart changed or removed its port, and its grace time is over", l.Changed, l.Spread)
		})
	}
	if l.Limit > 0 {
		time.AfterFunc(l.Limit, func() {
			w.cut("that stayed beyond hup_grace", "the server was restarted, and hup_grace is over", nil, l.Spread)
		})
	}
	w.changedNow()
}

// cut ends the clients of some ports, or all if there are none, one after the
// other over the window: cut at once, they would all be back at once. The log
// tells which they are, and the record of each why.
func (w *worker) cut(which, why string, places []int, window time.Duration) {
	gone := make(map[string]bool)
	for _, i := range places {
		gone[placeOf(specOf(w.ls[i]))] = true
	}
	server := w.p.Server.Monitor()
	var list []uint64
	for after, n := uint64(0), leavingPage; n == leavingPage; {
		page := server.Clients(after, leavingPage)
		n = len(page)
		for _, c := range page {
			after = c.ID
			if len(places) == 0 || gone[placeOf(c.Port)] {
				list = append(list, c.ID)
			}
		}
	}
	if len(list) > 0 {
		logging.Notice(w.log, fmt.Sprintf("clients %s disconnected: %d", which, len(list)))
	}
	pause := window / time.Duration(max(len(list), 1))
	began := time.Now()
	for i, id := range list {
		// Each pause would be a little too long; they must not add up.
		time.Sleep(time.Until(began.Add(time.Duration(i) * pause)))
		w.p.engine().Cut(id, why)
	}
}
