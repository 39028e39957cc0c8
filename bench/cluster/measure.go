package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"time"

	"netserver/bench/drive"
	"netserver/bench/honest"
	"netserver/bench/stats"
	"netserver/internal/control"
)

// A result is what was found.
type result struct {
	o       options
	aims    stats.Aims
	tables  []table
	faults  string // the section of a page; "" if there were none
	elapsed time.Duration
}

// A table is figures that no aim is set for.
type table struct {
	title, text string
	rows        [][]string // the first one is the head
}

// A part is one of the measurements.
type part struct {
	name   string
	do     func(context.Context, *site, *result) error
	byName bool // only if it is asked for
}

var parts = [...]part{
	{name: "resumption", do: resumption}, {name: "bans", do: bans}, {name: "limits", do: limits}, {name: "store", do: storeKilled}, {name: "node", do: nodeKilled},
	{name: "cpu", do: handshakeCPU}, {name: "sources", do: sourcesCost}, {name: faultsPart, do: faults, byName: true},
}

// measure makes the measurements.
func measure(ctx context.Context, o options, dir string, progress io.Writer) (*result, error) {
	if runtime.GOOS != "linux" {
		return nil, errors.New("it needs Linux")
	}
	began := time.Now()
	s, err := newSite(o, dir, progress)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	if err := errors.Join(s.startStore(ctx), s.startNodes(ctx, 0)); err != nil {
		return nil, err
	}
	if err := s.startFront(ctx); err != nil {
		return nil, err
	}
	r := &result{o: o}
	for _, p := range parts {
		if !slices.Contains(o.parts, p.name) {
			continue
		}
		fmt.Fprintln(progress, p.name)
		if err := p.do(ctx, s, r); err != nil {
			for _, n := range s.nodes {
				log, _ := os.ReadFile(n.file("log"))
				fmt.Fprintf(progress, "the end of the log of %s:\n%s\n", n.name, log[max(0, len(log)-1500):])
			}
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	r.elapsed = time.Since(began)
	return r, nil
}

// resumption compares how many sessions are resumed by clients that meet
// another node each time with how many are by those of one node.
func resumption(ctx context.Context, s *site, r *result) error {
	rate := func(port int) (float64, int64, error) {
		res, err := drive.Run(ctx, drive.Options{Kind: drive.Connect, To: s.at(port), TLS: true, Resume: true, Conns: 6, Duration: s.o.window}, func() error { return nil })
		if err != nil {
			return 0, 0, err
		}
		if why, bad := res.Fails(); bad {
			return 0, 0, errors.New(why)
		}
		return float64(res.Resumed) / float64(max(res.Done, 1)), res.Done, nil
	}
	one, alone, err1 := rate(toTLS)
	all, done, err2 := rate(frontTLS)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	r.aims.Add("resumption over three nodes at least 0.98 of one node's",
		fmt.Sprintf("%.4f times: %.4f of %d handshakes, %.4f of %d at one node", all/one, all, done, one, alone), all >= 0.98*one, true)
	return nil
}

// storeKilled kills the store while clients come and others stay.
func storeKilled(ctx context.Context, s *site, r *result) error {
	const stay = 60
	st, err := honest.StartStay(ctx, s.at(frontPlain), s.at(frontTLS), stay)
	if err != nil {
		return err
	}
	var up, killed, down []honest.Result
	var returns []time.Duration
	come := func(to *[]honest.Result, meanwhile func()) error {
		done := make(chan honest.Result, 1)
		go func() {
			res, _ := honest.Run(ctx, honest.Options{To: s.at(frontTLS), TLS: true, Rate: s.o.rate, Duration: s.o.window, Timeout: clientTime})
			done <- res
		}()
		err := pause(ctx, s.o.window/4)
		meanwhile()
		*to = append(*to, <-done)
		return err
	}
	nothing := func() {}
	for range max(1, s.o.rounds/3) {
		if err = errors.Join(come(&up, nothing), come(&killed, s.redis.Kill), come(&down, nothing)); err != nil {
			break
		}
		s.redis.Stop()
		if err = s.startStore(ctx); err != nil {
			break
		}
		began := time.Now()
		if err = s.together(ctx); err != nil {
			break
		}
		returns = append(returns, time.Since(began))
	}
	lost := st.End()
	if err != nil {
		return err
	}
	failed, sent := 0, 0
	for _, one := range slices.Concat(up, killed, down) {
		failed, sent = failed+one.Failed, sent+one.Sent
	}
	p99 := func(l []honest.Result) float64 {
		return float64(stats.MedianOf(l, func(h honest.Result) time.Duration { return h.Latency.P99 })) / 1e6
	}
	noise := stats.Spread(p99s(up))
	r.aims.Add("the store is killed: no client fails", fmt.Sprintf("%d of %d newcomers, %d of %d who stayed and got %d lines back", failed, sent, len(lost), stay, st.Lines()), failed+len(lost) == 0, true)
	r.aims.Add("and p99 is within noise",
		fmt.Sprintf("%.2f ms with the store (± %.0f %%), %.2f while it is killed, %.2f without it", p99(up), 100*noise, p99(killed), p99(down)),
		max(p99(killed), p99(down)) <= p99(up)*(1+max(noise, 0.2)), false)
	t := table{title: "The store is killed", text: fmt.Sprintf("%.0f new TLS clients a second for %v each; the store is killed a quarter into the second. All nodes knew each other again %s after it was there (median).", s.o.rate, s.o.window, stats.Median(returns).Round(10*time.Millisecond)),
		rows: [][]string{{"milliseconds", "p50", "p99", "max", "failed"}}}
	for _, k := range []struct {
		what string
		list []honest.Result
	}{{"with the store", up}, {"killed meanwhile", killed}, {"without it", down}} {
		for _, one := range k.list {
			t.rows = append(t.rows, []string{k.what, stats.Millis(one.Latency.P50), stats.Millis(one.Latency.P99), stats.Millis(one.Latency.Max), fmt.Sprint(one.Failed)})
		}
	}
	r.tables = append(r.tables, t)
	return nil
}

func p99s(list []honest.Result) (all []float64) {
	for _, one := range list {
		all = append(all, float64(one.Latency.P99))
	}
	return all
}

// nodeKilled kills a node while clients come and others stay.
func nodeKilled(ctx context.Context, s *site, r *result) error {
	const stay = 90
	st, err := honest.StartStay(ctx, s.at(frontPlain), s.at(frontTLS), stay)
	if err != nil {
		return err
	}
	victim := s.nodes[1]
	c, err := ask[control.Status](ctx, victim, &control.Request{Verb: control.VerbStatus})
	if err != nil {
		st.End()
		return err
	}
	own := c.Clients
	done := make(chan honest.Result, 1)
	go func() {
		res, _ := honest.Run(ctx, honest.Options{To: s.at(frontTLS), TLS: true, Rate: s.o.rate, Duration: s.o.window, Timeout: clientTime})
		done <- res
	}()
	err = pause(ctx, s.o.window/4)
	victim.proc.Kill()
	comers := <-done
	lost := st.End()
	victim.stop()
	if err != nil {
		return err
	}
	r.aims.Add("a node is killed: only its clients fail", fmt.Sprintf("%d of %d who stayed, of whom it had %d; %d of %d newcomers, who were at it", len(lost), stay, own, comers.Failed, comers.Sent),
		len(lost) <= own && comers.Failures["connect refused"] == 0, true)
	if err := victim.start(ctx, s.host[victim.name], true); err != nil {
		return err
	}
	return s.together(ctx)
}
