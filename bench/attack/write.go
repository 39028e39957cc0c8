package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"

	"netserver/bench/machine"
	"netserver/bench/stats"
)

// printTable prints the summaries for a terminal.
func (r *report) printTable(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.Join(columns, "\t"))
	for _, s := range r.summaries() {
		c := s.cells()
		c[0], c[1] = s.attack.name, s.target.name
		fmt.Fprintln(tw, strings.Join(c, "\t"))
	}
	tw.Flush()
	for _, l := range r.left {
		fmt.Fprintln(w, "left out:", l)
	}
}

func (r *report) printVerdicts(w io.Writer) {
	fmt.Fprintln(w)
	for _, v := range r.verdicts() {
		if v.open {
			fmt.Fprintf(w, "%-12s  %s\n", v.word(), v.aim)
			continue
		}
		fmt.Fprintf(w, "%-12s  %s: %s\n", v.word(), v.aim, v.figures)
	}
	fmt.Fprintf(w, "\nOther work on the machine used %.2f processors, median; the generator's lag was %s ms at most, p99.", r.others(), stats.Millis(r.lag()))
	if d := r.doubt(); d != "" {
		fmt.Fprint(w, "\n", d)
	}
	fmt.Fprintf(w, "\nThe whole run took %.0f s.\n", r.elapsed.Seconds())
}

// write writes attack.md and attack.svg.
func (r *report) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var md, svg bytes.Buffer
	r.markdown(&md)
	r.svg(&svg)
	if err := os.WriteFile(filepath.Join(dir, "attack.md"), md.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "attack.svg"), svg.Bytes(), 0o644)
}

func (r *report) markdown(w io.Writer) {
	fmt.Fprintf(w, `# Honest clients under attack

Written by `+"`go run ./bench/attack`"+`, on %s with %d processors, %s.

%.0f honest clients a second come from one address, whatever became of those before them. Each shakes hands in full (TLS 1.3, X25519, ECDSA P-256), sends a line and reads it back; its latency counts from the time at which it should have come, and a failure counts as %v. Meanwhile others attack: floods with %d connections at once (%d from 500 prefixes), attacks that hold connections with %d (a byte a second: %d). Figures are medians of up to %d rounds of %v, maxima and failures are of all rounds; in each round every server is started afresh and takes its turn. "attack/s" is what the attacker got done in a second, "CPUs" how many processors the server used, "MiB" its largest resident memory (pages that processes share count for each). Servers' own time limit for handshakes: %d s (Hitch: 30 s, fixed; Net::Server: none; the bare loop: none). The generator's own lag, p99, was %s ms at most. The load and the attack run on the same processors as the server. Other work on the machine used %.2f processors at the same time, median of all measurements: the less, the more the figures tell. Descriptors are limited to %s a process, which limits HAProxy to 9,900 connections.

![p99 of honest clients](attack.svg)

`, machine.Processor(), runtime.NumCPU(), runtime.Version(), r.o.rate, r.o.timeout, r.o.conns, max(r.o.conns, spread),
		r.o.stalled, max(r.o.stalled/5, 1), r.o.rounds, r.o.duration, r.o.handshake, stats.Millis(r.lag()), r.others(), machine.Descriptors())
	if d := r.doubt(); d != "" {
		fmt.Fprintf(w, "**%s**\n\n", d)
	}
	r.markdownVerdicts(w)
	fmt.Fprintln(w, "\n## All pairs")
	row := func(c []string) { fmt.Fprintf(w, "| %s |\n", strings.Join(c, " | ")) }
	last := ""
	for _, s := range r.summaries() {
		if s.attack.name != last {
			fmt.Fprintf(w, "\n### %s (`%s`)\n\n", s.attack.title, s.attack.name)
			row(columns[1:])
			row(strings.Split("---,--:,--:,--:,--:,--:,--:,--:,--:,---", ","))
			last = s.attack.name
		}
		row(s.cells()[1:])
	}
	for i, l := range r.left {
		if i == 0 {
			fmt.Fprint(w, "\nLeft out:\n\n")
		}
		fmt.Fprintf(w, "- %s\n", l)
	}
	r.markdownRounds(w)
}

func (r *report) markdownVerdicts(w io.Writer) {
	fmt.Fprint(w, "## What must be reached\n\n| aim | figure | |\n|---|---|---|\n")
	for _, v := range r.verdicts() {
		if v.open {
			v.figures = ""
		}
		fmt.Fprintf(w, "| %s | %s | %s |\n", v.aim, v.figures, v.word())
	}
}

// markdownRounds writes each single measurement.
func (r *report) markdownRounds(w io.Writer) {
	fmt.Fprint(w, "\n## Every round\n\n| round | attack | server | p50 ms | p90 ms | p99 ms | max ms | failed | lag p99 ms | attack/s | CPU s | MiB | others' CPUs |\n|--:|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, s := range r.samples {
		if s.Err != "" {
			fmt.Fprintf(w, "| %d | %s | %s | | | | | | | | | | %s |\n", s.Round, s.Attack, s.Target, stats.FirstLine(s.Err))
			continue
		}
		h := s.Honest
		fmt.Fprintf(w, "| %d | %s | %s | %s | %s | %s | %s | %d | %s | %.0f | %.2f | %.0f | %.2f |\n",
			s.Round, s.Attack, s.Target, stats.Millis(h.Latency.P50), stats.Millis(h.Latency.P90), stats.Millis(h.Latency.P99), stats.Millis(h.Latency.Max),
			h.Failed, stats.Millis(h.Lag.P99), s.rate(), s.CPU.Seconds(), float64(s.Peak)/(1<<20), s.Others)
	}
}
