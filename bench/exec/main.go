// Command exec measures what a program for each client costs: netserver with
// cat, with and without spare programs, beside stunnel's exec and netserver's
// own echo, in turns within one run, all over TLS.
//
//	go run ./bench/exec -rounds 5
//
// It needs a build of cmd/netserver, which it makes, and stunnel4 of Debian;
// without that the other rows are measured alone. Servers have no
// environment but PATH. CPU time is that of the server and of everything below
// it. Without -pin the rate is bounded by what server and clients cost together.
// Of this module it imports bench/honest, bench/loopback and bench/peers. Start
// reading at run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"netserver/bench/honest"
	"netserver/bench/loopback"
	"netserver/bench/peers"
)

type options struct {
	rounds   int
	duration time.Duration
	conns    int
	pause    time.Duration
	burst    int
	spare    int
	pin      bool
	program  string
	binary   string
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 3, "rounds; medians are printed")
	flag.DurationVar(&o.duration, "duration", 3*time.Second, "of each measurement")
	flag.IntVar(&o.conns, "conns", 8, "clients at once, for the rate")
	flag.DurationVar(&o.pause, "pause", 10*time.Millisecond, "between two clients, for the latency")
	flag.IntVar(&o.burst, "burst", 64, "clients of a burst, after a pause in which spare programs are started again")
	flag.IntVar(&o.spare, "spare", 128, "spare programs")
	flag.BoolVar(&o.pin, "pin", false, "give each server the last processor and the load the others, so that the rate is the server's alone")
	flag.StringVar(&o.program, "program", "/bin/cat", "the program, which must return lines")
	flag.StringVar(&o.binary, "netserver", "", "the netserver to measure; default: build it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A row is one server and what was measured of it, a value a round.
type row struct {
	name string
	args func(at peers.Place) *exec.Cmd

	rate, cpu, p50, burst []float64 // clients a second; ms of CPU a client; ms; clients a second
	failed                int64
}

func run(ctx context.Context, o options, w io.Writer) error {
	dir, err := os.MkdirTemp("", "netserver-bench-exec")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.binary == "" {
		o.binary = filepath.Join(dir, "netserver")
		if err := build(ctx, o.binary); err != nil {
			return err
		}
	}
	var at peers.Place
	if err := at.WriteCertificate(dir); err != nil {
		return err
	}
	all := o.rows()
	for range o.rounds {
		for _, r := range all {
			if err := o.measure(ctx, r, at); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	return o.print(w, all)
}

// build makes the program, without cgo: such is what is shipped.
func build(ctx context.Context, to string) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("this program does not know its module")
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", to, info.Main.Path+"/cmd/netserver")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// rows returns the servers. The last one is what the others' latency is
// compared with.
func (o options) rows() []*row {
	var all []*row
	if _, err := exec.LookPath("stunnel4"); err == nil {
		all = append(all, &row{name: "stunnel exec", args: o.stunnel})
	}
	return append(all,
		&row{name: "program", args: o.netserver("--", o.program)},
		&row{name: "program, exec_spare", args: o.netserver("--exec_spare", fmt.Sprint(o.spare), "--", o.program)},
		&row{name: "echo in the server", args: o.netserver("--echo", "raw")})
}

func (o options) netserver(more ...string) func(peers.Place) *exec.Cmd {
	return func(at peers.Place) *exec.Cmd {
		args := []string{"--host", "127.0.0.1", "--port", fmt.Sprintf("%d/ssl", at.Port),
			"--SSL_cert_file", at.CertFile, "--SSL_key_file", at.KeyFile, "--log_level", "1"}
		if os.Geteuid() == 0 {
			args = append(args, "--user", "root")
		}
		return plain(exec.Command(o.binary, append(args, more...)...))
	}
}

func (o options) stunnel(at peers.Place) *exec.Cmd {
	name := filepath.Join(filepath.Dir(at.CertFile), "stunnel.conf")
	text := fmt.Sprintf("foreground = yes\ndebug = 3\npid =\nsocket = l:TCP_NODELAY=1\n[exec]\naccept = 127.0.0.1:%d\nexec = %s\nexecArgs = %s\ncert = %s\nkey = %s\n",
		at.Port, o.program, filepath.Base(o.program), at.CertFile, at.KeyFile)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		return exec.Command("/nonexistent") // which the caller's start reports
	}
	return plain(exec.Command("stunnel4", name))
}

// plain leaves a server PATH alone: what a program does at its start depends on
// its environment, which servers pass on differently.
func plain(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	return cmd
}

// measure starts one server, measures it, and ends it.
func (o options) measure(ctx context.Context, r *row, at peers.Place) error {
	var err error
	if at.Port, err = loopback.FreePort(); err != nil {
		return err
	}
	var p *peers.Process
	start := func() error { p, err = peers.Start(ctx, r.args(at), at.Port, true); return err }
	if o.pin {
		err = pinned(start)
	} else {
		err = start()
	}
	if err != nil {
		return err
	}
	defer p.Stop()
	to := honest.Options{To: p.Addr, TLS: true, Duration: o.duration, Timeout: 5 * time.Second}
	before, err := p.Usage()
	if err != nil {
		return err
	}
	rate, err := honest.Closed(ctx, to, o.conns)
	if err != nil {
		return err
	}
	after, err := p.Usage()
	if err != nil {
		return err
	}
	r.failed += rate.Failed
	r.rate = append(r.rate, rate.PerSecond())
	r.cpu = append(r.cpu, ms(after.CPU-before.CPU)/float64(max(rate.Done, 1)))
	if err := o.one(ctx, r, p.Addr); err != nil {
		return err
	}
	return o.bursts(ctx, r, to)
}

// one measures single clients, with a pause after each.
func (o options) one(ctx context.Context, r *row, to netip.AddrPort) error {
	var took []time.Duration
	for end := time.Now().Add(o.duration); time.Now().Before(end); {
		one, cancel := context.WithTimeout(ctx, 5*time.Second)
		began := time.Now()
		err := honest.Once(one, netip.Addr{}, to, true)
		took = append(took, time.Since(began))
		cancel()
		if err != nil {
			return err
		}
		time.Sleep(o.pause)
	}
	r.p50 = append(r.p50, ms(honest.QuantilesOf(took).P50))
	return nil
}

// bursts measures clients that come after a pause, in which spare programs are
// started.
func (o options) bursts(ctx context.Context, r *row, to honest.Options) error {
	var rates []float64
	for end := time.Now().Add(o.duration); time.Now().Before(end); {
		time.Sleep(500 * time.Millisecond)
		to.Count, to.Rate = o.burst, honest.MaxRate
		rate, err := honest.Closed(ctx, to, o.conns)
		if err != nil {
			return err
		}
		r.failed += rate.Failed
		rates = append(rates, rate.PerSecond())
	}
	r.burst = append(r.burst, median(rates))
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if len(v) == 0 {
		return 0
	}
	return v[len(v)/2]
}

// print prints the medians, and their ratios to stunnel's and to the echo's.
func (o options) print(w io.Writer, all []*row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "medians of %d rounds\tclients/s\tof stunnel\tCPU ms/client\tof stunnel\tburst/s\tof stunnel\tp50 ms\tof echo\tfailed\t\n", o.rounds)
	base, echo := all[0], all[len(all)-1]
	for _, r := range all {
		fmt.Fprintf(t, "%s\t%.0f\t%.2f\t%.3f\t%.2f\t%.0f\t%.2f\t%.3f\t%.2f\t%d\t\n", r.name,
			median(r.rate), median(r.rate)/median(base.rate),
			median(r.cpu), median(r.cpu)/median(base.cpu),
			median(r.burst), median(r.burst)/median(base.burst),
			median(r.p50), median(r.p50)/median(echo.p50), r.failed)
	}
	return t.Flush()
}
