package acme

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"netserver/internal/metric"
)

// Metrics tell of orders that were done and failed, of when the next one is, and
// of a failure until there is a certificate.
func TestTally(t *testing.T) {
	storage := storageIn(t)
	synctest.Test(t, func(t *testing.T) {
		value := func(of *Tally, family, label string) float64 {
			var set metric.Set
			of.AddTo(&set)
			for _, one := range set.Series(family) {
				if one.Labels[0] == label {
					return one.Value
				}
			}
			return -1
		}
		r := newRig(t, storage, "a.example", "b.example")
		if n := value(r.tally, metric.ACMEOrders, metric.ResultDone); n != -1 {
			t.Errorf("%v orders are told of before anything is ordered", n)
		}
		good := r.answer
		r.answer = func(d, name string) ([]byte, error) {
			if name == "a.example" {
				return nil, errors.New("closed")
			}
			return good(d, name)
		}
		began := float64(time.Now().Unix())
		r.start()
		synctest.Wait()
		check := func(of *Tally, done, failed, lastError float64, from, to time.Duration) {
			t.Helper()
			if d, f := value(of, metric.ACMEOrders, metric.ResultDone), value(of, metric.ACMEOrders, metric.ResultFailed); d != done || f != failed {
				t.Errorf("%v orders done and %v failed, not %v and %v", d, f, done, failed)
			}
			if e := value(of, metric.ACMEError, "a.example"); e != lastError {
				t.Errorf("the error of a.example is of %v, not %v", e, lastError)
			}
			if in := value(of, metric.ACMENext, "a.example") - float64(time.Now().Unix()); in < from.Seconds() || in > to.Seconds() {
				t.Errorf("the next order of a.example is in %v seconds, not %v to %v", in, from, to)
			}
		}
		check(r.tally, 1, 1, began, time.Minute, 2*time.Minute)
		if e := value(r.tally, metric.ACMEError, "b.example"); e != 0 {
			t.Errorf("the error of b.example is of %v", e)
		}
		r.mu.Lock()
		r.answer = good
		r.mu.Unlock()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		check(r.tally, 2, 1, 0, 50*day, 61*day)
		r.end()
		// What follows it counts on, of its own names alone.
		again := newRig(t, storage, "a.example")
		again.tally = r.tally
		again.start()
		synctest.Wait()
		check(again.tally, 2, 1, 0, 50*day, 61*day)
		if e := value(again.tally, metric.ACMEError, "b.example"); e != -1 {
			t.Errorf("a name that is not ordered any more is told of: %v", e)
		}
		again.end()
	})
}
