// Command restart measures what clients feel of restarts: a netserver is restarted in
// place again and again, by HUP and with its program's file replaced, while new
// clients, old clients and datagrams go on. See -h.
//
// Start reading at measure.go; loads.go has the clients, report.go the verdict.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"netserver/bench/command"
)

const usage = `usage: restart [flags]

Starts netserver on loopback and restarts it in place, by HUP and with its
program's file replaced, while new TLS clients come at a fixed rate, others
stay and talk from beginning to end, and datagrams go to and fro. Nobody may be
refused, fail or be cut. Then serving processes are killed. Run as root, they
are nobody, as always. Needs Linux and Go. The exit status is 1 if anything was
lost.

`

// options are what the flags say.
type options struct {
	hups, replacements, kills int
	rate                      float64 // new clients a second
	stay                      int     // clients that stay
	datagrams                 float64 // a second
	gap                       time.Duration
	limit                     time.Duration
	binary                    string
	out                       string
}

func main() {
	command.Main("restart", run)
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := command.Flags("restart", usage, stderr)
	fs.IntVar(&o.hups, "hups", 100, "restarts by HUP alone")
	fs.IntVar(&o.replacements, "replacements", 20, "restarts with the program's file replaced, among those")
	fs.IntVar(&o.kills, "kills", 5, "serving processes to kill afterwards")
	fs.Float64Var(&o.rate, "rate", 200, "new TLS clients a `second`")
	fs.IntVar(&o.stay, "stay", 500, "clients that stay, half of them over TLS")
	fs.Float64Var(&o.datagrams, "datagrams", 100, "datagrams a `second`")
	fs.DurationVar(&o.gap, "gap", 200*time.Millisecond, "between the end of a restart and the next")
	fs.DurationVar(&o.limit, "limit", 8*time.Minute, "of the whole run")
	fs.StringVar(&o.binary, "binary", "", "the netserver `program`; built without cgo by default")
	fs.StringVar(&o.out, "out", "", "`directory` to write restart.md to")
	if err := command.Parse(fs, args); err != nil {
		return o, err
	}
	return o, o.check()
}

func (o options) check() error {
	return errors.Join(
		command.Inside("hups", o.hups, 0, 10000),
		command.Inside("replacements", o.replacements, 0, 1000),
		command.Inside("kills", o.kills, 0, 1000),
		command.Inside("rate", int(o.rate), 1, 5000),
		command.Inside("stay", o.stay, 0, 10000),
		command.Inside("datagrams", int(o.datagrams), 1, 10000),
		command.Inside("gap (in ms)", int(o.gap.Milliseconds()), 0, 60000),
		command.Inside("limit (in s)", int(o.limit.Seconds()), 1, 3600),
	)
}

// run makes the measurement and prints it. Whatever was lost is an error.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.limit, fmt.Errorf("the limit of %v is over", o.limit))
	defer cancel()
	r, err := measure(ctx, o, stderr)
	if err != nil {
		return err
	}
	r.print(stdout)
	if o.out != "" {
		if err := r.write(o.out); err != nil {
			return err
		}
	}
	return r.verdict()
}
