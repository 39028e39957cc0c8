package daemon

import (
	"fmt"
	"time"

	"netserver"
)

// leave closes the ports and lets clients finish, but for those that l names.
func (w *worker) leave(l leave) {
	w.mu.Lock()
	w.leaving = true
	w.mu.Unlock()
	for _, ln := range w.ls {
		ln.Close()
	}
	if len(l.Changed) > 0 {
		time.AfterFunc(l.Grace, func() { w.cut("of ports that were changed or removed", l.Changed, l.Spread) })
	}
	if l.Limit > 0 {
		time.AfterFunc(l.Limit, func() { w.cut("that stayed beyond hup_grace", nil, l.Spread) })
	}
	w.changed()
}

// cut ends the clients of some ports, or all if there are none, one after the
// other over the window: cut at once, they would all be back at once.
func (w *worker) cut(which string, places []int, window time.Duration) {
	gone := make(map[int]bool)
	for _, i := range places {
		gone[i] = true
	}
	var list []*netserver.Conn
	w.mu.Lock()
	for c, place := range w.clients {
		if gone[place] || len(places) == 0 {
			list = append(list, c)
		}
	}
	w.mu.Unlock()
	if len(list) > 0 {
		notice(w.log, fmt.Sprintf("clients %s are cut: %d", which, len(list)))
	}
	pause := window / time.Duration(max(len(list), 1))
	began := time.Now()
	for i, c := range list {
		// Each pause would be a little too long; they must not add up.
		time.Sleep(time.Until(began.Add(time.Duration(i) * pause)))
		w.mu.Lock()
		_, there := w.clients[c]
		w.mu.Unlock()
		if there {
			c.Close()
		}
	}
}

// graceTime is the grace time as it is in force.
func (c *Config) graceTime() time.Duration {
	switch g := c.Server.Grace; {
	case g < 0:
		return 0
	case g == 0:
		return defaultGrace
	default:
		return g
	}
}

const (
	defaultGrace   = 30 * time.Second
	maxGraceSpread = 5 * time.Second // of the default
)

// graceSpread is the time after the grace time over which those who are still
// there are cut, as the engine has it.
func (c *Config) graceSpread() time.Duration {
	switch s := c.Server.GraceSpread; {
	case s < 0:
		return 0
	case s == 0:
		return min(c.graceTime()/10, maxGraceSpread)
	default:
		return s
	}
}

func (c *Config) grace() string {
	if g := c.graceTime(); g > 0 {
		return g.String()
	}
	return "no time"
}
