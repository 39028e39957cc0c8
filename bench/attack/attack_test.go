package main

import (
	"bytes"
	"encoding/xml"
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

	"netserver/bench/flood"
	"netserver/bench/honest"
)

// The test binary plays the roles too.
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

func wellFormed(t *testing.T, b []byte) {
	t.Helper()
	for d := xml.NewDecoder(bytes.NewReader(b)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal("attack.svg:", err)
		}
	}
}

// A small run of the real thing, a flood and a stall against netserver and the
// bare loop: no honest client fails, and the attack and the accounting did
// something.
func TestSmallAttack(t *testing.T) {
	if runtime.GOOS != "linux" || testing.Short() {
		t.Skip("needs Linux, and two seconds")
	}
	o, err := parse(strings.Fields("-attacks full,stall-hello -targets netserver,bare -rounds 1 -duration 1s -conns 8 -stalled 50 -rate 20 -timeout 10s -handshake-timeout 1"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	as, err := choose(o.attacks, attacks(o.conns, o.stalled), attackName, attackExtra)
	if err != nil {
		t.Fatal(err)
	}
	ts, err := choose(o.targets, targets(), targetName, targetExtra)
	if err != nil {
		t.Fatal(err)
	}
	r := &report{o: o, attacks: as, targets: ts}
	if err := r.measure(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	if len(r.samples) != 4 {
		t.Fatalf("%d samples, want 4", len(r.samples))
	}
	for _, s := range r.samples {
		name := s.Attack + " " + s.Target
		switch {
		case s.Err != "":
			t.Errorf("%s: %s", name, s.Err)
		case s.Honest.Sent == 0 || s.Honest.Failed > 0:
			t.Errorf("%s: %d honest clients of %d failed: %v", name, s.Honest.Failed, s.Honest.Sent, s.Honest.Failures)
		case s.Peak < 1<<20:
			t.Errorf("%s: %d bytes of memory", name, s.Peak)
		case s.Attack == "full" && (s.Flood.Done < 10 || s.CPU <= 0):
			t.Errorf("%s: %d handshakes, %v of CPU", name, s.Flood.Done, s.CPU)
		case s.Attack == "stall-hello" && s.Flood.Held != 50:
			t.Errorf("%s: held %d of 50", name, s.Flood.Held)
		case s.Attack == "stall-hello" && s.Target == ours && s.Flood.Left > 0:
			t.Errorf("%s: %d never cut", name, s.Flood.Left)
		case s.Attack == "stall-hello" && s.Target == bareLoop && s.Flood.Left != 50:
			t.Errorf("%s: %d left of 50, though the bare loop cuts nobody", name, s.Flood.Left)
		}
	}
	written(t, r)
}

// written checks the pages of a report.
func written(t *testing.T, r *report) {
	t.Helper()
	dir := t.TempDir()
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	md, err := os.ReadFile(filepath.Join(dir, "attack.md"))
	if err != nil || !strings.Contains(string(md), "## Every round") {
		t.Errorf("attack.md: %v", err)
	}
	svg, err := os.ReadFile(filepath.Join(dir, "attack.svg"))
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, svg)
	var out bytes.Buffer
	r.printTable(&out)
	r.printVerdicts(&out)
	t.Log("\n" + out.String())
}

func TestTimeLimitIsKept(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("attacks need Linux")
	}
	o, err := parse(strings.Fields("-attacks none -targets bare -limit 1s"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	as, _ := choose(o.attacks, attacks(1, 1), attackName, attackExtra)
	ts, _ := choose(o.targets, targets(), targetName, targetExtra)
	r := &report{o: o, attacks: as, targets: ts}
	if err := r.measure(t.Context(), io.Discard); err != nil || len(r.samples) > 0 || len(r.left) != 1 {
		t.Errorf("%v, %d samples, left out %q", err, len(r.samples), r.left)
	}
}

func TestFlags(t *testing.T) {
	for args, want := range map[string]string{
		"-attacks fire":  `no "fire"`,
		"-targets fire":  `no "fire"`,
		"-rounds 0":      "-rounds 0",
		"-conns 1000000": "-conns",
		"-duration 1h":   "-duration",
		"-rate 0":        "-rate",
		"stray":          "stray",
	} {
		if err := run(t.Context(), strings.Fields(args), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("attack %s: %v, want %q", args, err, want)
		}
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-list"}, &out, io.Discard); err != nil || !strings.Contains(out.String(), "spread-full") {
		t.Errorf("-list: %v\n%s", err, &out)
	}
}

// made returns a report with one round of given p99s, in milliseconds.
func made(p99 map[string]map[string]int) *report {
	r := &report{attacks: attacks(1, 1), targets: targets(), o: options{handshake: 3}}
	for a, ts := range p99 {
		for name, v := range ts {
			d := time.Duration(v) * time.Millisecond
			r.samples = append(r.samples, sample{Attack: a, Target: name, Round: 1, Window: time.Second,
				Honest: honest.Result{Sent: 10, Latency: honest.Quantiles{P99: d, Max: d}}})
		}
	}
	return r
}

func TestVerdicts(t *testing.T) {
	r := made(map[string]map[string]int{
		"none":        {ours: 4, "haproxy": 5},
		"full":        {ours: 8, bareLoop: 20, "haproxy": 159, "nginx": 200},
		"spread-full": {ours: 50, "haproxy": 150},
		"late":        {ours: 9},
	})
	got := map[string]string{}
	for _, v := range r.verdicts() {
		got[v.aim] = v.word() + " " + v.figures
	}
	for aim, want := range map[string]string{
		"flood from one source: p99 at most twice its unloaded value": "reached 2.00 times",
		"full: p99 at most 1/20 of the best peer's":                   "not reached 8.00 ms and 159 ms (HAProxy): 1/19.9",
		"spread-full: p99 at most 1/3 of the best peer's":             "reached 50.0 ms and 150 ms (HAProxy): 1/3.0",
		"late: no worse than full":                                    "not reached p99 1.12 times, 0 failed",
	} {
		if got[aim] != want {
			t.Errorf("%s: %q, want %q", aim, got[aim], want)
		}
	}
	if w := got["the attacker alone gets 0.95 of the bare loop's rate"]; !strings.HasPrefix(w, "not measured") {
		t.Errorf("what was not measured is %q", w)
	}
}

// Every kind of attack that there is can be chosen.
func TestCatalogueIsComplete(t *testing.T) {
	for _, k := range flood.Kinds() {
		if !slices.ContainsFunc(attacks(1, 1), func(a attack) bool { return a.flood.Kind == k }) {
			t.Errorf("no attack is of the kind %s", k)
		}
	}
}
