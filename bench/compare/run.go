package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"netserver/bench/peers"
	"netserver/bench/stats"
)

// A report is what a run has found.
type report struct {
	o        options
	rows     []row
	servers  []contestant
	samples  []sample
	left     []string // what was left out, and why
	versions []string // of the peers
	begun    time.Time
	elapsed  time.Duration
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if o.short {
		o = o.shortened()
	}
	r := &report{o: o}
	if err := r.choose(); err != nil {
		return err
	}
	if o.list {
		r.list(stdout)
		return nil
	}
	if runtime.GOOS != "linux" {
		return errors.New("it needs the accounting of Linux")
	}
	if err := r.measure(ctx, stderr); err != nil {
		return err
	}
	fmt.Fprintln(stderr)
	r.printTable(stdout)
	if o.short {
		return r.judgeShort(ctx, stdout, stderr)
	}
	r.printVerdicts(stdout)
	return r.write()
}

// choose takes the rows and servers that the flags name.
func (r *report) choose() error {
	var rowNames, serverNames []string
	for _, w := range rows(r.o) {
		rowNames = append(rowNames, w.name)
		if chosen(r.o.rows, w.name) {
			r.rows = append(r.rows, w)
		}
	}
	for _, c := range contestants() {
		serverNames = append(serverNames, c.name)
		if !chosen(r.o.servers, c.name) && !(c.bare && !r.o.short) {
			continue
		}
		if c.missing != "" {
			r.left = append(r.left, c.title+": "+c.missing)
			if !r.o.list {
				continue
			}
		}
		r.servers = append(r.servers, c)
	}
	return errors.Join(unknown("rows", r.o.rows, rowNames), unknown("servers", r.o.servers, serverNames))
}

func (r *report) list(w io.Writer) {
	fmt.Fprintln(w, "rows:")
	for _, one := range r.rows {
		fmt.Fprintf(w, "  %-12s %s\n", one.name, one.title)
	}
	fmt.Fprintln(w, "servers:")
	for _, c := range r.servers {
		fmt.Fprintf(w, "  %-26s %-10s %s", c.name, c.class, c.title)
		if c.missing != "" {
			fmt.Fprintf(w, "; left out: %s", c.missing)
		}
		fmt.Fprintln(w)
	}
}

// measure runs all rows, as far as the limit allows.
func (r *report) measure(ctx context.Context, progress io.Writer) error {
	r.begun = time.Now()
	dir, err := os.MkdirTemp("", "compare")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// Serving processes of root are somebody else, who has to come in.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	fmt.Fprintln(progress, "building")
	run := &runner{o: r.o, dir: dir, running: make(map[string]*server)}
	if run.kit, err = build(ctx, dir); err != nil {
		return err
	}
	if err := run.prepare(ctx); err != nil {
		return err
	}
	defer run.stopAll()
	r.versions = peers.Versions()
	r.begun = time.Now()
	for i, w := range r.rows {
		if i > 0 && w.shape() != r.rows[i-1].shape() || w.fresh {
			run.stopServers()
		}
		if w.half {
			w.load.Rate = r.halfRate(w.load.Rate)
			r.rows[i] = w
		}
		if !r.row(ctx, run, w, progress) {
			break
		}
	}
	r.elapsed = time.Since(r.begun)
	return ctx.Err()
}

// halfRate is half of what the bare proxy did in the row "full", or else.
func (r *report) halfRate(otherwise float64) float64 {
	s := r.of("full", bareProxy)
	if len(s) == 0 {
		return otherwise
	}
	half := stats.MedianOf(s, sample.rate) / 2
	return float64(max(int(half/50)*50, 50)) // a round figure
}

// row measures one row in all its rounds. It returns false when time is up.
func (r *report) row(ctx context.Context, run *runner, w row, progress io.Writer) bool {
	ts := r.takePart(w)
	rounds := r.o.rounds
	switch {
	case w.once:
		rounds = 1
	case w.how == byLatency:
		rounds = min(rounds, 2)
	}
	failed := make(map[string]bool)
	for round := 1; round <= rounds; round++ {
		for i := range ts {
			c := ts[(i+round-1)%len(ts)] // nobody is always first
			if failed[c.name] {
				continue
			}
			if time.Since(r.begun)+w.load.Duration+time.Second > r.o.limit {
				r.left = append(r.left, fmt.Sprintf("round %d of %q from %s on, and all rows after it: the time limit of %v", round, w.title, c.title, r.o.limit))
				return false
			}
			s := run.cell(ctx, w, c, round)
			if ctx.Err() != nil {
				return false
			}
			if s.Unable {
				failed[c.name] = true
				if s.Err != "" {
					r.left = append(r.left, fmt.Sprintf("%s in %q: %s", c.title, w.title, s.Err))
				}
				continue
			}
			r.samples = append(r.samples, s)
			fmt.Fprintf(progress, "%-12s round %d  %-26s %s\n", w.name, round, c.name, s.brief(w))
		}
	}
	return true
}

// takePart returns the servers that a row is about.
func (r *report) takePart(w row) []contestant {
	var ts []contestant
	for _, c := range r.servers {
		switch {
		case !slices.Contains(w.classes, c.class), w.noPeers && c.peer, w.thousands && c.processes:
		case w.ours != nil && !c.peer && !c.bare && !slices.Contains(w.ours, c.name):
		default:
			ts = append(ts, c)
		}
	}
	return ts
}

// of returns the measurements of a server in a row that could be made.
func (r *report) of(row, server string) []sample {
	var s []sample
	for _, one := range r.samples {
		if one.Row == row && one.Server == server && one.Err == "" {
			s = append(s, one)
		}
	}
	return s
}

// prepare writes what all servers are started with, and starts the backends.
func (r *runner) prepare(ctx context.Context) error {
	r.ecdsa = peers.Place{Timeout: 60, Workers: runtime.NumCPU()}
	r.rsa = r.ecdsa
	r.web = filepath.Join(r.dir, "web")
	rsaDir := filepath.Join(r.dir, "rsa")
	if err := errors.Join(os.Mkdir(r.web, 0o755), os.Mkdir(rsaDir, 0o755)); err != nil {
		return err
	}
	err := errors.Join(
		r.ecdsa.WriteCertificate(r.dir),
		r.rsa.WriteRSACertificate(rsaDir),
		os.WriteFile(filepath.Join(r.web, "file"), make([]byte, 1024), 0o644),
	)
	if err != nil {
		return err
	}
	for _, kind := range []string{"backend", "source", "packets"} {
		b, err := r.backend(ctx, kind)
		if err != nil {
			return fmt.Errorf("the backend: %w", err)
		}
		r.backends = append(r.backends, b)
	}
	return nil
}
