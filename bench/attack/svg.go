package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"netserver/bench/stats"
)

// Measures of the picture, in its units.
const (
	svgWidth = 860
	svgLabel = 190 // for the servers' names
	svgRight = 70  // for the figures
	svgBar   = 13
	svgStep  = 17
	svgHead  = 26 // above each attack
	svgTop   = 44
)

// svg draws the honest clients' p99 as bars on a logarithmic scale, a group
// for each attack. Its colours can be read on white and on black.
func (r *report) svg(w io.Writer) {
	groups := r.groups()
	low, high := 1.0, 10.0
	height := svgTop + 24
	for _, g := range groups {
		height += svgHead + svgStep*len(g)
		for _, s := range g {
			low = min(low, math.Pow(10, math.Floor(math.Log10(float64(s.p99)/1e6))))
			high = max(high, math.Pow(10, math.Ceil(math.Log10(float64(s.p99)/1e6))))
		}
	}
	x := func(d time.Duration) float64 {
		v := (math.Log10(float64(d)/1e6) - math.Log10(low)) / (math.Log10(high) - math.Log10(low))
		return svgLabel + v*(svgWidth-svgLabel-svgRight)
	}
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", svgWidth, height, svgWidth, height)
	fmt.Fprintf(w, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", svgWidth, height)
	fmt.Fprintf(w, `<text x="8" y="18" font-size="14" font-weight="bold">p99 of honest clients under attack, milliseconds, logarithmic</text>`+"\n")
	for v := low; v <= high*1.001; v *= 10 {
		at := x(time.Duration(v * 1e6))
		fmt.Fprintf(w, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#ddd"/>`+"\n", at, svgTop-6, at, height-18)
		fmt.Fprintf(w, `<text x="%.1f" y="%d" text-anchor="middle" fill="#555">%g</text>`+"\n", at, svgTop-10, v)
	}
	y := svgTop
	for _, g := range groups {
		fmt.Fprintf(w, `<text x="8" y="%d" font-weight="bold">%s</text>`+"\n", y+18, text(g[0].attack.title))
		y += svgHead
		for _, s := range g {
			bar(w, s, x(s.p99), y)
			y += svgStep
		}
	}
	fmt.Fprintln(w, "</svg>")
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

func bar(w io.Writer, s summary, end float64, y int) {
	colour := "#9aa5b1"
	switch {
	case !s.target.peer && s.target.name != bareLoop:
		colour = "#1f77b4"
	case s.target.name == bareLoop:
		colour = "#c9a227"
	}
	figure := stats.Millis(s.p99)
	if s.failed > 0 {
		figure += fmt.Sprintf(", %.0f %% failed", 100*float64(s.failed)/float64(s.sent))
	}
	fmt.Fprintf(w, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", svgLabel-6, y+11, text(s.target.title))
	fmt.Fprintf(w, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", svgLabel, y, max(end-svgLabel, 1), svgBar, colour)
	if end > svgWidth-svgRight-90 { // no room beside it
		fmt.Fprintf(w, `<text x="%.1f" y="%d" text-anchor="end" fill="#000">%s</text>`+"\n", end-4, y+11, figure)
		return
	}
	fmt.Fprintf(w, `<text x="%.1f" y="%d">%s</text>`+"\n", end+4, y+11, figure)
}

func text(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s))
	return b.String()
}
