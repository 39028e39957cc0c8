// Command compare measures netserver beside loops written by hand and beside
// other servers, in one run on this machine. See -h.
//
// Start reading at report.measure (run.go) and runner.cell (cell.go); rows.go
// has what is measured, contestants.go the servers.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"netserver/bench/child"
	"netserver/bench/command"
	"netserver/bench/drive"
)

const usage = `usage: compare [flags]

Each server runs on loopback as processes of its own, with one certificate and
one suite for all; what is not installed is left out, and named. All servers of
a row take turns, several rounds, and what is told of each is the CPU time of
all its processes for an operation, as a median. The clients and the backend of
proxies are processes of their own and not counted. Needs Linux.

`

// roleEnv holds the load of a process that this program has started of itself.
const roleEnv = "COMPARE_LOAD"

// options are what the flags say.
type options struct {
	rows, servers []string
	rounds        int
	duration      time.Duration // of one measurement
	conns         int           // clients at once
	held          int           // of rows about memory
	settle        time.Duration // for a server's memory, when they have come
	limit         time.Duration
	json, svg     string
	doc           string
	short, list   bool
}

func main() {
	if played, err := playRole(); played {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	command.Main("compare", run)
}

// playRole makes the load that the environment tells. It reports whether this
// process is one.
func playRole() (played bool, err error) {
	var o drive.Options
	if played, err := child.Role(roleEnv, &o); !played || err != nil {
		return played, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := drive.Run(ctx, o, child.Ready)
	if err != nil {
		return true, err
	}
	return true, child.Tell(r)
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{settle: 1500 * time.Millisecond}
	var rowList, serverList string
	fs := command.Flags("compare", usage, stderr)
	fs.StringVar(&rowList, "rows", "all", "`names` with commas between, or all (see -list)")
	fs.StringVar(&serverList, "servers", "all", "`names` with commas between, or all (see -list); the loops that others are compared with always run")
	fs.IntVar(&o.rounds, "rounds", 3, "in which all servers take turns; medians are told")
	fs.DurationVar(&o.duration, "duration", 350*time.Millisecond, "of one measurement, at most 1m")
	fs.IntVar(&o.conns, "conns", 8, "clients at once")
	fs.IntVar(&o.held, "held", 6000, "idle connections where their memory is measured")
	fs.DurationVar(&o.limit, "limit", 9*time.Minute+30*time.Second, "of the whole run; what does not fit is left out, and said")
	fs.StringVar(&o.json, "json", "", "`file` to write every measurement to")
	fs.StringVar(&o.svg, "svg", "", "`file` to draw the charts in")
	fs.StringVar(&o.doc, "doc", "", "page, such as docs/BENCHMARKS.md, in which to replace what an earlier run wrote; its charts go to the folder measurements beside it")
	fs.BoolVar(&o.short, "short", false, "a few rows of netserver beside the loops alone, half a minute; fails if netserver costs much more than them")
	fs.BoolVar(&o.list, "list", false, "list rows and servers, and what is missing")
	if err := command.Parse(fs, args); err != nil {
		return o, err
	}
	o.rows, o.servers = command.Names(rowList), command.Names(serverList)
	return o, o.check()
}

func (o options) check() error {
	return errors.Join(
		command.Inside("rounds", o.rounds, 1, 100),
		command.Inside("conns", o.conns, 1, 1000),
		command.Inside("held", o.held, 1, drive.MaxHeld),
		command.Inside("duration (in ms)", int(o.duration.Milliseconds()), 20, 60000),
		command.Inside("limit (in s)", int(o.limit.Seconds()), 1, 6*3600),
	)
}

// chosen reports whether a list of names has one, or all.
func chosen(list []string, name string) bool {
	return slices.Contains(list, "all") || slices.Contains(list, name)
}

// unknown returns an error if a list has a name that is neither all nor known.
func unknown(flag string, list, known []string) error {
	for _, n := range list {
		if n != "all" && !slices.Contains(known, n) {
			return fmt.Errorf("-%s: no %q; -list shows what there is", flag, n)
		}
	}
	return nil
}
