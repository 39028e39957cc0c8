package proc

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// Of garbage as a percentage of what is in use, as GOGC counts it: Go's
// default, and the most that a process with little in use lets come together.
const (
	usualGarbage = 100
	mostGarbage  = 400
)

// PaceGC has the process collect less often while it uses little memory: up to
// garbage bytes of it may come together, even where that is more than what is
// in use, at most four times that. From garbage bytes in use on it is as always
// with Go. 0 changes nothing. If the process's control group has less memory
// than the machine, the collector works harder near that, at SoftLimit.
//
// What the environment says by GOGC and GOMEMLIMIT stays. stop undoes all of
// it. What is in use is looked at after each collection. It is for a process
// that belongs to the program alone.
func PaceGC(garbage int64) (stop func()) {
	p := &pacer{garbage: garbage, percent: usualGarbage}
	limit := debug.SetMemoryLimit(-1)
	if m := groupMemory(); limit == math.MaxInt64 && m > 0 && m < machineMemory() {
		debug.SetMemoryLimit(SoftLimit(m))
	}
	if garbage > 0 && os.Getenv("GOGC") == "" {
		p.before = debug.SetGCPercent(mostGarbage)
		p.percent = mostGarbage
		for i, name := range inUse {
			p.inUse[i].Name = name
		}
		p.adapt()
	}
	return func() {
		p.end()
		debug.SetMemoryLimit(limit)
	}
}

// SoftLimit returns the Go memory limit of a process that may have so many
// bytes: sockets, programs and the supervisor need some as well.
func SoftLimit(memory int64) int64 { return memory / 10 * 9 }

// inUse are the metrics of what GOGC's percentage is of.
var inUse = [...]string{"/gc/heap/live:bytes", "/gc/scan/stack:bytes", "/gc/scan/globals:bytes"}

// A pacer sets GOGC by what is in use.
type pacer struct {
	garbage int64
	inUse   [len(inUse)]metrics.Sample

	mu      sync.Mutex
	percent int
	before  int
	ended   bool
}

// A cycle is what nobody holds: it goes with the next collection.
type cycle struct{ *pacer }

// adapt sets GOGC and does so again after the next collection.
func (p *pacer) adapt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	metrics.Read(p.inUse[:])
	used := int64(0)
	for _, s := range p.inUse {
		used += int64(s.Value.Uint64())
	}
	// To set it stops the process for a moment, so that small changes wait.
	if n := garbagePercent(p.garbage, used); n-p.percent > p.percent/8 || p.percent-n > p.percent/8 || n == usualGarbage && p.percent != n {
		debug.SetGCPercent(n)
		p.percent = n
	}
	runtime.AddCleanup(&cycle{p}, (*pacer).adapt, p)
}

func garbagePercent(garbage, used int64) int {
	return int(min(max(garbage*100/max(used, 1), usualGarbage), mostGarbage))
}

func (p *pacer) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended = true; p.inUse[0].Name != "" {
		debug.SetGCPercent(p.before)
	}
}
