package main

import (
	"fmt"
	"io"
	"slices"

	"netserver/bench/stats"
)

// An aim is a figure of netserver that must be at most so many times another
// server's, or at most so much.
type aim struct {
	what   string
	row    string
	server string
	of     string // another server, or bestOfPeers, or nothing
	most   float64
}

// bestOfPeers stands for the peer whose figure is the least.
const bestOfPeers = "the best peer"

var aims = []aim{
	{"full handshake, in-process, over the loop", "full", one, bareEcho, 0.85},
	{"resumed handshake, in-process, over the loop", "resumed", one, bareEcho, 0.9},
	{"full handshake, proxied, over the best peer", "full", oursProxy, bestOfPeers, 0.85},
	{"the same with isolated keys", "full", oursProxyIs, bestOfPeers, 1},
	{"full handshake, proxied, over the proxy written by hand", "full", oursProxy, bareProxy, 1},
	{"16 KiB blocks, in-process, over the loop", "blocks-16k", one, bareEcho, 1},
	{"16 KiB blocks, proxied, over nginx", "blocks-16k", oursProxy, "nginx", 1},
	{"256 KiB blocks, proxied, over nginx", "blocks-256k", oursProxy, "nginx", 0.65},
	{"idle TLS connection, in-process, KiB", "idle", one, "", 8},
	{"idle TLS connection, proxied, KiB", "idle", oursProxy, "", 14},
	{"p99 of a handshake at half load, proxied, over the best peer", "rate-half", oursProxy, bestOfPeers, 1},
	{"from the start until the first client is answered, one process, ms", "start", one, "", 20},
	{"the same with a supervisor, ms", "start", whole, "", 20},
}

// A verdict says whether an aim is reached. With nothing measured it is open.
type verdict struct {
	what, found   string
	most          float64
	reached, open bool
}

func (v verdict) word() string {
	switch {
	case v.open:
		return "not measured"
	case v.reached:
		return "reached"
	}
	return "not reached"
}

func (r *report) verdicts() []verdict {
	var all []verdict
	for _, a := range aims {
		all = append(all, r.verdict(a))
	}
	for _, server := range []string{one, oursProxy} {
		all = append(all, r.scaling(server))
	}
	return all
}

func (r *report) verdict(a aim) verdict {
	v := verdict{what: a.what, most: a.most, open: true}
	w, ok := r.rowNamed(a.row)
	if !ok {
		return v
	}
	if a.of == "" {
		s := r.of(a.row, a.server)
		v.open = len(s) == 0
		x := stats.MedianOf(s, w.figure)
		v.found, v.reached = stats.Digits(x), x <= a.most
		return v
	}
	of, beside := a.of, ""
	if of == bestOfPeers {
		best, ok := r.bestPeer(w, proxied)
		if !ok {
			return v
		}
		of, beside = best.name, " ("+best.title+")"
	}
	all := r.ratios(w, a.server, of)
	if v.open = len(all) == 0; v.open {
		return v
	}
	x := stats.Median(all)
	v.found = fmt.Sprintf("%.2f%s", x, beside)
	if len(all) > 1 {
		v.found = fmt.Sprintf("%.2f, from %.2f to %.2f%s", x, slices.Min(all), slices.Max(all), beside)
	}
	v.reached = x <= a.most
	return v
}

// scaling compares the cost of a connection with many and with few open.
func (r *report) scaling(server string) verdict {
	few, many := slices.Min(heldSteps), slices.Max(heldSteps)
	v := verdict{what: fmt.Sprintf("full handshake while %d connections are open, over that with %d, %s", many, few, server), most: 1.1}
	low, lok := r.rowNamed(heldName(few))
	high, hok := r.rowNamed(heldName(many))
	a, b := r.of(heldName(many), server), r.of(heldName(few), server)
	if v.open = !lok || !hok || len(a) == 0 || len(b) == 0; v.open {
		return v
	}
	x := stats.MedianOf(a, high.figure) / stats.MedianOf(b, low.figure)
	v.found, v.reached = fmt.Sprintf("%.2f", x), x <= v.most
	return v
}

func (r *report) rowNamed(name string) (row, bool) {
	for _, w := range r.rows {
		if w.name == name {
			return w, true
		}
	}
	return row{}, false
}

func (r *report) printVerdicts(w io.Writer) {
	fmt.Fprintln(w)
	for _, v := range r.verdicts() {
		if v.open {
			fmt.Fprintf(w, "%-12s  %s\n", v.word(), v.what)
			continue
		}
		fmt.Fprintf(w, "%-12s  %s: %s (at most %s)\n", v.word(), v.what, v.found, stats.Digits(v.most))
	}
}
