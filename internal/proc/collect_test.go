package proc_test

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"

	"netserver/internal/proc"
	"netserver/netservertest"
)

const garbage = 8 << 20

func gcPercent() uint64 {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// waitPercent has the collector run until it is set as right tells.
func waitPercent(t *testing.T, what string, right func(uint64) bool) {
	t.Helper()
	netservertest.Eventually(t, what, func() bool { runtime.GC(); return right(gcPercent()) })
}

// A process that uses little may have more garbage, one that uses much no more
// than with Go's default, and back.
func TestPaceGC(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(77))
	stop := proc.PaceGC(garbage)
	defer stop()
	waitPercent(t, "more than twice as much with next to nothing in use", func(n uint64) bool { return n > 200 && n <= 400 })
	held := make([]byte, garbage/2)
	waitPercent(t, "with half of it in use something between", func(n uint64) bool { return n > 100 && n < 300 })
	more := make([]byte, 2*garbage)
	waitPercent(t, "Go's default with more in use", func(n uint64) bool { return n == 100 })
	runtime.KeepAlive(held)
	runtime.KeepAlive(more)
	held, more = nil, nil
	waitPercent(t, "as in the beginning", func(n uint64) bool { return n > 200 })
	stop()
	if n := gcPercent(); n != 77 {
		t.Errorf("GOGC is %d afterwards", n)
	}
	runtime.GC()
	runtime.GC()
	if n := gcPercent(); n != 77 {
		t.Errorf("GOGC is %d after a collection", n)
	}
}

func TestPaceGCHonoursTheEnvironment(t *testing.T) {
	t.Setenv("GOGC", "150")
	defer debug.SetGCPercent(debug.SetGCPercent(150))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 40))
	stop := proc.PaceGC(garbage)
	runtime.GC()
	if n := gcPercent(); n != 150 {
		t.Errorf("GOGC is %d", n)
	}
	if n := debug.SetMemoryLimit(-1); n != 1<<40 {
		t.Errorf("GOMEMLIMIT is %d", n)
	}
	stop()
	t.Setenv("GOGC", "")
	defer proc.PaceGC(0)()
	if n := gcPercent(); n != 150 {
		t.Errorf("GOGC is %d with no garbage to spare", n)
	}
}

// kept returns how much memory the heap has that is neither in use nor given
// back.
func kept() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() + s[1].Value.Uint64() - min(s[2].Value.Uint64(), s[0].Value.Uint64())
}

// A process that has become quiet gives back what only its busy time needed.
func TestQuietGivesBack(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	stop := proc.PaceGC(garbage)
	defer stop()
	held := make([][]byte, 64<<10)
	for i := range held {
		held[i] = make([]byte, 1<<10)
	}
	runtime.GC()
	runtime.KeepAlive(held)
	held = nil
	if n := kept(); n > 32<<20 {
		t.Fatalf("%d bytes before", n)
	}
	runtime.GC() // what was held is free now, and stays
	netservertest.Eventually(t, "64 MiB given back", func() bool { return kept() < 8<<20 })
}
