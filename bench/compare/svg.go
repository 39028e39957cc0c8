package main

import (
	"bytes"
	"fmt"

	"netserver/bench/chart"
	"netserver/bench/stats"
)

// svg draws each row's figures as bars, shorter is better, with the range that
// the rounds' figures had.
func (r *report) svg() []byte {
	c := chart.Chart{Title: "What each operation costs a server; shorter is better"}
	for _, w := range r.rows {
		g := chart.Group{Title: r.title(w) + ": " + w.measure()}
		if w.how == byCPU {
			g.Title = fmt.Sprintf("%s: CPU, %s", r.title(w), map[bool]string{true: "seconds for a GB", false: "µs for a " + w.unit}[w.unit == perGB])
		}
		for _, s := range r.summaries(w) {
			if s.rounds > 0 {
				g.Bars = append(g.Bars, bar(s))
			}
		}
		if g.Bars != nil {
			c.Groups = append(c.Groups, g)
		}
	}
	var b bytes.Buffer
	c.Draw(&b)
	return b.Bytes()
}

func bar(s summary) chart.Bar {
	b := chart.Bar{Label: s.server.title, Value: s.figure, Figure: stats.Digits(s.figure)}
	if s.spread > 0 {
		b.Low, b.High = max(s.least, 0), s.largest
	}
	switch {
	case s.server.bare:
		b.Kind = chart.Bare
	case !s.server.peer:
		b.Kind = chart.Ours
	}
	return b
}
