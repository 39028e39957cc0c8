package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"netserver/bench/drive"
	"netserver/bench/stats"
	"netserver/proto"
)

// handshakeCPU compares the CPU of a full handshake at a node of the cluster
// with that at a server for itself, in turns.
func handshakeCPU(ctx context.Context, s *site, r *result) error {
	pair := [2]*node{{s: s, name: "d"}, {s: s, name: "alone", alone: true}}
	hosts := [2]string{"127.0.1.21", "127.0.1.22"}
	for i, n := range pair {
		defer n.stop()
		host := hosts[i]
		if err := n.start(ctx, host, false); err != nil {
			return err
		}
	}
	idle, err := s.shareCosts(ctx, pair[:])
	if err != nil {
		return err
	}
	// cost returns the CPU of a handshake, with and without what the server uses
	// while it has no clients.
	cost := func(i int) (whole, own float64, err error) {
		began := time.Now()
		before, err := pair[i].proc.Usage()
		if err != nil {
			return 0, 0, err
		}
		to := netip.AddrPortFrom(netip.MustParseAddr(hosts[i]), tlsPort)
		res, err := drive.Run(ctx, drive.Options{Kind: drive.Connect, To: to, TLS: true, Conns: 8, Duration: s.o.window / 4}, func() error { return nil })
		if err != nil {
			return 0, 0, err
		}
		if why, bad := res.Fails(); bad {
			return 0, 0, errors.New(why)
		}
		after, err := pair[i].proc.Usage()
		cpu := (after.CPU - before.CPU).Seconds()
		done := float64(max(res.Done, 1))
		return cpu / done, (cpu - idle[i].cpu*time.Since(began).Seconds()) / done, err
	}
	var whole, own []float64
	var costs [2][]float64
	for round := range 4 * s.o.rounds {
		var got [2][2]float64
		for k := range pair {
			i := (k + round) % 2 // who is first changes
			if got[i][0], got[i][1], err = cost(i); err != nil {
				return err
			}
			costs[i] = append(costs[i], got[i][1]*1e6)
		}
		whole, own = append(whole, got[0][0]/got[1][0]), append(own, got[0][1]/got[1][1])
	}
	slices.Sort(own)
	middle := stats.Median(own)
	r.aims.Add("CPU of a handshake within 2 % of one without a store", fmt.Sprintf("%.3f times, quartiles %.3f and %.3f of %d pairs in turns: %s and %s µs, without the %.1f and %.1f %% of a processor that both use without clients; %.3f times with them",
		middle, own[len(own)/4], own[len(own)*3/4], len(own), stats.Digits(stats.Median(costs[0])), stats.Digits(stats.Median(costs[1])), 100*idle[0].cpu, 100*idle[1].cpu, stats.Median(whole)), middle <= 1.02, false)
	return nil
}

// sourcesCost holds connections of many sources at each node, and compares what
// that costs with a server for itself that has as many.
func sourcesCost(ctx context.Context, s *site, r *result) error {
	// One connection of each source is only reported where that is all that a
	// node may have.
	if err := s.startNodes(ctx, 4); err != nil {
		return err
	}
	lone := &node{s: s, name: "alone2", alone: true}
	defer lone.stop()
	const loneHost = "127.0.1.23"
	if err := lone.start(ctx, loneHost, true); err != nil {
		return err
	}
	all := append(slices.Clone(s.nodes[:]), lone)
	idle, err := s.shareCosts(ctx, all)
	if err != nil {
		return err
	}
	for _, n := range all {
		host := loneHost
		if !n.alone {
			host = s.host[n.name]
		}
		end, err := s.holder(ctx, net.JoinHostPort(host, fmt.Sprint(plainPort)))
		if err != nil {
			return err
		}
		defer end()
	}
	if err := s.until(ctx, "all sources are known", func() bool {
		for _, n := range s.nodes {
			if c, err := n.cluster(ctx); err != nil || c.Sources < s.o.sources {
				return false
			}
		}
		return true
	}); err != nil {
		return err
	}
	if err := pause(ctx, 5*time.Second); err != nil { // what is new is told in full
		return err
	}
	full, err := s.shareCosts(ctx, all)
	if err != nil {
		return err
	}
	s.reportCosts(r, all, idle, full)
	return nil
}

// A shareCost is what a node used in a second.
type shareCost struct{ cpu, bytes, known float64 }

// shareCosts measures nodes whose clients do nothing.
func (s *site) shareCosts(ctx context.Context, all []*node) ([]shareCost, error) {
	look := func() (list []shareCost, err error) {
		for _, n := range all {
			u, err := n.proc.Usage()
			if err != nil {
				return nil, err
			}
			one := shareCost{cpu: u.CPU.Seconds()}
			if !n.alone {
				c, err := n.cluster(ctx)
				if err != nil {
					return nil, err
				}
				one.bytes, one.known = float64(c.Sent), float64(c.Sources)
			}
			list = append(list, one)
		}
		return list, nil
	}
	began := time.Now()
	before, err1 := look()
	err2 := pause(ctx, 5*s.o.window)
	after, err3 := look()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	seconds := time.Since(began).Seconds()
	for i := range after {
		after[i].cpu = (after[i].cpu - before[i].cpu) / seconds
		after[i].bytes = (after[i].bytes - before[i].bytes) / seconds
	}
	return after, nil
}

func (s *site) reportCosts(r *result, all []*node, idle, full []shareCost) {
	t := table{title: "Sources", text: fmt.Sprintf("%d sources with one connection each at each of three nodes, which is all that max_per_source lets it have of them, so that all are shared, and with their networks 10,000; the connections do nothing. A server for itself has as many. CPU of all processes of each, of one processor, over %v.", s.o.sources, 5*s.o.window),
		rows: [][]string{{"", "CPU without clients, %", "with them, %", "bytes written a second", "and with them", "sources known of others"}}}
	var most, bytes float64
	alone := full[len(all)-1].cpu - idle[len(all)-1].cpu
	for i, n := range all {
		row := []string{"node " + n.name, fmt.Sprintf("%.2f", 100*idle[i].cpu), fmt.Sprintf("%.2f", 100*full[i].cpu), fmt.Sprintf("%.0f", idle[i].bytes), fmt.Sprintf("%.0f", full[i].bytes), fmt.Sprintf("%.0f", full[i].known)}
		if n.alone {
			row[0], row[3], row[4], row[5] = "a server for itself", "", "", ""
		} else {
			most, bytes = max(most, full[i].cpu-idle[i].cpu-alone), max(bytes, full[i].bytes)
		}
		t.rows = append(t.rows, row)
	}
	r.aims.Add("10,000 sources counted cost under 1 % CPU", fmt.Sprintf("%.2f %% at most beyond what their connections cost a server for itself; %.0f bytes a second are written", 100*most, bytes), most < 0.01, false)
	r.tables = append(r.tables, t)
}

// holder starts a process that holds connections to a node; end ends it.
func (s *site) holder(ctx context.Context, to string) (end func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-hold", to, "-sources", fmt.Sprint(s.o.sources))
	cmd.Stderr = s.progress
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	end = func() { in.Close(); cmd.Wait() }
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		end()
		return nil, errors.New("not all connections are held")
	}
	return end, nil
}

// hold is what such a process does, until its standard input ends: connections
// whose PROXY header names another source each.
func hold(ctx context.Context, to string, n int, stdout io.Writer) error {
	const openers = 32
	conns := make([]net.Conn, n)
	errs := make([]error, openers)
	var all sync.WaitGroup
	for k := range openers {
		all.Go(func() {
			for i := k; i < n && errs[k] == nil && ctx.Err() == nil; i += openers {
				conns[i], errs[k] = holdOne(ctx, to, i)
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "held")
	io.Copy(io.Discard, os.Stdin)
	return nil
}

func holdOne(ctx context.Context, to string, i int) (net.Conn, error) {
	d := net.Dialer{Timeout: clientTime, KeepAlive: -1}
	c, err := d.DialContext(ctx, "tcp", to)
	if err != nil {
		return nil, err
	}
	source := net.IPv4(198, 18, byte(i/250), byte(1+i%250))
	h := proto.ProxyHeader{Version: 2, Source: &net.TCPAddr{IP: source, Port: 1024}, Destination: &net.TCPAddr{IP: net.ParseIP(front), Port: frontPlain}}
	b, err := h.AppendTo(nil)
	c.SetDeadline(time.Now().Add(clientTime))
	if err == nil {
		_, err = c.Write(b)
	}
	b = []byte("x")
	if err == nil {
		_, err = c.Write(b)
	}
	if err == nil {
		_, err = io.ReadFull(c, b)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("source %d: %w", i+1, err)
	}
	return c, nil
}
