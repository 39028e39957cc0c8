package admit

import (
	"testing"
	"time"
)

// What a client costs that is admitted, and one that takes its turn in the
// handshake scheduler.
func TestAllocsOfAdmission(t *testing.T) {
	l := NewLimiter(Limits{MaxPerSource: 1000, MaxPerPrefix: 1000, Penalty: Penalty{Threshold: 1000}})
	a := addr4(192, 0, 2, 1)
	if l.Enter(a) != OK { // somebody of this source is always there
		t.Fatal("refused")
	}
	if n := testing.AllocsPerRun(1000, func() {
		if l.Enter(a) != OK {
			t.Fatal("refused")
		}
		l.Leave(a)
	}); n != 0 {
		t.Errorf("a client of a known source: %v allocations", n)
	}
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		i++
		one := addr4(10, i>>8&255, i&255, 1)
		if l.Enter(one) != OK {
			t.Fatal("refused")
		}
		l.Leave(one)
	}); n > 2 {
		t.Errorf("a client of a new source: %v allocations, want 2: source and prefix", n)
	}
	q := NewQueue(QueueConfig{})
	k := &starter{}
	turn(q, k) // the source is known then
	if n := testing.AllocsPerRun(1000, func() { turn(q, k) }); n > 1 {
		t.Errorf("a turn: %v allocations, want 1: its ticket", n)
	}
}

func turn(q *Queue, k *starter) {
	t := q.Add(honest, k, time.Second)
	t.Submit()
	t.Begin()
	t.Waiting()
	t.Woken()
	t.Done()
}
