package main

import (
	"fmt"
	"math"
	"runtime"
	"time"

	"netserver/bench/stats"
)

// A verdict says whether an aim is reached. With nothing measured it is open.
type verdict struct {
	aim     string
	figures string
	reached bool
	open    bool
}

func (v verdict) word() string {
	switch {
	case v.open:
		return "not measured"
	case v.reached:
		return "reached"
	}
	return "not reached"
}

// verdicts compares the report with what netserver must reach.
func (r *report) verdicts() []verdict {
	var all []verdict
	all = append(all, r.against("full", 20)...)
	all = append(all, r.rateAlone())
	all = append(all, r.against("spread-full", 3)...)
	all = append(all, r.noWorse("full", "late", "garbage", "reset", "hello-reset")...)
	all = append(all, r.noWorse("spread-full", "spread-late", "spread-garbage", "spread-reset")...)
	for _, name := range []string{"stall", "stall-hello"} {
		all = append(all, r.stalled(name)...)
	}
	all = append(all,
		r.ratio("CPU of a full handshake with the queue at most 1.03 of that without", "cost", ours, "cost", oursOff, 1.03),
		r.ratio("CPU of a denied connection at most 1.3 of accept and close", "denied", oursDeny, "denied", bareClose, 1.3))
	return all
}

// noise is how many processors other work may use before the figures are
// doubted.
const noise = 0.2

// doubt warns of a run on a busy machine.
func (r *report) doubt() string {
	if r.others() <= noise {
		return ""
	}
	return fmt.Sprintf("The machine was busy: other work used %.2f of %d processors. Latencies and rates are not to be relied on; run it again on a quiet machine.", r.others(), runtime.NumCPU())
}

// inRounds returns the median over rounds of f(a)/f(b): the two are neighbours
// in time, so that a machine whose speed drifts does not count.
func (r *report) inRounds(a, ta, b, tb string, f func(sample) float64) (float64, bool) {
	below := make(map[int]float64)
	for _, s := range r.of(b, tb) {
		below[s.Round] = f(s)
	}
	var v []float64
	for _, s := range r.of(a, ta) {
		if d := below[s.Round]; d > 0 {
			v = append(v, f(s)/d)
		}
	}
	return stats.Median(v), len(v) > 0
}

// timesUnloaded returns the median p99 under an attack as a multiple of the
// smallest one with none: other work on the machine can only make it larger,
// so that a noisy machine does not let an aim look reached.
func (r *report) timesUnloaded(attack string) (float64, bool) {
	best := math.Inf(1)
	for _, s := range r.of("none", ours) {
		best = min(best, p99(s))
	}
	under := r.of(attack, ours)
	return stats.MedianOf(under, p99) / best, len(under) > 0 && !math.IsInf(best, 1)
}

func p99(s sample) float64 { return float64(s.Honest.Latency.P99) }

// against judges a flood: the honest clients' p99 against that with no attack
// (for a flood from one source) and the best peer's.
func (r *report) against(name string, times float64) []verdict {
	var all []verdict
	if name == "full" {
		v := verdict{aim: "flood from one source: p99 at most twice its unloaded value"}
		x, ok := r.timesUnloaded(name)
		v.open, v.reached, v.figures = !ok, x <= 2, fmt.Sprintf("%.2f times", x)
		all = append(all, v)
	}
	we := r.of(name, ours)
	mine := stats.MedianOf(we, p99)
	best, who := r.bestPeer(name)
	v := verdict{aim: fmt.Sprintf("%s: p99 at most 1/%.0f of the best peer's", name, times), open: len(we) == 0 || who == ""}
	v.reached = mine*times <= best
	v.figures = fmt.Sprintf("%s ms and %s ms (%s): 1/%.1f", stats.Millis(time.Duration(mine)), stats.Millis(time.Duration(best)), who, best/max(mine, 1))
	all = append(all, v)
	failed := 0
	for _, s := range we {
		failed += s.Honest.Failed
	}
	return append(all, verdict{aim: name + ": no honest failure", open: len(we) == 0, reached: failed == 0, figures: fmt.Sprint(failed)})
}

func (r *report) bestPeer(attack string) (best float64, who string) {
	best = math.Inf(1)
	for _, t := range r.targets {
		if s := r.of(attack, t.name); t.peer && len(s) > 0 {
			if v := stats.MedianOf(s, p99); v < best {
				best, who = v, t.title
			}
		}
	}
	return best, who
}

func (r *report) rateAlone() verdict {
	v := verdict{aim: "the attacker alone gets 0.95 of the bare loop's rate"}
	x, ok := r.inRounds("alone", ours, "alone", bareLoop, sample.rate)
	v.open, v.reached, v.figures = !ok, x >= 0.95, fmt.Sprintf("%.3f", x)
	return v
}

// noWorse judges floods that fail or break off beside the one that does not.
// A tenth of difference is the machine's.
func (r *report) noWorse(than string, names ...string) []verdict {
	var all []verdict
	for _, name := range names {
		x, ok := r.inRounds(name, ours, than, ours, p99)
		if !ok {
			continue
		}
		failed := 0
		for _, s := range r.of(name, ours) {
			failed += s.Honest.Failed
		}
		all = append(all, verdict{
			aim: fmt.Sprintf("%s: no worse than %s", name, than), reached: x <= 1.1 && failed == 0,
			figures: fmt.Sprintf("p99 %.2f times, %d failed", x, failed),
		})
	}
	return all
}

func (r *report) stalled(name string) []verdict {
	s := r.of(name, ours)
	if len(s) == 0 {
		return nil
	}
	x, ok := r.timesUnloaded(name)
	each := stats.MedianOf(s, sample.perHeld)
	left, last, held := 0, time.Duration(0), 0
	for _, one := range s {
		left += one.Flood.Left
		last = max(last, one.Flood.Cut.Max)
		held = max(held, one.Flood.Held)
	}
	due := time.Duration(r.o.handshake) * time.Second
	return []verdict{
		{aim: fmt.Sprintf("%s, %d connections: p99 at most 1.5 times its unloaded value", name, held), open: !ok, reached: x <= 1.5, figures: fmt.Sprintf("%.2f times", x)},
		{aim: name + ": at most 6 KiB of memory each", reached: each <= 6<<10, figures: fmt.Sprintf("%.2f KiB", each/1024)},
		{aim: fmt.Sprintf("%s: all cut at their deadline of %v", name, due), reached: left == 0 && last <= due+time.Second, figures: fmt.Sprintf("%d left, the last after %.2f s", left, last.Seconds())},
	}
}

// ratio judges the CPU of a connection.
func (r *report) ratio(aim, a, ta, b, tb string, most float64) verdict {
	x, ok := r.inRounds(a, ta, b, tb, sample.perConn)
	return verdict{aim: aim, open: !ok, reached: x <= most, figures: fmt.Sprintf("%.3f times, %.1f and %.1f µs", x, stats.MedianOf(r.of(a, ta), sample.perConn), stats.MedianOf(r.of(b, tb), sample.perConn))}
}
