package clustering

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netserver/cluster"
	"netserver/cluster/storetest"
	"netserver/daemon/internal/wire"
)

// A told is what a Keeper has told, by number.
type told struct {
	mu   sync.Mutex
	list map[uint64][]wire.Kept
}

func (l *told) tell(id uint64, k wire.Kept) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.list == nil {
		l.list = make(map[uint64][]wire.Kept)
	}
	l.list[id] = append(l.list[id], k)
}

func (l *told) of(id uint64) []wire.Kept {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.list[id])
}

// A Keeper does what it is told to in the store, whatever that is, and one watch
// takes the place of another.
func TestKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s, l := &storetest.Memory{}, new(Sharing), new(told)
		k := NewKeeper(s, l.tell)
		do := func(id uint64, q wire.Keep) wire.Kept {
			t.Helper()
			k.Do(t.Context(), id, &q)
			synctest.Wait()
			got := l.of(id)
			if len(got) != 1 {
				t.Fatalf("%+v: %+v", q, got)
			}
			return got[0]
		}
		if a := do(1, wire.Keep{Verb: wire.KeepGet, Key: "x"}); a.Failed == "" {
			t.Error("a store that is not open answers")
		}
		var store cluster.Store = m.Client()
		s.store.Store(&store)
		put := do(2, wire.Keep{Verb: wire.KeepPut, Key: "x", Data: []byte("1"), TTL: time.Minute})
		if a := do(3, wire.Keep{Verb: wire.KeepGet, Key: "x"}); string(a.Data) != "1" || a.Rev != put.Rev {
			t.Errorf("%+v after %+v", a, put)
		}
		for id, q := range map[uint64]wire.Keep{
			4: {Verb: wire.KeepPut, Key: "x"}, 5: {Verb: wire.KeepDelete, Key: "x", Rev: put.Rev + 1}, 6: {Verb: wire.KeepGet, Key: "y"}, 7: {Verb: "drop", Key: "x"}, 8: {Verb: wire.KeepSet, Key: "../x"},
		} {
			if a := do(id, q); a.Failed == "" || a.Err() == nil {
				t.Errorf("%+v: %+v", q, a)
			}
		}
		for i := range 40 {
			m.Write(fmt.Sprint("acme/", i), bytes.Repeat([]byte("x"), cluster.MaxValue))
		}
		k.Do(t.Context(), 10, &wire.Keep{Verb: wire.KeepWatch, Key: "acme/"})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		events, synced := 0, false
		for _, a := range l.of(10) {
			events += len(a.Events)
			synced = a.Events[len(a.Events)-1].Synced
			if size := len(a.Events) * cluster.MaxValue; size > wire.MaxKeptBytes+cluster.MaxValue {
				t.Errorf("%d bytes in a message", size)
			}
		}
		if events != 41 || !synced {
			t.Errorf("%d events", events)
		}
		n := len(l.of(10))
		for i := range 1000 {
			m.Write("acme/0", fmt.Append(nil, i))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := l.of(10); len(got) > n+3 || string(got[len(got)-1].Events[0].Data) != "999" {
			t.Errorf("%d messages of one key's changes", len(got)-n)
		}
		k.Do(t.Context(), 11, &wire.Keep{Verb: wire.KeepWatch, Key: "acme/"})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := l.of(10); got[len(got)-1].Failed == "" {
			t.Error("two watches at once")
		}
		k.watch()
		k.wg.Wait()
	})
}
