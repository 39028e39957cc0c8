// Command attack measures what honest clients feel while others attack the server:
// netserver, a bare crypto/tls loop and other TLS servers side by side, in one
// run on this machine. See -h.
//
// Start reading at report.measure (run.go) and runner.measure (cell.go);
// attacks.go has the attacks, targets.go the servers.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"netserver/bench/command"
	"netserver/bench/flood"
)

const usage = `usage: attack [flags]

Honest clients come at a fixed rate from 127.0.0.3 while others attack from
127.64.0.0/12. Each server is started afresh for each measurement, on loopback,
with one certificate (ECDSA P-256) for all; what is not installed is left out.
The attackers run at a lower priority than the servers, the honest clients, if
allowed, at a higher one. Needs Linux.

`

// options are what the flags say.
type options struct {
	attacks, targets []string
	rounds           int
	duration         time.Duration // of a measurement
	timeout          time.Duration // of an honest client
	handshake        int           // the servers' limit for handshakes, in seconds
	rate             float64
	conns, stalled   int
	limit            time.Duration
	priority         int // of the servers
	below            int // how far the attackers' is below that
	out              string
	list             bool
}

// holdTime is how long a holding attack lasts: beyond the servers' limit.
func (o options) holdTime() time.Duration {
	return time.Duration(o.handshake)*time.Second + 3*time.Second
}

func main() {
	if played, err := playRole(); played {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	command.Main("attack", run)
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var attackList, targetList string
	fs := command.Flags("attack", usage, stderr)
	fs.StringVar(&attackList, "attacks", "default", "`names` with commas between, or default, or all (see -list)")
	fs.StringVar(&targetList, "targets", "default", "`names` with commas between, or default, or all (see -list)")
	fs.IntVar(&o.rounds, "rounds", 3, "of all pairs in turn; medians are told. Attacks that hold connections run in the first one only")
	fs.DurationVar(&o.duration, "duration", 2*time.Second, "of one measurement, at most 1m")
	fs.DurationVar(&o.timeout, "timeout", 5*time.Second, "of an honest client, at most 1m; a failure counts as so long")
	fs.IntVar(&o.handshake, "handshake-timeout", 3, "the servers' own limit for a handshake, in `seconds`, where they have one")
	fs.Float64Var(&o.rate, "rate", 50, "honest clients a `second`")
	fs.IntVar(&o.conns, "conns", 256, "connections of a flood at once")
	fs.IntVar(&o.stalled, "stalled", 10000, "connections of an attack that holds them; a fifth of that for slow")
	fs.DurationVar(&o.limit, "limit", 10*time.Minute, "of the whole run; what does not fit is left out, and said")
	fs.IntVar(&o.priority, "priority", 0, "of the servers, as `nice` has it; the honest clients go first. Below 0 is for a machine that has other work to do, and for root")
	fs.IntVar(&o.below, "attackers-below", 5, "how much `nice`r attackers are than the servers; with 0 the attack is stronger, and latencies tell less of the server alone")
	fs.StringVar(&o.out, "out", "", "`directory` to write attack.md and attack.svg to")
	fs.BoolVar(&o.list, "list", false, "list attacks and targets, and what is missing")
	if err := command.Parse(fs, args); err != nil {
		return o, err
	}
	o.attacks, o.targets = command.Names(attackList), command.Names(targetList)
	return o, o.check()
}

func (o options) check() error {
	return errors.Join(
		command.Inside("rounds", o.rounds, 1, 100),
		command.Inside("conns", o.conns, 1, flood.MaxConns),
		command.Inside("stalled", o.stalled, 1, flood.MaxConns),
		command.Inside("handshake-timeout", o.handshake, 1, 60),
		command.Inside("priority", o.priority, -15, 10),
		command.Inside("attackers-below", o.below, 0, 20),
		command.Inside("rate", int(o.rate), 1, 1000),
		command.Inside("duration (in ms)", int(o.duration.Milliseconds()), 100, 60000),
		command.Inside("timeout (in ms)", int(o.timeout.Milliseconds()), 100, 60000),
		command.Inside("limit (in s)", int(o.limit.Seconds()), 1, 6*3600),
	)
}

// choose returns those of all that names asks for: each by name, "default"
// for those that are not extra, and "all".
func choose[T any](names []string, all []T, name func(T) string, extra func(T) bool) ([]T, error) {
	for _, n := range names {
		if n != "all" && n != "default" && !slices.ContainsFunc(all, func(t T) bool { return name(t) == n }) {
			return nil, fmt.Errorf("no %q; -list shows what there is", n)
		}
	}
	var chosen []T
	for _, t := range all {
		if slices.Contains(names, name(t)) || slices.Contains(names, "all") || slices.Contains(names, "default") && !extra(t) {
			chosen = append(chosen, t)
		}
	}
	return chosen, nil
}

func attackName(a attack) string { return a.name }
func attackExtra(a attack) bool  { return a.extra }
func targetName(t target) string { return t.name }
func targetExtra(t target) bool  { return t.extra }

func list(w io.Writer, as []attack, ts []target) {
	fmt.Fprintln(w, "attacks (* only if named):")
	for _, a := range as {
		fmt.Fprintf(w, "  %-15s%s %s\n", a.name, star(a.extra), a.title)
	}
	fmt.Fprintln(w, "targets (* only if named, or where an attack is about them):")
	for _, t := range ts {
		fmt.Fprintf(w, "  %-15s%s %s", t.name, star(t.extra), t.title)
		if t.missing != nil {
			if m := t.missing(); m != "" {
				fmt.Fprintf(w, "; left out: %s", m)
			}
		}
		fmt.Fprintln(w)
	}
}

func star(extra bool) string {
	if extra {
		return "*"
	}
	return " "
}
