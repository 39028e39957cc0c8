package supervisor

import (
	"time"
)

// A Scale is what the numbers of processes come to.
type Scale struct {
	Min, Max           int // processes
	MinSpare, MaxSpare int // without a client
	Clients            int // of one process at once; 0 is no limit
	Requests           int // after which one ends; 0 is never
	Dynamic            bool
	Surplus, MinLife   time.Duration // of WorkersConfig, as they are in force
	Grows              growth
}

// oneCPU reports whether one processor is enough for each process, of so many
// that there are.
func (s Scale) oneCPU(processors int) bool { return s.Clients == 1 && s.Max >= processors }

// A growth is what TTIN and TTOU add to.
type growth uint8

const (
	growsNot     growth = iota
	GrowsClients        // of the one process, if they are limited
	GrowsProcesses
)

// A population is how many processes there are and what they do.
type population struct {
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
func (s Scale) want(c population) (start, end int) {
	total := c.waiting + c.busy + c.starting
	waiting := c.waiting + c.starting
	room := max(0, s.Max-total-c.last)
	switch {
	case total < s.Min:
		return min(s.Min-total, room), 0
	case !s.Dynamic:
		return 0, max(0, total-s.Max)
	case waiting < s.MinSpare && total < s.Max:
		return min(s.MinSpare-waiting, room), 0
	case total > s.Max:
		return 0, total - s.Max
	case c.sinceLook >= s.Surplus && c.sinceStart >= s.MinLife && waiting > s.MaxSpare && total > s.Min:
		return 0, min(waiting-s.MaxSpare, total-s.Min)
	case c.sinceClient >= calmTime && waiting > s.MinSpare && total > s.Min:
		return 0, min(waiting-s.MinSpare, total-s.Min)
	}
	return 0, 0
}

// next says after what time want could have some process ended, with no
// change but that of time; false if never.
func (s Scale) next(c population) (time.Duration, bool) {
	total, waiting := c.waiting+c.busy+c.starting, c.waiting+c.starting
	if !s.Dynamic || total <= s.Min || waiting <= s.MinSpare {
		return 0, false
	}
	d := calmTime - c.sinceClient
	if waiting > s.MaxSpare {
		d = min(d, max(s.Surplus-c.sinceLook, s.MinLife-c.sinceStart))
	}
	return max(d, 10*time.Millisecond), true
}
