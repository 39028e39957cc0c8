// Command load is a load generator for servers on this machine that give lines back:
// honest clients at a fixed rate, or as many as the server takes. See -h.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"netserver/bench/honest"
	"netserver/bench/loopback"
)

const usage = `usage: load [flags] ADDRESS:PORT

Each client connects, shakes hands in full, sends a line, reads it back and
leaves. By default clients come at a fixed rate, whatever became of those
before them, and latency counts from the time at which each should have come.
With -closed or -stream the server's speed decides. The server and the source
must be loopback addresses; all is bounded in time and count.

`

type command struct {
	o             honest.Options
	plain, asJSON bool
	closed        int
	stream, size  int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit status: 0 done, 1 with failures, 2 bad usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parse(args, stderr)
	if err != nil {
		if err == flag.ErrHelp {
			return 0
		}
		fmt.Fprintln(stderr, "load:", err)
		return 2
	}
	failed, err := c.run(ctx, stdout)
	if err != nil {
		fmt.Fprintln(stderr, "load:", err)
		return 2
	}
	if failed {
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (*command, error) {
	var c command
	var from string
	fs := flag.NewFlagSet("load", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, usage)
		fs.PrintDefaults()
	}
	fs.StringVar(&from, "from", "127.0.0.3", "loopback `address` that clients come from")
	fs.BoolVar(&c.plain, "plain", false, "plain TCP, no TLS")
	fs.Float64Var(&c.o.Rate, "rate", 20, fmt.Sprintf("clients a `second`, at most %d", honest.MaxRate))
	fs.DurationVar(&c.o.Duration, "duration", 5*time.Second, fmt.Sprintf("how long clients come, at most %v", honest.MaxDuration))
	fs.IntVar(&c.o.Count, "count", 0, fmt.Sprintf("clients in all, at most %d (0: as many as come in -duration)", honest.MaxClients))
	fs.DurationVar(&c.o.Timeout, "timeout", 5*time.Second, fmt.Sprintf("of one client, at most %v", honest.MaxTimeout))
	fs.IntVar(&c.closed, "closed", 0, fmt.Sprintf("throughput of clients: `N` of them, each coming again at once, at most %d; -rate does not count", honest.MaxConns))
	fs.IntVar(&c.stream, "stream", 0, "throughput of bytes: `N` connections that send blocks and read them back; -rate and -count do not count")
	fs.IntVar(&c.size, "size", 16<<10, "`bytes` of a block of -stream")
	fs.BoolVar(&c.asJSON, "json", false, "print the result as one JSON object, durations in nanoseconds")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() != 1 {
		return nil, fmt.Errorf("give one target, ADDRESS:PORT after the flags (got %d)", fs.NArg())
	}
	if c.closed != 0 && c.stream != 0 {
		return nil, fmt.Errorf("give -closed or -stream, not both")
	}
	c.o.TLS = !c.plain
	var err error
	if c.o.To, err = loopback.Target(fs.Arg(0)); err != nil {
		return nil, err
	}
	c.o.From, err = loopback.Source(from)
	return &c, err
}

func (c *command) run(ctx context.Context, w io.Writer) (failed bool, err error) {
	switch {
	case c.closed != 0:
		r, err := honest.Closed(ctx, c.o, c.closed)
		if err != nil {
			return false, err
		}
		return r.Failed > 0, c.printRate(w, r, "clients", 1)
	case c.stream != 0:
		r, err := honest.Stream(ctx, c.o, c.stream, c.size)
		if err != nil {
			return false, err
		}
		return r.Failed > 0, c.printRate(w, r, "MiB", 1<<20)
	}
	r, err := honest.Run(ctx, c.o)
	if err != nil {
		return false, err
	}
	if c.asJSON {
		return r.Failed > 0, json.NewEncoder(w).Encode(r)
	}
	fmt.Fprintf(w, "%d clients in %.1f s, %d failed%s\n", r.Sent, r.Elapsed.Seconds(), r.Failed, reasons(r.Failures))
	fmt.Fprintf(w, "latency  p50 %s  p90 %s  p99 %s  max %s\n", ms(r.Latency.P50), ms(r.Latency.P90), ms(r.Latency.P99), ms(r.Latency.Max))
	fmt.Fprintf(w, "the generator's own lag  p50 %s  p99 %s  max %s\n", ms(r.Lag.P50), ms(r.Lag.P99), ms(r.Lag.Max))
	return r.Failed > 0, nil
}

func (c *command) printRate(w io.Writer, r honest.Rate, unit string, per int64) error {
	if c.asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	_, err := fmt.Fprintf(w, "%.1f %s/s: %d in %.1f s, %d failed\n",
		r.PerSecond()/float64(per), unit, r.Done/per, r.Elapsed.Seconds(), r.Failed)
	return err
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

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }
