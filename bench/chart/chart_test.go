package chart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// Whatever is drawn is well-formed, has every label, and stays inside.
func TestDraw(t *testing.T) {
	for _, c := range []Chart{
		{Title: "nothing"},
		{Title: "a < b", Groups: []Group{{Title: "g & h", Bars: []Bar{
			{Label: "one", Kind: Ours, Value: 2, Low: 1, High: 3, Figure: "2 µs"},
			{Label: "zero", Kind: Bare},
		}}}},
		{Title: "log", Log: true, Groups: []Group{{Title: "g", Bars: []Bar{
			{Label: "small", Value: 0.5, Figure: "0.5"},
			{Label: "large", Value: 900, Figure: "900, 100 % failed"},
		}}}},
	} {
		var b bytes.Buffer
		c.Draw(&b)
		var labels strings.Builder
		for d := xml.NewDecoder(&b); ; {
			tok, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", c.Title, err)
			}
			if text, ok := tok.(xml.CharData); ok {
				labels.Write(text)
			}
		}
		for _, g := range c.Groups {
			x := linear(g)
			for _, one := range g.Bars {
				if !strings.Contains(labels.String(), one.Label) || !strings.Contains(labels.String(), one.Figure) {
					t.Errorf("%s: no %q or %q", c.Title, one.Label, one.Figure)
				}
				if at := x(max(one.Value, one.High)); at < label || at > width-right {
					t.Errorf("%s: %q ends at %v", c.Title, one.Label, at)
				}
			}
		}
	}
}
