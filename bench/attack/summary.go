package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"netserver/bench/stats"
)

// A summary is what all rounds of a pair tell together.
type summary struct {
	attack             attack
	target             target
	rounds             int
	p50, p90, p99, max time.Duration // medians of the rounds', max the largest
	sent, failed       int
	failures           map[string]int
	rate               float64       // of the attack, median
	refused            float64       // connections of the attack that failed in a second, median
	cpu                float64       // processors that the server used, median
	perConn            float64       // microseconds of CPU, median
	peak               int64         // largest
	perHeld            float64       // bytes, median
	held, left         int           // of holding attacks
	cut                time.Duration // the last one cut
	err                string        // of a round that could not be measured
}

// of returns the rounds of a pair that could be measured.
func (r *report) of(attack, target string) []sample {
	var s []sample
	for _, one := range r.samples {
		if one.Attack == attack && one.Target == target && one.Err == "" {
			s = append(s, one)
		}
	}
	return s
}

// summaries returns one for each pair, by attack and then by target.
func (r *report) summaries() []summary {
	var all []summary
	for _, a := range r.attacks {
		for _, t := range r.targets {
			if s, ok := r.summary(a, t); ok {
				all = append(all, s)
			}
		}
	}
	return all
}

func (r *report) summary(a attack, t target) (summary, bool) {
	sum := summary{attack: a, target: t, failures: map[string]int{}}
	for _, s := range r.samples {
		if s.Attack == a.name && s.Target == t.name && s.Err != "" {
			sum.err = s.Err
		}
	}
	all := r.of(a.name, t.name)
	if len(all) == 0 {
		return sum, sum.err != ""
	}
	sum.rounds = len(all)
	sum.p50 = stats.MedianOf(all, func(s sample) time.Duration { return s.Honest.Latency.P50 })
	sum.p90 = stats.MedianOf(all, func(s sample) time.Duration { return s.Honest.Latency.P90 })
	sum.p99 = stats.MedianOf(all, func(s sample) time.Duration { return s.Honest.Latency.P99 })
	sum.rate = stats.MedianOf(all, sample.rate)
	sum.refused = stats.MedianOf(all, sample.refused)
	sum.perConn = stats.MedianOf(all, sample.perConn)
	sum.perHeld = stats.MedianOf(all, sample.perHeld)
	sum.cpu = stats.MedianOf(all, func(s sample) float64 { return s.CPU.Seconds() / s.Window.Seconds() })
	for _, s := range all {
		sum.max = max(sum.max, s.Honest.Latency.Max)
		sum.sent += s.Honest.Sent
		sum.failed += s.Honest.Failed
		for why, n := range s.Honest.Failures {
			sum.failures[why] += n
		}
		sum.peak = max(sum.peak, s.Peak)
		sum.held = max(sum.held, s.Flood.Held)
		sum.left = max(sum.left, s.Flood.Left)
		sum.cut = max(sum.cut, s.Flood.Cut.Max)
	}
	return sum, true
}

// note is what a table's last column tells.
func (s summary) note() string {
	var parts []string
	if s.err != "" {
		parts = append(parts, "a round failed: "+stats.FirstLine(s.err))
	}
	for _, why := range slices.SortedFunc(maps.Keys(s.failures), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.failures[b], s.failures[a]), cmp.Compare(a, b))
	}) {
		parts = append(parts, fmt.Sprintf("%d %s", s.failures[why], why))
	}
	if s.attack.holds() && s.rounds > 0 {
		held := fmt.Sprintf("held %d", s.held)
		if s.perHeld > 0 { // a server whose processes come and go may have less after than before
			held += fmt.Sprintf(", %.1f KiB each", s.perHeld/1024)
		}
		parts = append(parts, held)
		if s.left > 0 {
			parts = append(parts, fmt.Sprintf("%d never cut", s.left))
		}
		if s.cut > 0 {
			parts = append(parts, fmt.Sprintf("last cut after %.1f s", s.cut.Seconds()))
		}
	}
	if s.refused >= 1 && !s.attack.holds() {
		parts = append(parts, fmt.Sprintf("%.0f/s of the attack turned away", s.refused))
	}
	if s.attack.calm && s.perConn > 0 {
		parts = append(parts, fmt.Sprintf("%.0f µs of CPU each", s.perConn))
	}
	return strings.Join(parts, "; ")
}

// columns are the headings of the table, and cells what stands below them.
var columns = []string{"attack", "server", "p50 ms", "p90 ms", "p99 ms", "max ms", "failed", "attack/s", "CPUs", "MiB", "remarks"}

func (s summary) cells() []string {
	c := []string{s.attack.title, s.target.title, "", "", "", "", "", "", "", "", s.note()}
	if s.rounds == 0 {
		return c
	}
	if !s.attack.calm {
		c[2], c[3], c[4], c[5] = stats.Millis(s.p50), stats.Millis(s.p90), stats.Millis(s.p99), stats.Millis(s.max)
		c[6] = fmt.Sprintf("%d of %d", s.failed, s.sent)
	}
	if s.rate > 0 && !s.attack.holds() {
		c[7] = fmt.Sprintf("%.0f", s.rate)
	}
	c[8] = fmt.Sprintf("%.2f", s.cpu)
	c[9] = fmt.Sprintf("%.0f", float64(s.peak)/(1<<20))
	return c
}

// lag returns the largest p99 of the generator's own lag.
func (r *report) lag() time.Duration {
	var most time.Duration
	for _, s := range r.samples {
		most = max(most, s.Honest.Lag.P99)
	}
	return most
}

// others returns how many processors other work used, in the middle.
func (r *report) others() float64 {
	return stats.MedianOf(r.samples, func(s sample) float64 { return s.Others })
}
