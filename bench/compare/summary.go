package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"netserver/bench/stats"
)

// perOp is the server's CPU for an operation in microseconds, or for a GB in
// seconds.
func (s sample) perOp(unit string) float64 {
	if unit == perGB {
		if s.Load.Bytes == 0 {
			return 0
		}
		return s.CPU.Seconds() / (float64(s.Load.Bytes) / 1e9)
	}
	if s.Load.Done == 0 {
		return 0
	}
	return float64(s.CPU.Nanoseconds()) / 1e3 / float64(s.Load.Done)
}

// rate is how many operations were done in a second.
func (s sample) rate() float64 {
	if s.Load.Elapsed == 0 {
		return 0
	}
	return float64(s.Load.Done) / s.Load.Elapsed.Seconds()
}

// megabytes is how many million bytes came back in a second.
func (s sample) megabytes() float64 {
	if s.Load.Elapsed == 0 {
		return 0
	}
	return float64(s.Load.Bytes) / 1e6 / s.Load.Elapsed.Seconds()
}

// each is the server's memory for a connection held, in KiB.
func (s sample) each() float64 {
	if s.Held == 0 {
		return 0
	}
	return float64(s.Memory-s.Base) / 1024 / float64(s.Held)
}

// figure is what a row is about: CPU, memory, or p99 or the time of a start in
// milliseconds.
func (w row) figure(s sample) float64 {
	switch w.how {
	case byMemory:
		return s.each()
	case byLatency:
		return float64(s.Load.Latency.P99) / 1e6
	case byStart:
		return float64(s.Start) / 1e6
	}
	return s.perOp(w.unit)
}

// measure names what figure returns.
func (w row) measure() string {
	switch {
	case w.how == byMemory:
		return "KiB each"
	case w.how == byLatency:
		return "p99 ms"
	case w.how == byStart:
		return "ms"
	case w.unit == perGB:
		return "CPU s/GB"
	}
	return "CPU µs"
}

// brief is a measurement in one line.
func (s sample) brief(w row) string {
	switch {
	case s.Err != "":
		return "failed: " + s.Err
	case w.how == byMemory:
		return fmt.Sprintf("%.1f KiB for each of %d", s.each(), s.Held)
	case w.how == byLatency:
		return fmt.Sprintf("p50 %s ms, p99 %s ms", stats.Millis(s.Load.Latency.P50), stats.Millis(s.Load.Latency.P99))
	case w.how == byStart:
		return fmt.Sprintf("%s ms, CPU %s ms", stats.Millis(s.Start), stats.Millis(s.CPU))
	}
	return fmt.Sprintf("%s %s, %.0f/s, others %.2f CPUs", stats.Digits(w.figure(s)), w.measure(), s.rate(), s.Others)
}

// A summary is what all rounds of a server in a row tell together.
type summary struct {
	row            row
	server         contestant
	rounds         int
	figure, spread float64
	least, largest float64 // figure, of the rounds
	times          float64 // of the bare loop of its class, in the same round; 0 if there is none
	rate           float64
	bytes          float64 // million a second
	p50, p99       time.Duration
	clients        float64 // the clients' CPU for an operation, in the unit of figure
	cpus           float64 // processors that the server used
	cpu            time.Duration
	base, memory   float64 // MiB
	held           int
	remarks        []string
}

// bareOf names the loop that a class is compared with.
func bareOf(class string) string {
	return map[string]string{inProcess: bareEcho, proxied: bareProxy, program: bareProgram}[class]
}

// summaries returns one for each server of a row that could be measured.
func (r *report) summaries(w row) []summary {
	var all []summary
	for _, c := range r.takePart(w) {
		if s, ok := r.summary(w, c); ok {
			all = append(all, s)
		}
	}
	return all
}

func (r *report) summary(w row, c contestant) (summary, bool) {
	sum := summary{row: w, server: c}
	all := r.of(w.name, c.name)
	for _, s := range r.samples {
		if s.Row == w.name && s.Server == c.name && s.Err != "" {
			sum.remarks = append(sum.remarks, fmt.Sprintf("round %d failed: %s", s.Round, stats.FirstLine(s.Err)))
		}
	}
	if len(all) == 0 {
		return sum, len(sum.remarks) > 0
	}
	sum.rounds = len(all)
	var figures []float64
	for _, s := range all {
		figures = append(figures, w.figure(s))
	}
	sum.figure, sum.spread = stats.Median(figures), stats.Spread(figures)
	sum.least, sum.largest = slices.Min(figures), slices.Max(figures)
	sum.times, _ = r.ratio(w, c.name, bareOf(c.class))
	sum.rate = stats.MedianOf(all, sample.rate)
	sum.bytes = stats.MedianOf(all, sample.megabytes)
	sum.p50 = stats.MedianOf(all, func(s sample) time.Duration { return s.Load.Latency.P50 })
	sum.p99 = stats.MedianOf(all, func(s sample) time.Duration { return s.Load.Latency.P99 })
	sum.cpus = stats.MedianOf(all, func(s sample) float64 { return s.CPU.Seconds() / max(s.Window.Seconds(), 1e-9) })
	sum.cpu = stats.MedianOf(all, func(s sample) time.Duration { return s.CPU })
	sum.clients = stats.MedianOf(all, func(s sample) float64 { s.CPU = s.Clients; return s.perOp(w.unit) })
	sum.base = stats.MedianOf(all, func(s sample) float64 { return float64(s.Base) / (1 << 20) })
	sum.memory = stats.MedianOf(all, func(s sample) float64 { return float64(s.Memory) / (1 << 20) })
	sum.held = all[len(all)-1].Held
	sum.remarks = append(sum.remarks, remarks(w, all)...)
	return sum, true
}

// remarks tell where a server did not do quite the work that was meant.
func remarks(w row, all []sample) (said []string) {
	last := all[len(all)-1]
	var done, resumed, failed int64
	for _, s := range all {
		done += s.Load.Done
		resumed += s.Load.Resumed
		failed += s.Load.Failed
	}
	if w.load.Resume && resumed*100 < done*99 {
		said = append(said, fmt.Sprintf("resumed %.0f %% only", 100*float64(resumed)/float64(max(done, 1))))
	}
	if failed > 0 {
		said = append(said, fmt.Sprintf("%d of %d failed: %s", failed, failed+done, last.Load.Failure))
	}
	if w.load.TLS && last.Load.Suite != "" && !strings.Contains(last.Load.Suite, "AES_128_GCM") {
		said = append(said, "with "+last.Load.Suite)
	}
	if last.Held < w.load.Held {
		said = append(said, fmt.Sprintf("%d open, as descriptors allow", last.Held))
	}
	return said
}

// ratio returns the median over rounds of a server's figure as a multiple of
// another's: the two are neighbours in time, so that a machine whose speed
// drifts does not count.
func (r *report) ratio(w row, server, of string) (float64, bool) {
	v := r.ratios(w, server, of)
	return stats.Median(v), len(v) > 0
}

func (r *report) ratios(w row, server, of string) (v []float64) {
	below := make(map[int]float64)
	for _, s := range r.of(w.name, of) {
		below[s.Round] = w.figure(s)
	}
	for _, s := range r.of(w.name, server) {
		if d := below[s.Round]; d > 0 {
			v = append(v, w.figure(s)/d)
		}
	}
	return v
}

// bestPeer returns the peer of a class whose figure in a row is the least.
func (r *report) bestPeer(w row, class string) (best contestant, ok bool) {
	least := math.Inf(1)
	for _, c := range r.takePart(w) {
		if s := r.of(w.name, c.name); c.peer && c.class == class && len(s) > 0 {
			if v := stats.MedianOf(s, w.figure); v < least {
				least, best, ok = v, c, true
			}
		}
	}
	return best, ok
}

// others returns how many processors other work used, in the middle of the
// measurements that have looked.
func (r *report) others() float64 {
	looked := slices.DeleteFunc(slices.Clone(r.samples), func(s sample) bool { return s.Window == 0 })
	return stats.MedianOf(looked, func(s sample) float64 { return s.Others })
}

// unsteady returns the median spread of the bare loops' figures about CPU: what
// the machine adds, as these servers are always the same.
func (r *report) unsteady() float64 {
	var v []float64
	for _, w := range r.rows {
		for _, c := range r.servers {
			if s, ok := r.summary(w, c); ok && c.bare && w.how == byCPU && s.rounds > 1 {
				v = append(v, s.spread)
			}
		}
	}
	return stats.Median(v)
}

const (
	mostOthers   = 0.2  // processors that others may use
	mostUnsteady = 0.15 // spread of what does not change
)

// doubt warns of a run on a busy machine.
func (r *report) doubt() string {
	var why []string
	if o := r.others(); o > mostOthers {
		why = append(why, fmt.Sprintf("other work used %.2f processors", o))
	}
	if u := r.unsteady(); u > mostUnsteady {
		why = append(why, fmt.Sprintf("the loops' own figures lie ±%.0f %% apart", 100*u))
	}
	if why == nil {
		return ""
	}
	return "The machine was too noisy: " + strings.Join(why, ", and ") + ". Rates and latencies are not to be relied on, and ratios to a tenth at best; run it again on a quiet machine."
}
