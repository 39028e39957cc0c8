package admit

import (
	"net/netip"
	"testing"
	"time"
)

// A started notes that its handshake has a turn.
type started struct{ yes bool }

func (s *started) Start()  { s.yes = true }
func (*started) Cut(error) {}

// However many wait for the network, no more have a turn than the limit of all
// says.
func TestNoMoreTurnsThanTheLimit(t *testing.T) {
	const procs = 4
	q := NewQueue(QueueConfig{Procs: procs})
	var tickets []*Ticket
	var tasks []*started
	for i := range 30 {
		s := &started{}
		k := q.Add(netip.AddrFrom4([4]byte{10, byte(i % 5), 0, 1}), s, time.Minute)
		k.Submit()
		tickets, tasks = append(tickets, k), append(tasks, s)
	}
	waits := make([]bool, len(tasks))
	for more := true; more; {
		more = false
		for i, s := range tasks {
			if s.yes && !waits[i] {
				waits[i], more = true, true
				tickets[i].Waiting()
			}
		}
	}
	n := 0
	for _, s := range tasks {
		if s.yes {
			n++
		}
	}
	if n != rootFactor*procs {
		t.Errorf("%d have a turn, want %d", n, rootFactor*procs)
	}
	for _, k := range tickets {
		k.Done()
	}
}

// A tick that comes late narrows the limits where sources share them, and not
// for one that is alone.
func TestLateTick(t *testing.T) {
	for sources, want := range map[int]bool{1: false, 2: true} {
		q := NewQueue(QueueConfig{Procs: 1})
		now, tick := int64(1), func() {}
		q.clock = func() int64 { return now }
		q.after = func(_ time.Duration, f func()) { tick = f }
		var tickets []*Ticket
		for i := range 10 {
			k := q.Add(netip.AddrFrom4([4]byte{10, byte(i % sources), 0, 1}), &started{}, time.Hour)
			k.Submit()
			tickets = append(tickets, k)
		}
		now += int64(tickEvery) + 3*paceLate
		tick()
		q.mu.Lock()
		narrow := q.pace.narrow > 0
		q.mu.Unlock()
		if narrow != want {
			t.Errorf("%d sources: narrow is %v", sources, narrow)
		}
		for _, k := range tickets {
			k.Done()
		}
	}
}
