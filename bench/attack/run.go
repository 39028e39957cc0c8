package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"time"

	"netserver/bench/loopback"
	"netserver/bench/peers"
	"netserver/bench/stats"
)

// A report is what a run has found.
type report struct {
	o       options
	attacks []attack
	targets []target
	samples []sample
	left    []string // what was left out, and why
	elapsed time.Duration
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	as, err := choose(o.attacks, attacks(o.conns, o.stalled), attackName, attackExtra)
	if err != nil {
		return fmt.Errorf("-attacks: %w", err)
	}
	ts, err := choose(o.targets, targets(), targetName, targetExtra)
	if err != nil {
		return fmt.Errorf("-targets: %w", err)
	}
	if o.list {
		list(stdout, attacks(o.conns, o.stalled), targets())
		return nil
	}
	if runtime.GOOS != "linux" {
		return fmt.Errorf("attacks need many loopback addresses and /proc: run this on Linux")
	}
	rep := &report{o: o, attacks: as}
	rep.targets = rep.installed(withWanted(as, ts))
	if err := rep.measure(ctx, stderr); err != nil {
		return err
	}
	fmt.Fprintln(stderr)
	rep.printTable(stdout)
	rep.printVerdicts(stdout)
	if o.out != "" {
		return rep.write(o.out)
	}
	return nil
}

// withWanted adds the targets that a chosen attack is about.
func withWanted(as []attack, ts []target) []target {
	var all []target
	for _, t := range targets() {
		wanted := slices.ContainsFunc(as, func(a attack) bool { return slices.Contains(a.only, t.name) })
		chosen := slices.ContainsFunc(ts, func(c target) bool { return c.name == t.name })
		if chosen || wanted {
			t.extra = !chosen // then only for the attacks that are about it
			all = append(all, t)
		}
	}
	return all
}

func (r *report) installed(ts []target) []target {
	var there []target
	for _, t := range ts {
		if t.missing != nil {
			if why := t.missing(); why != "" {
				r.left = append(r.left, t.title+": "+why)
				continue
			}
		}
		there = append(there, t)
	}
	return there
}

// measure runs all rounds, as far as the limit allows.
func (r *report) measure(ctx context.Context, progress io.Writer) error {
	begin := time.Now()
	if r.o.priority != 0 {
		undo, err := loopback.NiceSession(r.o.priority)
		if err != nil {
			return fmt.Errorf("-priority %d: %w", r.o.priority, err)
		}
		defer undo()
	}
	dir, err := os.MkdirTemp("", "attack")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	run := &runner{o: r.o, place: peers.Place{Dir: dir, Timeout: r.o.handshake, Workers: runtime.NumCPU()}}
	if err := run.place.WriteCertificate(dir); err != nil {
		return err
	}
	backend, err := run.backend(ctx)
	if err != nil {
		return err
	}
	defer backend.Stop()
	end := begin.Add(r.o.limit)
	for round := 1; round <= r.o.rounds; round++ {
		for _, a := range r.attacks {
			if a.once && round > 1 {
				continue
			}
			if !r.row(ctx, run, a, round, end, progress) {
				r.elapsed = time.Since(begin)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				r.left = append(r.left, fmt.Sprintf("round %d of %d from the attack %q on: the time limit of %v", round, r.o.rounds, a.name, r.o.limit))
				return nil
			}
		}
	}
	r.elapsed = time.Since(begin)
	return nil
}

// row measures all targets under one attack. It returns false when time is up.
func (r *report) row(ctx context.Context, run *runner, a attack, round int, end time.Time, progress io.Writer) bool {
	for _, t := range r.targets {
		if !a.wants(t) || t.extra && a.only == nil {
			continue
		}
		most := r.o.duration + 2*time.Second
		if a.holds() {
			most = r.o.holdTime() + r.o.timeout
		}
		if ctx.Err() != nil || time.Until(end) < most {
			return false
		}
		s := run.measure(ctx, a, t, round)
		r.samples = append(r.samples, s)
		fmt.Fprintf(progress, "round %d  %-14s %-16s %s\n", round, a.name, t.name, s.brief())
	}
	return true
}

// backend starts what all proxies pass on to.
func (r *runner) backend(ctx context.Context) (*peers.Process, error) {
	p, err := r.start(ctx, target{name: "backend", command: own(kindPlain), plain: true})
	if err != nil {
		return nil, err
	}
	r.place.Backend = p.Addr.Port()
	return p, nil
}

// brief is a sample in one line.
func (s sample) brief() string {
	switch {
	case s.Err != "":
		return "failed: " + s.Err
	case s.Honest.Sent == 0:
		return fmt.Sprintf("%.0f/s, %.2f s of CPU", s.rate(), s.CPU.Seconds())
	}
	return fmt.Sprintf("p99 %s ms, %d of %d failed; attack %.0f/s", stats.Millis(s.Honest.Latency.P99), s.Honest.Failed, s.Honest.Sent, s.rate())
}

// rate is how many connections of the attack were done in a second.
func (s sample) rate() float64 {
	if s.Flood.Elapsed == 0 {
		return 0
	}
	return float64(s.Flood.Done) / s.Flood.Elapsed.Seconds()
}

// refused is how many of its connections failed in a second.
func (s sample) refused() float64 {
	if s.Flood.Elapsed == 0 {
		return 0
	}
	return float64(s.Flood.Failed) / s.Flood.Elapsed.Seconds()
}

// perConn is the server's CPU time for a connection of the attack, in
// microseconds; of calm attacks only, as others have honest clients in it.
func (s sample) perConn() float64 {
	if s.Flood.Done == 0 {
		return 0
	}
	return float64(s.CPU.Microseconds()) / float64(s.Flood.Done)
}

// perHeld is the server's memory for a connection held, in bytes.
func (s sample) perHeld() float64 {
	if s.Flood.Held == 0 {
		return 0
	}
	return float64(s.Peak-s.Base) / float64(s.Flood.Held)
}
