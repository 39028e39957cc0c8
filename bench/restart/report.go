package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"netserver/bench/honest"
	"netserver/bench/machine"
	"netserver/bench/stats"
)

// The times that restarts are to stay below; whether they do depends on the
// machine, so they fail no run.
const (
	readyAim  = 150 * time.Millisecond
	switchAim = 300 * time.Millisecond
	killAim   = 200 * time.Millisecond
	memoryAim = 12 << 10 // KiB
)

func (r *result) aims() stats.Aims {
	refused := r.newcomers.Failures["connect refused"]
	switches := honest.QuantilesOf(slices.Concat(r.hups, r.replacements))
	kills := honest.QuantilesOf(slices.Clone(r.kills))
	var list stats.Aims
	list.Add("refused: 0", fmt.Sprintf("%d of %d", refused, r.newcomers.Sent), refused == 0, true)
	list.Add("failed: 0", fmt.Sprintf("%d of %d%s", r.newcomers.Failed, r.newcomers.Sent, reasons(r.newcomers.Failures)), r.newcomers.Failed == 0, true)
	list.Add("cut before the grace time: 0", fmt.Sprintf("%d of %d who stayed, and got %d lines back", len(r.lost), r.stayed, r.lines), len(r.lost) == 0, true)
	list.Add("datagrams lost: 0", fmt.Sprintf("%d of %d", r.unheard, r.datagrams), r.unheard == 0, true)
	list.Add("the supervisor is the same process", fmt.Sprint(r.sameProcess), r.sameProcess, true)
	list.Add("its descriptors are back", fmt.Sprintf("%d, then %d", r.before.descriptors, r.after.descriptors), r.after.descriptors == r.before.descriptors, true)
	list.Add("its memory is back, within a MiB", fmt.Sprintf("resident %s, then %s MiB", mib(r.before.rss), mib(r.after.rss)), r.after.rss <= r.before.rss+1<<10, false)
	list.Add("its memory is below 12 MiB", fmt.Sprintf("%s MiB at the end; %s at most", mib(r.after.rss), mib(r.after.peak)), max(r.before.rss, r.after.rss) < memoryAim, false)
	list.Add("ready in under 150 ms", ms(r.ready)+" ms", r.ready < readyAim, false)
	list.Add("switched in under 300 ms", fmt.Sprintf("p50 %s, max %s ms", ms(switches.P50), ms(switches.Max)), switches.Max < switchAim, false)
	if r.o.kills > 0 {
		list.Add("another serves within 200 ms of a kill", fmt.Sprintf("p50 %s, max %s ms", ms(kills.P50), ms(kills.Max)), kills.Max < killAim, false)
		list.Add("a kill ends only the process's own clients", fmt.Sprintf("%d of %d in other processes; %d of %d newcomers%s",
			len(r.killedLost), r.killedStayed, r.killed.Failed, r.killed.Sent, reasons(r.killed.Failures)),
			len(r.killedLost) == 0 && r.killed.Failures["connect refused"] == 0, true)
	}
	return list
}

// verdict is an error if anything was lost.
func (r *result) verdict() error {
	errs := []error{r.aims().Verdict()}
	for _, err := range slices.Concat(r.lost, r.killedLost) {
		errs = append(errs, fmt.Errorf("one who stayed: %w", err))
		if len(errs) > 10 {
			break
		}
	}
	return errors.Join(errs...)
}

func reasons(m map[string]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%d %s", m[k], k))
	}
	if parts == nil {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)) }
func mib(kib int) string        { return fmt.Sprintf("%.1f", float64(kib)/1024) }

// print prints the result for a terminal.
func (r *result) print(w io.Writer) {
	r.aims().Print(w)
	for _, line := range r.rows() {
		fmt.Fprintf(w, "%-34s %s\n", line[0], strings.Join(line[1:], "  "))
	}
	fmt.Fprintf(w, "the whole run took %.0f s\n", r.elapsed.Seconds())
}

// rows are the figures that no aim is set for.
func (r *result) rows() [][]string {
	q := func(what string, d []time.Duration) []string {
		v := honest.QuantilesOf(slices.Clone(d))
		return []string{what, fmt.Sprint(len(d)), ms(v.P50), ms(v.P90), ms(v.Max)}
	}
	rows := [][]string{{"milliseconds", "n", "p50", "p90", "max"}, q("restart by HUP", r.hups), q("restart, the file replaced", r.replacements)}
	if r.o.kills > 0 {
		rows = append(rows, q("client served after a kill", r.kills))
	}
	l := r.newcomers.Latency
	rows = append(rows, []string{"newcomer, from when it should come", fmt.Sprint(r.newcomers.Sent), ms(l.P50), ms(l.P90), ms(l.Max)})
	return rows
}

func (r *result) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var b bytes.Buffer
	r.markdown(&b)
	return os.WriteFile(filepath.Join(dir, "restart.md"), b.Bytes(), 0o644)
}

func (r *result) markdown(w io.Writer) {
	who := "by a user, whose serving processes keep the identity"
	if r.root {
		who = "as root, with serving processes that are nobody"
	}
	fmt.Fprintf(w, `# Restarts under load

Written by `+"`go run ./bench/restart`"+`, on %s with %d processors, %s. The server was started %s.

%d restarts by HUP and %d with the program's file replaced, %v apart, while %.0f new TLS clients a second come from one address (each shakes hands in full, sends a line, reads it back and leaves, whatever became of those before it), %d clients stay from beginning to end, half of them over TLS, and talk once a second, and %.0f datagrams a second want an answer. Then %d serving processes are killed by KILL. The load runs on the same processors as the server.

`, machine.Processor()+", "+machine.Kernel(), runtime.NumCPU(), runtime.Version(), who, r.o.hups, r.o.replacements, r.o.gap, r.o.rate, r.o.stay, r.o.datagrams, r.o.kills)
	r.aims().Markdown(w)
	rows := r.rows()
	fmt.Fprintf(w, "\n## Times\n\nA restart counts from the signal until the new processes serve: the new configuration was checked by a process of its own, and a new process started, in between.\n\n| %s |\n|---|---|---|---|---|\n", strings.Join(rows[0], " | "))
	for _, row := range rows[1:] {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
	}
	fmt.Fprintf(w, `
## What the supervisor holds

RSS counts the pages of the program's file that are mapped at that moment, which all its processes share; PSS counts a share of those; anonymous memory is its own alone.

| | RSS, MiB | anonymous | PSS | descriptors | threads |
|---|---|---|---|---|---|
`)
	for _, s := range []struct {
		what string
		s    state
	}{{"after the start", r.before}, {"after all restarts", r.after}} {
		fmt.Fprintf(w, "| %s | %s | %s | %s | %d | %d |\n", s.what, mib(s.s.rss), mib(s.s.anon), mib(s.s.pss), s.s.descriptors, s.s.threads)
	}
	fmt.Fprintf(w, "\nThe whole run took %.0f s.\n", r.elapsed.Seconds())
}
