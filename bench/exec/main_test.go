package main

import (
	"strings"
	"testing"
)

func TestPrint(t *testing.T) {
	all := []*row{
		{name: "stunnel exec", rate: []float64{300, 100, 200}, cpu: []float64{2}, burst: []float64{100}, p50: []float64{3}},
		{name: "program", rate: []float64{400}, cpu: []float64{1}, burst: []float64{300}, p50: []float64{2}, failed: 7},
		{name: "echo in the server", rate: []float64{1000}, cpu: []float64{0.2}, burst: []float64{900}, p50: []float64{1}},
	}
	var b strings.Builder
	if err := (options{rounds: 3}).print(&b, all); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if got := strings.Join(strings.Fields(lines[2]), " "); got != "program 400 2.00 1.000 0.50 300 3.00 2.000 2.00 7" {
		t.Errorf("%q of\n%s", got, b.String())
	}
}

// Rows end with what the latency of the others is compared with.
func TestRows(t *testing.T) {
	all := options{spare: 3}.rows()
	if last := all[len(all)-1].name; last != "echo in the server" || len(all) < 3 {
		t.Errorf("%d rows, the last is %q", len(all), last)
	}
}
