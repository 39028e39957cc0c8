package main

import (
	"fmt"
	"io"

	"netserver/bench/chart"
	"netserver/bench/stats"
)

// svg draws the honest clients' p99 as bars on a logarithmic scale, a group
// for each attack.
func (r *report) svg(w io.Writer) {
	c := chart.Chart{Title: "p99 of honest clients under attack, milliseconds, logarithmic", Log: true}
	for _, g := range r.groups() {
		one := chart.Group{Title: g[0].attack.title}
		for _, s := range g {
			one.Bars = append(one.Bars, bar(s))
		}
		c.Groups = append(c.Groups, one)
	}
	c.Draw(w)
}

// groups returns what has honest clients, by attack.
func (r *report) groups() [][]summary {
	var all [][]summary
	last := ""
	for _, s := range r.summaries() {
		if s.attack.calm || s.rounds == 0 {
			continue
		}
		if s.attack.name != last {
			all = append(all, nil)
			last = s.attack.name
		}
		all[len(all)-1] = append(all[len(all)-1], s)
	}
	return all
}

func bar(s summary) chart.Bar {
	b := chart.Bar{Label: s.target.title, Value: float64(s.p99) / 1e6, Figure: stats.Millis(s.p99)}
	switch {
	case s.target.name == bareLoop:
		b.Kind = chart.Bare
	case !s.target.peer:
		b.Kind = chart.Ours
	}
	if s.failed > 0 {
		b.Figure += fmt.Sprintf(", %.0f %% failed", 100*float64(s.failed)/float64(s.sent))
	}
	return b
}
