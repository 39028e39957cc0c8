package worker

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"netserver/daemon/internal/wire"
)

// told runs reports over what f does, and returns what was sent, and when.
func told(t *testing.T, f func(r *reports, serving *atomic.Int64, total *atomic.Uint64, leaving *atomic.Bool)) (sent []wire.Status, at []time.Duration) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		var serving atomic.Int64
		var total atomic.Uint64
		var leaving atomic.Bool
		r, done, ended, begin := newReports(), make(chan struct{}), make(chan struct{}), time.Now()
		status := func() wire.Status {
			return wire.Status{Serving: int(serving.Load()), Total: total.Load(), Leaving: leaving.Load()}
		}
		go func() {
			defer close(ended)
			r.run(status, func(s wire.Status) { sent, at = append(sent, s), append(at, time.Since(begin)) }, done)
		}()
		synctest.Wait()
		f(r, &serving, &total, &leaving)
		time.Sleep(time.Second)
		close(done)
		<-ended
	})
	return sent, at
}

// client comes, stays and leaves.
func client(r *reports, serving *atomic.Int64, total *atomic.Uint64, stay time.Duration) {
	serving.Add(1)
	total.Add(1)
	r.changed()
	time.Sleep(stay)
	serving.Add(-1)
	r.changed()
}

func TestBusyIsToldSoon(t *testing.T) {
	sent, at := told(t, func(r *reports, serving *atomic.Int64, total *atomic.Uint64, _ *atomic.Bool) {
		client(r, serving, total, time.Second)
	})
	if len(sent) != 2 || sent[0].Serving != 1 || sent[1].Serving != 0 || at[0] != settleTime || at[1] != time.Second+settleTime {
		t.Errorf("sent %+v at %v", sent, at)
	}
}

func TestShortClientsAreToldOfTogether(t *testing.T) {
	const clients = 5000
	sent, at := told(t, func(r *reports, serving *atomic.Int64, total *atomic.Uint64, _ *atomic.Bool) {
		for range clients {
			client(r, serving, total, 150*time.Microsecond)
			time.Sleep(50 * time.Microsecond)
		}
	})
	if n := len(sent); n == 0 || n > int(time.Second/reportTime)+5 {
		t.Errorf("%d reports in a second", n)
	}
	for i := range at[1:] {
		if at[i+1]-at[i] < reportTime {
			t.Errorf("reports at %v and %v", at[i], at[i+1])
		}
	}
	if last := sent[len(sent)-1]; last != (wire.Status{Total: clients}) {
		t.Errorf("the last was %+v", last)
	}
}

// A single client that came and left between two looks is told of, though
// later.
func TestTotalIsTold(t *testing.T) {
	sent, at := told(t, func(r *reports, serving *atomic.Int64, total *atomic.Uint64, _ *atomic.Bool) {
		client(r, serving, total, time.Second)
		time.Sleep(time.Second)
		client(r, serving, total, time.Millisecond)
		client(r, serving, total, 50*time.Microsecond)
		time.Sleep(10 * time.Millisecond)
		client(r, serving, total, time.Millisecond)
	})
	if len(sent) < 3 || sent[len(sent)-1] != (wire.Status{Total: 4}) || at[len(at)-1] > 2*time.Second+2*totalTime {
		t.Errorf("sent %+v at %v", sent, at)
	}
}

func TestLeavingIsToldAtOnce(t *testing.T) {
	sent, at := told(t, func(r *reports, serving *atomic.Int64, total *atomic.Uint64, leaving *atomic.Bool) {
		client(r, serving, total, 3*time.Millisecond)
		serving.Add(1)
		total.Add(1)
		r.changed()
		leaving.Store(true)
		r.now()
	})
	want := wire.Status{Serving: 1, Total: 2, Leaving: true}
	if len(sent) < 2 || sent[1] != want || at[1] != 3*time.Millisecond {
		t.Errorf("sent %+v at %v", sent, at)
	}
}
