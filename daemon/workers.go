package daemon

import (
	"fmt"
	"math"
	"time"

	"netserver/conf"
	"netserver/daemon/internal/supervisor"
)

// WorkersConfig is how many processes serve, for the types PreFork and
// PreForkSimple. Zero is the stated default.
type WorkersConfig struct {
	Min      int // processes at least; default 5 (PreFork)
	MinSpare int // of them without a client, at least; default 5, negative none (PreFork)
	MaxSpare int // and at most; default 10 (PreFork)
	Requests int // clients after which a process ends and is replaced; default 1000, negative never
	Clients  int // clients of one process at once; default 1
	// Surplus is how long there must have been no reason for another process
	// before one is ended; default 10 s (PreFork).
	Surplus time.Duration
	// MinLife is how long after the start of a process none is ended as
	// surplus; default 10 s (PreFork).
	MinLife time.Duration

	ignored time.Duration
}

const (
	groupWorkers = "processes"

	defaultServers  = 50 // PreFork and PreForkSimple
	defaultMin      = 5
	defaultMinSpare = 5
	defaultMaxSpare = 10
	defaultRequests = 1000
)

func (w *WorkersConfig) define(s *conf.Set) {
	key := func(when conf.When, name, arg, def, help string, b conf.Binder) {
		s.Define(conf.Key{Name: name, Group: groupWorkers, Arg: arg, Default: def, Help: help, When: when, NetServer: name != "clients_per_server"}, b)
	}
	seconds := func(name, def, help string, p *time.Duration) {
		b := conf.Seconds(p, 0, 365*24*time.Hour)
		// 0 stands for the default in a Config.
		key(factPreFork, name, "SECONDS", def, help, insteadOf0(b, p, time.Nanosecond))
	}
	key(factPreFork, "min_servers", "N", "", "PreFork: processes at least (default 5)", conf.Int(&w.Min, 1, math.MaxInt32))
	key(factPreFork, "min_spare_servers", "N", "", "PreFork: processes without a client, at least; 0 is none (default 5)",
		insteadOf0(conf.Int(&w.MinSpare, 0, math.MaxInt32), &w.MinSpare, -1))
	key(factPreFork, "max_spare_servers", "N", "", "PreFork: processes without a client, at most (default 10)", conf.Int(&w.MaxSpare, 1, math.MaxInt32))
	key(factPool, "max_requests", "N", "", "PreFork, PreForkSimple: clients after which a process ends and is replaced; -1 never, 0 is 1 (default 1000)",
		insteadOf0(conf.Int(&w.Requests, -1, math.MaxInt32), &w.Requests, 1))
	key(factPool, "clients_per_server", "N", "", "PreFork, PreForkSimple: clients of one process at once (default 1)", conf.Int(&w.Clients, 1, math.MaxInt32))
	seconds("check_for_waiting", "10", "PreFork: between two looks for surplus processes", &w.Surplus)
	seconds("min_child_ttl", "10", "PreFork: after the start of a process until any is ended as surplus", &w.MinLife)
	for _, name := range []string{"check_for_dead", "check_for_spawn"} {
		s.Define(conf.Key{Name: name, Group: groupWorkers, Arg: "SECONDS", When: factUseful, NetServer: true, Help: "accepted for Net::Server's sake: the end of a process is noticed at once, and counts are exact"},
			conf.Seconds(&w.ignored, 0, 365*24*time.Hour))
	}
}

// insteadOf0 has b, which binds p, store v where 0 was given, and 0 where
// nothing was.
func insteadOf0[T ~int | ~int64](b conf.Binder, p *T, v T) conf.Binder { return zeroBinder[T]{b, p, v} }

type zeroBinder[T ~int | ~int64] struct {
	conf.Binder
	p *T
	v T
}

func (b zeroBinder[T]) Set(vals []conf.Value) error {
	err := b.Binder.Set(vals)
	if err == nil && len(vals) > 0 && *b.p == 0 {
		*b.p = b.v
	}
	return err
}

func (b zeroBinder[T]) Texts() []string {
	if *b.p == b.v {
		return []string{"0"}
	}
	return b.Binder.Texts()
}

// scale makes the numbers fit together; the lines say what was adjusted.
func (c *Config) scale() (supervisor.Scale, []string) {
	w := &c.Workers
	requests := w.Requests
	switch {
	case requests == 0:
		requests = defaultRequests
	case requests < 0:
		requests = 0
	}
	switch c.Type {
	case typeSingle:
		return supervisor.Scale{Min: 1, Max: 1, Clients: 1}, nil
	case typePreForkSimple:
		n := orDefault(c.Server.Limits.MaxServing, defaultServers)
		return supervisor.Scale{Min: n, Max: n, Clients: orDefault(w.Clients, 1), Requests: requests, Grows: supervisor.GrowsProcesses}, nil
	case typePreFork:
		return c.preFork(supervisor.Scale{Clients: orDefault(w.Clients, 1), Requests: requests, Dynamic: true, Surplus: durationOr(w.Surplus, 10*time.Second), MinLife: durationOr(w.MinLife, 10*time.Second), Grows: supervisor.GrowsProcesses})
	}
	return supervisor.Scale{Min: 1, Max: 1, Clients: max(c.Server.Limits.MaxServing, 0), Grows: supervisor.GrowsClients}, nil
}

func (c *Config) preFork(s supervisor.Scale) (supervisor.Scale, []string) {
	w := &c.Workers
	var notes []string
	lower := func(name string, p *int, given, most int, than string) {
		if *p <= most {
			return
		}
		if given > 0 {
			notes = append(notes, fmt.Sprintf("%s %d is above %s: %d is used", name, *p, than, most))
		}
		*p = most
	}
	s.Max = orDefault(c.Server.Limits.MaxServing, defaultServers)
	s.Min = orDefault(w.Min, defaultMin)
	lower("min_servers", &s.Min, w.Min, s.Max, "max_servers")
	s.MaxSpare = orDefault(w.MaxSpare, defaultMaxSpare)
	lower("max_spare_servers", &s.MaxSpare, w.MaxSpare, max(s.Max-1, 1), "max_servers less one")
	s.MinSpare = max(w.MinSpare, 0)
	if w.MinSpare == 0 {
		// As the original, which takes min_servers if that is given.
		s.MinSpare = orDefault(w.Min, defaultMinSpare)
	}
	lower("min_spare_servers", &s.MinSpare, w.MinSpare, s.MaxSpare, "max_spare_servers")
	lower("min_spare_servers", &s.MinSpare, w.MinSpare, s.Min, "min_servers")
	return s, notes
}

// orDefault returns n, or def for zero and below.
func orDefault(n, def int) int {
	if n <= 0 {
		return def
	}
	return n
}

func durationOr(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}
