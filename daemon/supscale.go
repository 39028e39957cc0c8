package daemon

import (
	"time"
)

// A scale is what the numbers of processes come to.
type scale struct {
	min, max           int // processes
	minSpare, maxSpare int // without a client
	clients            int // of one process at once; 0 is no limit
	requests           int // after which one ends; 0 is never
	dynamic            bool
	surplus, minLife   time.Duration // of WorkersConfig, as they are in force
	grows              growth
}

// A growth is what TTIN and TTOU add to.
type growth uint8

const (
	growsNot     growth = iota
	growsClients        // of the one process, if they are limited
	growsProcesses
)

// A census is how many processes there are and what they do.
type census struct {
	waiting, busy, starting int
	last                    int           // that end, but are full until then
	sinceStart              time.Duration // of the last process
	sinceLook               time.Duration // for surplus
	sinceClient             time.Duration // that reached a handler
}

// calmTime is how long no client has come when a pool goes down to what it
// needs at the least; the original's number.
const calmTime = 30 * time.Second

// want says how many processes to start or to end now, by the original's
// rules. Processes that are starting count as waiting. Those that end with
// clients, one of which may have come as they were told, do not help any more,
// but still are some of the most that there may be.
func (s scale) want(c census) (start, end int) {
	total := c.waiting + c.busy + c.starting
	waiting := c.waiting + c.starting
	room := max(0, s.max-total-c.last)
	switch {
	case total < s.min:
		return min(s.min-total, room), 0
	case !s.dynamic:
		return 0, max(0, total-s.max)
	case waiting < s.minSpare && total < s.max:
		return min(s.minSpare-waiting, room), 0
	case total > s.max:
		return 0, total - s.max
	case c.sinceLook >= s.surplus && c.sinceStart >= s.minLife && waiting > s.maxSpare && total > s.min:
		return 0, min(waiting-s.maxSpare, total-s.min)
	case c.sinceClient >= calmTime && waiting > s.minSpare && total > s.min:
		return 0, min(waiting-s.minSpare, total-s.min)
	}
	return 0, 0
}

// next says after what time want could have some process ended, with no
// change but that of time; false if never.
func (s scale) next(c census) (time.Duration, bool) {
	total, waiting := c.waiting+c.busy+c.starting, c.waiting+c.starting
	if !s.dynamic || total <= s.min || waiting <= s.minSpare {
		return 0, false
	}
	d := calmTime - c.sinceClient
	if waiting > s.maxSpare {
		d = min(d, max(s.surplus-c.sinceLook, s.minLife-c.sinceStart))
	}
	return max(d, 10*time.Millisecond), true
}
