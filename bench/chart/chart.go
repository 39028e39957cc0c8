package chart

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
)

// A Kind of bar has a colour of its own.
type Kind int

// The kinds.
const (
	Peer Kind = iota // other people's
	Ours             // netserver
	Bare             // written by hand, what others are compared with
)

// A Bar is a figure.
type Bar struct {
	Label     string
	Kind      Kind
	Value     float64
	Low, High float64 // how far it was seen to vary; both 0 for nothing
	Figure    string  // what stands beside the bar
}

// A Group of bars belongs together. Without a common scale the longest bar of
// each group is as long as there is room.
type Group struct {
	Title string
	Bars  []Bar
}

// A Chart is a picture of groups, one below the other.
type Chart struct {
	Title  string
	Log    bool // one logarithmic scale for all, with an axis, of values above 0
	Groups []Group
}

// Measures of the picture, in its units.
const (
	width     = 860
	label     = 210 // for labels
	right     = 70  // for figures
	thickness = 13
	step      = 17
	head      = 26 // above each group
	top       = 44
)

// style has colours for light and for dark pages: a picture in a page cannot
// see the page's, but it can ask the reader's browser.
const style = `<style>
text { fill: #1b1f24; } .faint { fill: #57606a; } .back { fill: #ffffff; } .grid { stroke: #d8dee4; } .whisker { stroke: #1b1f24; }
.peer { fill: #9aa5b1; } .ours { fill: #1f77b4; } .bare { fill: #c9a227; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; } .faint { fill: #9198a1; } .back { fill: #0d1117; } .grid { stroke: #30363d; } .whisker { stroke: #e6edf3; }
.peer { fill: #6e7681; } .ours { fill: #388bfd; } .bare { fill: #bb8009; }
}
</style>
`

// Draw writes the picture.
func (c Chart) Draw(w io.Writer) {
	height := top + 24
	for _, g := range c.Groups {
		height += head + step*len(g.Bars)
	}
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", width, height, width, height)
	io.WriteString(w, style)
	fmt.Fprintf(w, `<rect class="back" width="%d" height="%d"/>`+"\n", width, height)
	fmt.Fprintf(w, `<text x="8" y="18" font-size="14" font-weight="bold">%s</text>`+"\n", text(c.Title))
	y := top
	if !c.Log {
		y -= 16
	}
	common := c.axis(w, height)
	for _, g := range c.Groups {
		fmt.Fprintf(w, `<text x="8" y="%d" font-weight="bold">%s</text>`+"\n", y+18, text(g.Title))
		y += head
		x := common
		if !c.Log {
			x = linear(g)
		}
		for _, b := range g.Bars {
			b.draw(w, x, y)
			y += step
		}
	}
	fmt.Fprintln(w, "</svg>")
}

// A scale tells where a value stands.
type scale func(v float64) float64

// linear is the scale of a group alone.
func linear(g Group) scale {
	most := 0.0
	for _, b := range g.Bars {
		most = max(most, b.Value, b.High)
	}
	return func(v float64) float64 {
		if most == 0 {
			return label
		}
		return label + v/most*(width-label-right-70)
	}
}

// axis draws the axis of a logarithmic chart and returns its scale.
func (c Chart) axis(w io.Writer, height int) scale {
	if !c.Log {
		return nil
	}
	low, high := 1.0, 10.0
	for _, g := range c.Groups {
		for _, b := range g.Bars {
			low = min(low, math.Pow(10, math.Floor(math.Log10(b.Value))))
			high = max(high, math.Pow(10, math.Ceil(math.Log10(b.Value))))
		}
	}
	x := func(v float64) float64 {
		share := (math.Log10(v) - math.Log10(low)) / (math.Log10(high) - math.Log10(low))
		return label + share*(width-label-right)
	}
	for v := low; v <= high*1.001; v *= 10 {
		fmt.Fprintf(w, `<line class="grid" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`+"\n", x(v), top-6, x(v), height-18)
		fmt.Fprintf(w, `<text class="faint" x="%.1f" y="%d" text-anchor="middle">%g</text>`+"\n", x(v), top-10, v)
	}
	return x
}

func (b Bar) draw(w io.Writer, x scale, y int) {
	class := map[Kind]string{Peer: "peer", Ours: "ours", Bare: "bare"}[b.Kind]
	end := x(b.Value)
	fmt.Fprintf(w, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", label-6, y+11, text(b.Label))
	fmt.Fprintf(w, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/>`+"\n", class, label, y, max(end-label, 1), thickness)
	if b.High > b.Low {
		fmt.Fprintf(w, `<path class="whisker" fill="none" d="M%.1f %dv6m0 -3H%.1fm0 -3v6"/>`+"\n", x(b.Low), y+4, x(b.High))
		end = max(end, x(b.High))
	}
	if end > width-right-90 && len(b.Figure) > 12 { // no room beside it
		fmt.Fprintf(w, `<text x="%.1f" y="%d" text-anchor="end">%s</text>`+"\n", end-4, y+11, text(b.Figure))
		return
	}
	fmt.Fprintf(w, `<text x="%.1f" y="%d">%s</text>`+"\n", end+4, y+11, text(b.Figure))
}

func text(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s))
	return b.String()
}
