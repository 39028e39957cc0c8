package acme

import (
	"sync"
	"time"

	"netserver/internal/metric"
)

// A Tally is what metrics say of orders. It outlives Managers, so that a reload
// loses no count. The zero value is ready; its methods may be called at any time.
type Tally struct {
	mu           sync.Mutex
	done, failed uint64
	names        map[string]standing // of the Manager that runs
}

// A standing is how it stands with a name.
type standing struct {
	next   time.Time // zero: no order is to come
	failed time.Time // when the last order failed; zero: it did not
}

// begin forgets the names of a Manager of before.
func (t *Tally) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.names = make(map[string]standing)
}

// stands notes how it stands with a name.
func (t *Tally) stands(name string, s standing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.names[name] = s
}

// ordered counts an order that has ended.
func (t *Tally) ordered(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.done++
	} else {
		t.failed++
	}
}

// AddTo adds it to set; nothing if nothing was ever to be ordered.
func (t *Tally) AddTo(set *metric.Set) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.names == nil {
		return
	}
	set.Add(metric.ACMEOrders, float64(t.done), metric.ResultDone)
	set.Add(metric.ACMEOrders, float64(t.failed), metric.ResultFailed)
	for name, s := range t.names {
		if !s.next.IsZero() {
			set.Add(metric.ACMENext, float64(s.next.Unix()), name)
		}
		var failed float64
		if !s.failed.IsZero() {
			failed = float64(s.failed.Unix())
		}
		set.Add(metric.ACMEError, failed, name)
	}
}
