package acme

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"netserver/cluster"
	"netserver/cluster/storetest"
)

// Who has made an order gives the lease back, and goes on with one whose renewal
// was written although the answer got lost.
func TestLeaseIsGivenBack(t *testing.T) {
	dirs := storages(t, 2)
	synctest.Test(t, func(t *testing.T) {
		m := &storetest.Memory{}
		a := newNode(t, m, "a", dirs[0], nil, "a.example")
		leased := func() bool {
			_, err := m.Client().Get(t.Context(), a.sharing.key(kindLease, labelOf("a.example")))
			if err != nil && !errors.Is(err, cluster.ErrNotFound) {
				t.Error(err)
			}
			return err == nil
		}
		a.answer = func(_, name string) ([]byte, error) {
			time.Sleep(leaseEvery / 2)
			if !leased() {
				t.Error("an order without a lease")
			}
			a.client.SetFaults(storetest.Faults{Lost: true})
			time.Sleep(leaseEvery) // a renewal whose answer is lost
			a.client.SetFaults(storetest.Faults{})
			time.Sleep(leaseTTL) // and others after it
			if !leased() {
				t.Error("the lease was not renewed")
			}
			return issue(t, name, time.Now(), 90*day), nil
		}
		a.start()
		after(leaseTTL + 2*leaseEvery)
		if len(a.made()) != 1 || a.lines("obtained") != 1 || a.lines("is given up") != 0 {
			t.Errorf("%d orders: %s", len(a.made()), a.text())
		}
		if leased() {
			t.Error("the lease was not given back")
		}
		a.end()
	})
}

// A certificate that is due while the store is away is waited for, which is said
// once.
func TestWaitIsSaidOnce(t *testing.T) {
	dirs := storages(t, 1)
	synctest.Test(t, func(t *testing.T) {
		m := &storetest.Memory{}
		a := newNode(t, m, "a", dirs[0], issue(t, "a.example", time.Now().Add(-9*time.Hour), 15*time.Hour), "a.example")
		a.obtain = func(context.Context, string, string) ([]byte, error) { return nil, errors.New("an order") }
		a.start()
		after(time.Minute)
		m.SetFaults(storetest.Faults{ReadOnly: true})
		after(2 * time.Hour)
		if n := a.lines("is due, and waits for the store of the cluster"); n != 1 || len(a.made()) != 0 {
			t.Errorf("%d lines, %d orders: %s", n, len(a.made()), a.text())
		}
		a.end()
	})
}
