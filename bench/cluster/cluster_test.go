package main

import (
	"bytes"
	"strings"
	"testing"

	"netserver/bench/stats"
)

func TestBadFlags(t *testing.T) {
	for _, args := range []string{"x", "-parts all", "-parts bans,", "-limits 5", "-limits x", "-bans 0", "-window 1ms", "-rate 0", "-sources 99999", "-faults 0s", "-nothing"} {
		if _, err := parse(strings.Fields(args), &bytes.Buffer{}); err == nil {
			t.Errorf("%s: no error", args)
		}
	}
	o, err := parse(strings.Fields("-parts bans,node -limits 50,60"), &bytes.Buffer{})
	if err != nil || len(o.parts) != 2 || len(o.limits) != 2 || o.limits[1] != 60 {
		t.Errorf("%+v %v", o, err)
	}
}

// The page has all aims and figures, and an aim that is missed fails the run
// only if something was lost.
func TestPage(t *testing.T) {
	r := result{tables: []table{{title: "Bans", text: "How long.", rows: [][]string{{"", "p50"}, {"by hand", "146"}}}}}
	r.aims.Add("slow", "7 s", false, false)
	if err := r.aims.Verdict(); err != nil {
		t.Error(err)
	}
	var b bytes.Buffer
	r.markdown(&b)
	for _, want := range []string{"| slow | 7 s | not reached |", "## Bans\n\nHow long.\n\n|  | p50 |\n|---|---|\n| by hand | 146 |"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page does not have %q:\n%s", want, b.String())
		}
	}
	r.aims = append(r.aims, stats.Aim{What: "no client fails", Found: "1 of 9", Must: true})
	if err := r.aims.Verdict(); err == nil || !strings.Contains(err.Error(), "1 of 9") {
		t.Error(err)
	}
}
