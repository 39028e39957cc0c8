package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"netserver/bench/drive"
	"netserver/netservertest"
)

// The test binary is the load too.
func TestMain(m *testing.M) {
	if played, err := playRole(); played {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func optionsOf(t *testing.T, args string) options {
	t.Helper()
	o, err := parse(strings.Fields(args), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// A small run of the real thing: every kind of load against the loops and
// netserver does something, nothing fails, and no server is left behind.
func TestSmallRun(t *testing.T) {
	if runtime.GOOS != "linux" || testing.Short() {
		t.Skip("needs Linux, and ten seconds")
	}
	o := optionsOf(t, "-rows resumed,blocks-16k,rate-100,download,unix,udp,program-tcp,https,idle,start,held-10 -servers netserver-library,netserver-one,netserver-proxy,netserver-program -rounds 1 -duration 200ms -held 40")
	o.settle = 50 * time.Millisecond
	r := &report{o: o}
	if err := r.choose(); err != nil {
		t.Fatal(err)
	}
	if err := r.measure(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, w := range r.rows {
		all := r.summaries(w)
		if len(all) < 2 {
			t.Errorf("%s: %d servers", w.name, len(all))
		}
		for _, s := range all {
			if s.rounds != 1 || s.figure <= 0 && w.how != byMemory {
				t.Errorf("%s, %s: %d rounds, %v, %q", w.name, s.server.name, s.rounds, s.figure, s.remarks)
			}
		}
	}
	for _, l := range r.left {
		if !strings.Contains(l, "not installed") && !strings.Contains(l, `"http_root"`) {
			t.Error("left out:", l)
		}
	}
	if s := r.of("resumed", one); len(s) != 1 || s[0].Load.Resumed != s[0].Load.Done || s[0].CPU < time.Millisecond || s[0].Clients <= 0 {
		t.Errorf("resumed: %+v", s)
	}
	if s := r.of("start", one); len(s) != 1 || s[0].Start <= 0 || s[0].CPU <= 0 {
		t.Errorf("start: %+v", s)
	}
	if s := r.of("idle", one); len(s) != 1 || s[0].Held != 40 || s[0].Memory <= s[0].Base || s[0].Base < 1<<20 {
		t.Errorf("idle: %+v", s)
	}
}

// Each aim and each bound names rows and servers that there are, of the right
// class.
func TestNamesAreKnown(t *testing.T) {
	o := optionsOf(t, "")
	r := &report{o: o, rows: rows(o), servers: contestants()}
	takes := func(rowName, server string) {
		w, ok := r.rowNamed(rowName)
		if !ok {
			t.Errorf("no row %q", rowName)
			return
		}
		if !slices.ContainsFunc(r.takePart(w), func(c contestant) bool { return c.name == server }) {
			t.Errorf("%s does not take part in %q", server, rowName)
		}
	}
	for _, a := range aims {
		takes(a.row, a.server)
		if a.of != "" && a.of != bestOfPeers {
			takes(a.row, a.of)
		}
	}
	for _, b := range bounds {
		takes(b.row, b.server)
		takes(b.row, b.of)
	}
	for _, w := range r.rows {
		for _, class := range w.classes {
			takes(w.name, bareOf(class))
		}
	}
}

// Rows of one shape stand together, so that their servers are started once.
func TestShapesStandTogether(t *testing.T) {
	var seen []shape
	for _, w := range rows(optionsOf(t, "")) {
		s := w.shape()
		if i := slices.Index(seen, s); i >= 0 && i != len(seen)-1 && w.how != byMemory && !strings.HasPrefix(w.name, "held") {
			t.Errorf("%s stands apart from its like", w.name)
		}
		seen = append(seen[:len(seen):len(seen)], s)
		seen = slices.Compact(seen)
	}
}

func TestFlagsAreChecked(t *testing.T) {
	for _, args := range []string{"-rounds 0", "-duration 1h", "-held 30000", "-conns 0", "x"} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s was taken", args)
		}
	}
	for _, args := range []string{"-rows nothing", "-servers nobody"} {
		r := &report{o: optionsOf(t, args)}
		if err := r.choose(); err == nil || !strings.Contains(err.Error(), "no \"") {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// figures makes a report of made-up measurements: microseconds for each server
// of a row, one round each.
func figures(o options, row string, cpu map[string][]time.Duration) *report {
	r := &report{o: o, rows: rows(o), servers: contestants()}
	for server, rounds := range cpu {
		for i, d := range rounds {
			r.samples = append(r.samples, sample{
				Row: row, Server: server, Round: i + 1, CPU: d * 1000, Window: time.Second,
				Load: drive.Result{Done: 1000, Bytes: 1e9, Elapsed: time.Second},
			})
		}
	}
	return r
}

// Ratios are of the same round, so that a machine whose speed changes between
// rounds does not count; the bounds of the short form find what lies above.
func TestRatiosAreOfOneRound(t *testing.T) {
	const us = time.Microsecond
	o := optionsOf(t, "")
	r := figures(o, "full", map[string][]time.Duration{
		bareEcho: {100 * us, 200 * us, 400 * us}, one: {110 * us, 220 * us, 440 * us},
		bareProxy: {100 * us}, oursProxy: {190 * us},
		"nginx": {300 * us}, "haproxy": {400 * us},
	})
	w, _ := r.rowNamed("full")
	if x, ok := r.ratio(w, one, bareEcho); !ok || x < 1.099 || x > 1.101 {
		t.Errorf("ratio %v", x)
	}
	if best, ok := r.bestPeer(w, proxied); !ok || best.name != "nginx" {
		t.Errorf("the best peer is %q", best.name)
	}
	bad := r.overBounds(io.Discard)
	for b, x := range bad {
		if b.row == "full" && (b.server != oursProxy || x.times < 1.89) {
			t.Errorf("over its bound: %+v", x)
		}
	}
	if _, ok := bad[bounds[1]]; !ok {
		t.Error("1.9 times the loop's cost is within the bound")
	}
	words := map[string]string{}
	for _, v := range r.verdicts() {
		words[v.what] = v.word()
	}
	if words[aims[0].what] != "not reached" || words[aims[2].what] != "reached" || words["idle TLS connection, proxied, KiB"] != "not measured" {
		t.Errorf("%v", words)
	}
}

// A page keeps what people wrote, and its old part is replaced as a whole.
func TestPageKeepsWhatPeopleWrote(t *testing.T) {
	dir := t.TempDir()
	page := filepath.Join(dir, "PAGE.md")
	if err := os.Mkdir(filepath.Join(dir, "measurements"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(page, []byte("# Title\n"+beginMark+"\nold\n"+endMark+"\n\nwritten by hand\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := figures(optionsOf(t, ""), "full", map[string][]time.Duration{bareEcho: {100 * time.Microsecond, 120 * time.Microsecond}, one: {130 * time.Microsecond}, "nginx": {90 * time.Microsecond}})
	r.left = []string{"somebody: is not installed"}
	for range 2 { // a second time is no different
		if err := r.document(page); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Title\n", "\nwritten by hand\n", "| loop written by hand | 110 ", "- somebody: is not installed", "](" + pictureName + ")"} {
		if strings.Count(string(b), want) != 1 {
			t.Errorf("%q stands there %d times", want, strings.Count(string(b), want))
		}
	}
	if strings.Contains(string(b), "old") {
		t.Error("the old part is still there")
	}
	if svg, err := os.ReadFile(filepath.Join(dir, pictureName)); err != nil || !bytes.Contains(svg, []byte("nginx")) {
		t.Errorf("%v, %s", err, svg)
	}
	if err := r.document(filepath.Join(dir, pictureName)); err == nil {
		t.Error("a page without marks was written to")
	}
}

// What is interrupted ends soon, with an error and without a server left.
func TestInterruptStopsAll(t *testing.T) {
	if runtime.GOOS != "linux" || testing.Short() {
		t.Skip("needs Linux, and two seconds")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := &report{o: optionsOf(t, "-rows full -servers netserver -rounds 100 -duration 30s")}
	if err := r.choose(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.measure(ctx, io.Discard) }()
	netservertest.Eventually(t, "a load runs", func() bool { return len(below(t)) > 4 }) // backends, a server, a load
	begin := time.Now()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if d := time.Since(begin); d > 20*time.Second {
		t.Errorf("it took %v to end", d)
	}
	if left := below(t); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}

// below returns the processes that this one has started and that live.
func below(t *testing.T) (pids []string) {
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range lists {
		b, _ := os.ReadFile(name) // of a thread that has ended there is none
		pids = append(pids, strings.Fields(string(b))...)
	}
	return pids
}
