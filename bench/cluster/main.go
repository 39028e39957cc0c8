package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"netserver/bench/command"
)

const usage = `usage: cluster [flags]

Starts redis-server, three netservers that share by it, and HAProxy before them,
which gives each connection to the next node. As root each has a network
namespace of its own; otherwise they are on loopback addresses. Then it measures.
Needs Linux, Go, redis-server, haproxy and, as root, ip. The exit status is 1 if
an aim was missed that no slow machine explains.

`

// options are what the flags say.
type options struct {
	parts    []string
	bans     int
	limits   []int
	rounds   int // of store and CPU
	window   time.Duration
	rate     float64
	sources  int // of each node
	loopback bool
	limit    time.Duration
	seed     uint64
	faults   time.Duration
	binary   string
	out      string

	space string // the name of the namespaces; set for the process inside
	hold  string // the address that a helper holds connections to
}

func main() {
	command.Main("cluster", run)
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := command.Flags("cluster", usage, stderr)
	var names, usual []string
	for _, p := range parts {
		names = append(names, p.name)
		if !p.byName {
			usual = append(usual, p.name)
		}
	}
	only := fs.String("parts", strings.Join(usual, ","), "what to measure, separated by commas; faults has things fail at random and checks that nothing is lost")
	fs.Uint64Var(&o.seed, "seed", 0, "of the faults; 0 is another each time, which is printed")
	fs.DurationVar(&o.faults, "faults", time.Minute, "how long there are faults; the part takes about twice as long")
	limits := fs.String("limits", "30,100,300", "values of max_per_source")
	fs.IntVar(&o.bans, "bans", 50, "sources to ban, by hand and by points")
	fs.IntVar(&o.rounds, "rounds", 10, "pairs of measurements of CPU; a third as often the store is killed")
	fs.DurationVar(&o.window, "window", 4*time.Second, "how long each part of a measurement is")
	fs.Float64Var(&o.rate, "rate", 200, "new TLS clients a `second`")
	fs.IntVar(&o.sources, "sources", 9950, "sources with connections at each node, to see what they cost; with their networks 10,000 are shared")
	fs.BoolVar(&o.loopback, "loopback", false, "no namespaces, also as root")
	fs.DurationVar(&o.limit, "limit", 15*time.Minute, "of the whole run")
	fs.StringVar(&o.binary, "binary", "", "the netserver `program`; built without cgo by default")
	fs.StringVar(&o.out, "out", "", "`directory` to write cluster.md to")
	fs.StringVar(&o.space, "inside", "", "used by the program itself: the network that it runs in")
	fs.StringVar(&o.hold, "hold", "", "used by the program itself: where to hold connections")
	if err := command.Parse(fs, args); err != nil {
		return o, err
	}
	o.parts = strings.Split(*only, ",")
	for _, name := range o.parts {
		if !slices.Contains(names, name) {
			return o, fmt.Errorf("-parts: %q is none of %s", name, strings.Join(names, ", "))
		}
	}
	for text := range strings.SplitSeq(*limits, ",") {
		var n int
		if _, err := fmt.Sscanf(text, "%d", &n); err != nil || n < 10 || n > 2000 {
			return o, fmt.Errorf("-limits: %q is no number from 10 to 2000", text)
		}
		o.limits = append(o.limits, n)
	}
	return o, o.check()
}

func (o options) check() error {
	return errors.Join(
		command.Inside("bans", o.bans, 1, 200),
		command.Inside("rounds", o.rounds, 1, 100),
		command.Inside("window (in ms)", int(o.window.Milliseconds()), 100, 60000),
		command.Inside("rate", int(o.rate), 1, 5000),
		command.Inside("sources", o.sources, 1, 12000),
		command.Inside("faults (in s)", int(o.faults.Seconds()), 1, 3600),
		command.Inside("limit (in s)", int(o.limit.Seconds()), 1, 7200),
	)
}

// run makes the measurement and prints it. An aim that was missed is an error.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if o.hold != "" {
		return hold(ctx, o.hold, o.sources, stdout)
	}
	if os.Geteuid() == 0 && !o.loopback && o.space == "" {
		return inSpaces(ctx, args, stdout, stderr)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.limit, fmt.Errorf("the limit of %v is over", o.limit))
	defer cancel()
	w, err := command.NewWorkspace(ctx, "cluster", o.binary, stderr)
	if err != nil {
		return err
	}
	defer w.Remove()
	o.binary = w.Binary
	r, err := measure(ctx, o, w.Dir, stderr)
	if err != nil {
		return err
	}
	r.print(stdout)
	if o.out != "" {
		if err := r.write(o.out); err != nil {
			return err
		}
	}
	return r.aims.Verdict()
}
