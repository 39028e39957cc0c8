package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netserver/cluster"
)

func TestMemory(t *testing.T) {
	var mu sync.Mutex
	stores := map[string]*Memory{}
	Run(t, func(t *testing.T, namespace string) cluster.Store {
		mu.Lock()
		defer mu.Unlock()
		if stores[namespace] == nil {
			stores[namespace] = &Memory{}
		}
		return stores[namespace].Client()
	})
}

func TestMemoryFaults(t *testing.T) {
	ctx := context.Background()
	for _, tt := range []struct {
		name       string
		faults     Faults
		read, kept error
		takes      time.Duration
	}{
		{"none", Faults{}, nil, nil, 0},
		{"down", Faults{Down: true}, ErrDown, ErrDown, 0},
		{"slow", Faults{Delay: time.Second}, nil, nil, time.Second},
		{"too slow", Faults{Delay: time.Minute}, context.DeadlineExceeded, context.DeadlineExceeded, cluster.DefaultTimeout},
		{"hangs", Faults{Hang: true}, context.DeadlineExceeded, context.DeadlineExceeded, cluster.DefaultTimeout},
		{"read-only", Faults{ReadOnly: true}, nil, cluster.ErrReadOnly, 0},
		{"full", Faults{Full: true}, nil, cluster.ErrFull, 0},
		{"oversize", Faults{Oversize: true}, cluster.ErrValue, nil, 0},
		{"lost", Faults{Lost: true}, nil, ErrDown, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &Memory{}
				m.Write("x", []byte("1"))
				c := m.Client()
				c.SetFaults(tt.faults)
				begin := time.Now()
				if _, err := c.Get(ctx, "x"); !errors.Is(err, tt.read) {
					t.Errorf("Get: %v, want %v", err, tt.read)
				}
				if d := time.Since(begin); d != tt.takes {
					t.Errorf("Get has taken %v, want %v", d, tt.takes)
				}
				if _, err := c.Set(ctx, "x", []byte("2"), 0); !errors.Is(err, tt.kept) {
					t.Errorf("Set: %v, want %v", err, tt.kept)
				}
			})
		})
	}
}

func TestMemoryLies(t *testing.T) {
	ctx := context.Background()
	m := &Memory{}
	c := m.Client()
	m.Write("x", []byte("1"))
	backup := m.Backup()
	m.Write("x", []byte("2"))
	c.SetFaults(Faults{Old: true})
	if v, err := c.Get(ctx, "x"); string(v.Data) != "1" || v.Rev != 2 {
		t.Errorf("Get: %q in revision %d, %v", v.Data, v.Rev, err)
	}
	c.SetFaults(Faults{Garbage: true})
	if v, err := c.Get(ctx, "x"); string(v.Data[:8]) != "garbage " {
		t.Errorf("Get: %q, %v", v.Data, err)
	}
	c.SetFaults(Faults{})
	m.Restore(backup)
	if v, err := c.Get(ctx, "x"); string(v.Data) != "1" || v.Rev != 1 {
		t.Errorf("Get after Restore: %q in revision %d, %v", v.Data, v.Rev, err)
	}
	m.Write("large", make([]byte, cluster.MaxValue+1))
	if _, err := c.Get(ctx, "large"); !errors.Is(err, cluster.ErrValue) {
		t.Errorf("Get of a large value: %v", err)
	}
	if keys := m.Keys(); !slices.Equal(keys, []string{"large", "x"}) || m.Writes() != 3 {
		t.Errorf("%d writes, keys %v", m.Writes(), keys)
	}
}

// A Watch ends where a real one would: when the store is down, or has said
// nothing for long.
func TestMemoryWatchFaults(t *testing.T) {
	for _, tt := range []struct {
		faults Faults
		want   error
	}{{Faults{Down: true}, ErrDown}, {Faults{Hang: true}, context.DeadlineExceeded}} {
		synctest.Test(t, func(t *testing.T) {
			m := &Memory{}
			c, done, seen := m.Client(), make(chan error), 0
			go func() { done <- c.Watch(t.Context(), "", func(cluster.Event) { seen++ }) }()
			synctest.Wait()
			m.SetFaults(tt.faults)
			if err := <-done; !errors.Is(err, tt.want) {
				t.Errorf("Watch: %v, want %v", err, tt.want)
			}
			if seen != 1 {
				t.Errorf("%d events, want Synced alone", seen)
			}
		})
	}
}
