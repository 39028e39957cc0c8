package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"time"

	"netserver/bench/child"
	"netserver/bench/flood"
	"netserver/bench/honest"
	"netserver/bench/loopback"
	"netserver/bench/peers"
)

const (
	settle     = 300 * time.Millisecond // an attack is under way after that
	warmUp     = 30                     // clients before the measurement
	loadNice   = -5                     // beside the servers', where the load may not be real-time
	startTries = 3
)

var honestSource = netip.AddrFrom4([4]byte{127, 0, 0, 3})

// A sample is one measurement of a server under an attack.
type sample struct {
	Attack, Target string
	Round          int // from 1
	Honest         honest.Result
	Flood          flood.Result
	CPU            time.Duration // of the server, in Window
	Window         time.Duration
	Others         float64 // processors that others on the machine used meanwhile
	Base, Peak     int64   // the server's memory before the attack and at most, in bytes
	Err            string
}

// A runner measures.
type runner struct {
	o     options
	place peers.Place // certificate and backend, for all
}

// measure starts a fresh server, attacks it, and ends it.
func (r *runner) measure(ctx context.Context, a attack, t target, round int) sample {
	s := sample{Attack: a.name, Target: t.name, Round: round}
	if err := r.fill(ctx, &s, a, t); err != nil {
		s.Err = err.Error()
	}
	return s
}

func (r *runner) fill(ctx context.Context, s *sample, a attack, t target) error {
	server, err := r.start(ctx, t)
	if err != nil {
		return err
	}
	defer server.Stop()
	if !t.plain {
		warm := honest.Options{To: server.Addr, From: honestSource, TLS: true, Rate: 200, Count: warmUp}
		if _, err := honest.Run(ctx, warm); err != nil {
			return err
		}
	}
	begin := time.Now()
	busy, err := peers.Busy()
	if err != nil {
		return err
	}
	before, err := server.Usage()
	if err != nil {
		return err
	}
	s.Base = before.Memory
	generators, err := r.attacked(ctx, s, a, server)
	if err != nil {
		return err
	}
	after, err := server.Usage()
	if err != nil {
		return err
	}
	s.Peak = after.Peak
	now, err := peers.Busy()
	if err != nil {
		return err
	}
	others := now - busy - (after.CPU - before.CPU) - generators
	s.Others = max(0, others.Seconds()/time.Since(begin).Seconds())
	return nil
}

// start starts a server of its own for one measurement. Another process may
// have taken the port meanwhile, so it tries again.
func (r *runner) start(ctx context.Context, t target) (*peers.Process, error) {
	var failed error
	for range startTries {
		at := r.place
		dir, err := os.MkdirTemp(r.place.Dir, t.name)
		if err != nil {
			return nil, err
		}
		at.Dir = dir
		if at.Port, err = loopback.FreePort(); err != nil {
			return nil, err
		}
		cmd, err := t.command(at)
		if err != nil {
			return nil, err
		}
		if cmd, err = withPriority(cmd, r.o.priority); err != nil {
			return nil, err
		}
		var p *peers.Process
		if t.plain {
			p, err = peers.StartUnchecked(ctx, cmd, at.Port)
		} else {
			p, err = peers.Start(ctx, cmd, at.Port, true)
		}
		if err == nil || ctx.Err() != nil {
			return p, err
		}
		failed = err
	}
	return nil, fmt.Errorf("%s does not start: %w", t.name, failed)
}

// withPriority lets a server start at a priority that it hands down to all that
// it starts; the process stays the same one.
func withPriority(cmd *exec.Cmd, n int) (*exec.Cmd, error) {
	if n == 0 {
		return cmd, nil
	}
	nice, err := exec.LookPath("nice")
	if err != nil {
		return nil, fmt.Errorf("-priority: %w", err)
	}
	with := exec.Command(nice, append([]string{"-n", strconv.Itoa(n), cmd.Path}, cmd.Args[1:]...)...)
	with.Env, with.Dir = cmd.Env, cmd.Dir
	return with, nil
}

// attacked runs the attack and the honest clients, and measures the server
// while the latter come. It returns the CPU time that the generators used.
func (r *runner) attacked(ctx context.Context, s *sample, a attack, server *peers.Process) (generators time.Duration, err error) {
	length := r.o.duration
	if a.holds() {
		length = r.o.holdTime()
	}
	attacker, err := r.attacker(ctx, a, server.Addr, length)
	if err != nil {
		return 0, err
	}
	defer attacker.End(nil)
	var load *child.Child
	begin := time.Now()
	before, err := server.Usage()
	if err != nil {
		return 0, err
	}
	if a.calm {
		err = attacker.Wait(&s.Flood)
	} else {
		load, err = r.honest(s, server.Addr, length)
	}
	if err != nil {
		return 0, err
	}
	after, err := server.Usage()
	if err != nil {
		return 0, err
	}
	s.CPU, s.Window = after.CPU-before.CPU, time.Since(begin)
	if a.holds() {
		err = attacker.Wait(&s.Flood)
	} else {
		err = attacker.End(&s.Flood)
	}
	return attacker.CPU() + load.CPU(), err
}

// attacker starts the attack, if there is one, and lets a flood get under way.
func (r *runner) attacker(ctx context.Context, a attack, to netip.AddrPort, length time.Duration) (*child.Child, error) {
	if a.flood.Kind == "" {
		return nil, nil
	}
	o := a.flood
	o.To, o.Duration = to, length
	ends := a.holds() || a.calm // by itself; else when the honest clients are done
	if !ends {
		o.Duration += settle + r.o.timeout + time.Second
	}
	c, err := startChild(role{Flood: &o, Nice: r.o.priority + r.o.below})
	if err == nil && !ends {
		pause(ctx, settle)
	}
	return c, err
}

func (r *runner) honest(s *sample, to netip.AddrPort, length time.Duration) (*child.Child, error) {
	load, err := startChild(role{Nice: r.o.priority + loadNice, Load: &honest.Options{
		To: to, From: honestSource, TLS: true,
		Rate: r.o.rate, Duration: length, Timeout: r.o.timeout,
	}})
	if err != nil {
		return nil, err
	}
	return load, load.Wait(&s.Honest)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// startChild starts the load or the attack.
func startChild(r role) (*child.Child, error) {
	cmd, err := r.command()
	if err != nil {
		return nil, err
	}
	return child.Start(cmd)
}
