package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"netserver/bench/machine"
	"netserver/bench/stats"
)

// columns returns the headings of a row's table.
func (w row) columns() []string {
	switch w.how {
	case byMemory:
		return []string{"server", "KiB each", "× loop", "fresh MiB", "MiB", "remarks"}
	case byLatency:
		return []string{"server", "p99 ms", "±", "× loop", "p50 ms", "CPUs", "remarks"}
	case byStart:
		return []string{"server", "ms", "±", "× loop", "CPU ms", "remarks"}
	}
	rate := "a second"
	if w.unit == perGB {
		rate = "MB/s"
	}
	return []string{"server", w.measure(), "±", "× loop", rate, "p50 ms", "p99 ms", "clients' " + w.measure(), "remarks"}
}

// cells returns what stands below them.
func (s summary) cells() []string {
	note := strings.Join(s.remarks, "; ")
	c := []string{s.server.title}
	if s.rounds == 0 {
		for range len(s.row.columns()) - 2 {
			c = append(c, "")
		}
		return append(c, note)
	}
	times := ""
	if s.times > 0 {
		times = fmt.Sprintf("%.2f", s.times)
	}
	spread := fmt.Sprintf("%.0f %%", 100*s.spread)
	switch s.row.how {
	case byMemory:
		return append(c, stats.Digits(s.figure), times, stats.Digits(s.base), stats.Digits(s.memory), note)
	case byLatency:
		return append(c, stats.Digits(s.figure), spread, times, stats.Millis(s.p50), stats.Digits(s.cpus), note)
	case byStart:
		return append(c, stats.Digits(s.figure), spread, times, stats.Millis(s.cpu), note)
	}
	rate, p50, p99 := fmt.Sprintf("%.0f", s.rate), stats.Millis(s.p50), stats.Millis(s.p99)
	if s.row.unit == perGB {
		rate = fmt.Sprintf("%.0f", s.bytes)
	}
	if s.p99 == 0 {
		p50, p99 = "", ""
	}
	return append(c, stats.Digits(s.figure), spread, times, rate, p50, p99, stats.Digits(s.clients), note)
}

// printTable prints all rows for a terminal.
func (r *report) printTable(w io.Writer) {
	for _, one := range r.rows {
		all := r.summaries(one)
		if len(all) == 0 {
			continue
		}
		fmt.Fprintf(w, "%s (%s)\n", r.title(one), one.name)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "  "+strings.Join(one.columns(), "\t"))
		for _, s := range all {
			fmt.Fprintln(tw, "  "+strings.Join(s.cells(), "\t"))
		}
		tw.Flush()
		fmt.Fprintln(w)
	}
	for _, l := range r.left {
		fmt.Fprintln(w, "left out:", l)
	}
	fmt.Fprintf(w, "Other work on the machine used %.2f of %d processors, median; the loops' own figures lie ±%.0f %% apart.\n", r.others(), runtime.NumCPU(), 100*r.unsteady())
	if d := r.doubt(); d != "" {
		fmt.Fprintln(w, d)
	}
	fmt.Fprintf(w, "The whole run took %.0f s.\n", r.elapsed.Seconds())
}

// title is a row's, with the rate that it came to have.
func (r *report) title(w row) string {
	if w.half {
		return fmt.Sprintf("%s: %.0f a second", w.title, w.load.Rate)
	}
	return w.title
}

// write writes what the flags ask for.
func (r *report) write() error {
	if r.o.json != "" {
		b, err := json.MarshalIndent(r.data(), "", "\t")
		if err != nil {
			return err
		}
		if err := os.WriteFile(r.o.json, append(b, '\n'), 0o644); err != nil {
			return err
		}
	}
	if r.o.svg != "" {
		if err := os.WriteFile(r.o.svg, r.svg(), 0o644); err != nil {
			return err
		}
	}
	if r.o.doc != "" {
		return r.document(r.o.doc)
	}
	return nil
}

// A document holds every measurement, for other programs.
type document struct {
	Processor, Kernel, Go string
	Processors            int
	Versions              []string
	Begun                 time.Time
	Elapsed               time.Duration
	Others, Unsteady      float64
	Left                  []string
	Samples               []sample
}

func (r *report) data() document {
	return document{
		Processor: machine.Processor(), Kernel: machine.Kernel(), Go: runtime.Version(), Processors: runtime.NumCPU(),
		Versions: r.versions, Begun: r.begun, Elapsed: r.elapsed,
		Others: r.others(), Unsteady: r.unsteady(), Left: r.left, Samples: r.samples,
	}
}
