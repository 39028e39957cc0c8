package proc

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
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
// Such a process also gives memory back when it has become quiet: see settle.
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
		for i, name := range memory {
			p.memory[i].Name = name
		}
		p.adapt()
	}
	return func() {
		p.end()
		debug.SetMemoryLimit(limit)
	}
}

// What a process lets come together at least and at most, and the part of the
// system's memory between them.
const (
	leastGarbage = 32 << 20
	wideGarbage  = 128 << 20
	garbagePart  = 32
)

// SpareGarbage returns how many bytes a process that serves all clients may let
// come together, for PaceGC: a part of the memory that it may have. It reads
// files that a sandbox may not let it read.
func SpareGarbage() int64 {
	m := SystemMemory()
	if own := ownGroupMemory(); own > 0 {
		m = min(m, own)
	}
	return spareGarbage(m)
}

// spareGarbage is SpareGarbage with so much memory; 0 is not known.
func spareGarbage(memory int64) int64 {
	return min(max(memory/garbagePart, leastGarbage), wideGarbage)
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
	quiet   *time.Timer // calls settle; nil before the first collection
	waits   bool        // it is set
	memory  [len(memory)]metrics.Sample
	allocs  uint64 // as it was when quiet was set
	gave    time.Time
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
	if !p.waits {
		p.watch()
	}
	runtime.AddCleanup(&cycle{p}, (*pacer).adapt, p)
}

func garbagePercent(garbage, used int64) int {
	return int(min(max(garbage*100/max(used, 1), usualGarbage), mostGarbage))
}

func (p *pacer) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet != nil {
		p.quiet.Stop()
	}
	if p.ended = true; p.inUse[0].Name != "" {
		debug.SetGCPercent(p.before)
	}
}

// memory are the metrics of what a collection would give back, after how much
// has ever been allocated.
var memory = [...]string{"/gc/heap/allocs:bytes", "/memory/classes/heap/objects:bytes", "/memory/classes/heap/free:bytes", "/gc/heap/live:bytes"}

const (
	// A process is quiet that allocates no more than quietBytes in quietTime.
	quietTime  = 500 * time.Millisecond
	quietBytes = 1 << 20
	// leastBack is how much there must be to give back.
	leastBack = 4 << 20
	// backTime is the least time between two times: what was given back is
	// had again at 1 ms for 8 MiB.
	backTime = time.Minute
)

// watch has settle called after a while.
func (p *pacer) watch() {
	metrics.Read(p.memory[:])
	p.allocs = p.memory[0].Value.Uint64()
	if p.waits = true; p.quiet == nil {
		p.quiet = time.AfterFunc(quietTime, p.settle)
	} else {
		p.quiet.Reset(quietTime)
	}
}

// settle gives garbage and free memory back to the system when the process has
// become quiet after a collection. The runtime would keep as much as the next
// collection waits for: a quarter of what 6,000 idle clients take in all.
func (p *pacer) settle() {
	if p.hasSettled() {
		// That collects too, after which this is called once more and finds
		// nothing.
		debug.FreeOSMemory()
	}
}

// hasSettled reports whether there is something to give back. If the process
// is not quiet yet it has settle called again.
func (p *pacer) hasSettled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return false
	}
	before := p.allocs
	p.watch()
	if p.allocs-before > quietBytes {
		return false
	}
	if d := time.Until(p.gave.Add(backTime)); d > 0 {
		p.quiet.Reset(max(d, quietTime))
		return false
	}
	p.waits = false
	p.quiet.Stop()
	objects, free, live := p.memory[1].Value.Uint64(), p.memory[2].Value.Uint64(), p.memory[3].Value.Uint64()
	if objects+free < live+leastBack {
		return false
	}
	p.gave = time.Now()
	return true
}
