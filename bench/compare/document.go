package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"netserver/bench/machine"
	"netserver/bench/stats"
)

// What a run writes of a page stands between these lines; the rest is people's.
const (
	beginMark = "<!-- written by go run ./bench/compare -doc: begin -->"
	endMark   = "<!-- written by go run ./bench/compare -doc: end -->"
)

// pictureName is the file of the charts, in the folder measurements beside the
// page.
const pictureName = "measurements/compare.svg"

// document replaces what an earlier run wrote of a page, and the charts.
func (r *report) document(page string) error {
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	text, err := replaced(string(old), r.markdown())
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	picture := filepath.Join(filepath.Dir(page), filepath.FromSlash(pictureName))
	if err := os.WriteFile(picture, r.svg(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(page, []byte(text), 0o644)
}

// replaced puts text between the marks of a page.
func replaced(page, text string) (string, error) {
	before, rest, ok := strings.Cut(page, beginMark)
	_, after, ok2 := strings.Cut(rest, endMark)
	if !ok || !ok2 {
		return "", fmt.Errorf("it lacks the lines %q and %q", beginMark, endMark)
	}
	return before + beginMark + "\n\n" + text + "\n" + endMark + after, nil
}

// markdown is the run as a part of a page.
func (r *report) markdown() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, `Measured on %s, %d processors, %s, %s, at most %s open files a process. Versions: netserver of %s, %s.

%d rounds of %v for each server in each row (rows about latency and memory: fewer and longer), %.0f s in all. Other work on the machine used %.2f processors, median; the figures of the loops, whose code is always the same, lie ±%.0f %% apart between rounds.

`, machine.Processor(), runtime.NumCPU(), machine.Kernel(), runtime.Version(), machine.Descriptors(), r.begun.UTC().Format("2 January 2006"), strings.Join(r.versions, ", "),
		r.o.rounds, r.o.duration, r.elapsed.Seconds(), r.others(), 100*r.unsteady())
	if d := r.doubt(); d != "" {
		fmt.Fprintf(&b, "**%s**\n\n", d)
	}
	fmt.Fprint(&b, "### What must be reached\n\n| aim | at most | found | |\n|---|--:|---|---|\n")
	for _, v := range r.verdicts() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", v.what, stats.Digits(v.most), v.found, v.word())
	}
	fmt.Fprintf(&b, "\n### All rows\n\n![What each operation costs a server](%s)\n", pictureName)
	for _, w := range r.rows {
		all := r.summaries(w)
		if len(all) == 0 {
			continue
		}
		cols := w.columns()
		fmt.Fprintf(&b, "\n#### %s (`%s`)\n\n| %s |\n|---|%s---|\n", r.title(w), w.name, strings.Join(cols, " | "), strings.Repeat("--:|", len(cols)-2))
		for _, s := range all {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(s.cells(), " | "))
		}
	}
	if r.left != nil {
		fmt.Fprint(&b, "\n### Left out\n\n")
		for _, l := range r.left {
			fmt.Fprintf(&b, "- %s\n", stats.FirstLine(l))
		}
	}
	return b.String()
}
