package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What is wrong with a history is named, and nothing else.
func TestJudge(t *testing.T) {
	const s = time.Second
	ban := func(at time.Duration, node int) event { return event{kind: banMade, at: at, node: node, source: "x"} }
	see := func(node int) event { return event{kind: banSeen, node: node, source: "x"} }
	lift := func(node int) event { return event{kind: banLifted, node: node, source: "x"} }
	gone := func(node int) event { return event{kind: banGone, node: node, source: "x"} }
	on := func(kind eventKind, node int, at time.Duration) event { return event{kind: kind, node: node, at: at} }
	load := func(kind eventKind, dump int) event { return event{kind: kind, dump: dump} }
	force := func(at ...bool) ending { return ending{inForce: map[string][]bool{"x": at}} }
	for _, c := range []struct {
		name string
		all  []event
		end  ending
		want string // "" is nothing
	}{
		{"a ban in force everywhere", []event{ban(s, 0), see(0), see(1)}, force(true, true, true), ""},
		{"a lost ban", []event{ban(s, 0), see(0), see(1)}, force(true, true, false), "the ban of x, made at node a at 1s and acknowledged, is lost at node c"},
		{"one that nobody has heard of", []event{ban(s, 0), see(0), on(nodeDown, 0, s), on(nodeUp, 0, s)}, force(false, false, false), ""},
		{"one whose node was killed", []event{ban(s, 0), see(1), on(nodeDown, 0, s), on(nodeUp, 0, s)}, force(false, true, true), "is lost at node a"},
		{"one that node and store have lost", []event{ban(s, 0), see(1), on(nodeDown, 0, s), on(nodeUp, 0, s), load(storeLoaded, 0)}, force(false, true, false), ""},
		{"but not who had heard of it", []event{ban(s, 0), see(1), on(nodeDown, 0, s), on(nodeUp, 0, s), load(storeLoaded, 0)}, force(false, false, false), "is lost at node b"},
		{"one that is in the dump", []event{ban(s, 0), see(1), load(storeSaved, 1), on(nodeDown, 0, s), on(nodeUp, 0, s), load(storeLoaded, 1)}, force(false, true, true), "is lost at node a"},
		{"one that was written again", []event{ban(s, 0), see(1), load(storeLoaded, 0), on(calm, 0, s), on(nodeDown, 0, s), on(nodeUp, 0, s)}, force(true, true, false), "is lost at node c"},
		{"one that is gone meanwhile", []event{ban(s, 0), see(1), {kind: banGone, node: 1, source: "x", at: 2 * s}}, force(true, true, true), "at 2s node b had no more, though nobody has lifted it, the ban of x"},
		{"a lift", []event{ban(s, 0), see(0), see(1), lift(1), gone(1), gone(0)}, force(false, false, false), ""},
		{"a revived lift", []event{ban(s, 0), see(0), see(1), lift(1), gone(1), gone(0)}, force(false, false, true), "the ban of x, lifted at node b at 0s, is in force at node c"},
		{"a lift that nobody has heard of", []event{ban(s, 0), see(0), see(1), lift(1), gone(1), on(sharerDown, 1, s)}, force(true, false, true), ""},
		{"a client of a node that is up", []event{{kind: cameClient, at: s, end: 2 * s, err: "closed"}}, ending{}, "a client of node a, which was up, failed from 1s to 2s: closed"},
		{"a client of a node that is killed", []event{{kind: cameClient, at: s, end: 3 * s, err: "closed"}, on(nodeDown, 0, 2*s), on(nodeUp, 0, 4*s)}, ending{}, ""},
		{"a client after that", []event{on(nodeDown, 0, 2*s), on(nodeUp, 0, 4*s), {kind: cameClient, at: 5 * s, end: 6 * s, err: "closed"}}, ending{}, "failed from 5s"},
		{"a client of another node", []event{{kind: cameClient, node: 1, at: s, end: 3 * s, err: "closed"}, on(nodeDown, 0, 2*s)}, ending{}, "of node b"},
		{"an old ticket", []event{on(secretsGone, 0, 5*s), {kind: ticketTried, node: 2, at: 6 * s, issued: s, resumed: true}}, ending{}, "a ticket of 1s, from before the secrets were given up at 5s, was resumed by node c at 6s"},
		{"a new one", []event{on(secretsGone, 0, 5*s), {kind: ticketTried, node: 2, at: 6 * s, issued: 5 * s, resumed: true}}, ending{}, ""},
		{"an old one at a node that has just begun", []event{on(secretsGone, 0, 5*s), on(nodeDown, 2, 6*s), on(nodeUp, 2, 7*s), {kind: ticketTried, node: 2, at: 8 * s, issued: s, resumed: true}}, ending{}, ""},
		{"old ones, later", []event{on(secretsGone, 0, 5*s), on(nodeDown, 2, 6*s), on(nodeUp, 2, 7*s), load(storeLoaded, 0), on(secretsBack, 1, 9*s)}, ending{}, "are resumed by node b at 9s, when it had had its time"},
		{"old ones, when nobody is left who knows", []event{on(secretsGone, 0, 5*s), on(sharerDown, 0, 6*s), on(sharerDown, 1, 6*s), on(sharerDown, 2, 6*s), load(storeLoaded, 0), on(secretsBack, 1, 9*s)}, ending{}, ""},
		{"a new one at the end", nil, ending{tickets: [][]bool{{true, true}, {false, true}}}, "a new ticket of node b is not opened by node a"},
		{"epochs", nil, ending{epochs: []uint64{7, 7, 8}}, "node c is at ticket epoch 8 at the end, node a at 7"},
		{"members", nil, ending{members: []string{"a b c", "a b", "a b c"}}, "node b lists the nodes a b at the end"},
	} {
		v := judge(3, c.all, c.end)
		got := strings.Join(v.wrong, "; ")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) || len(v.wrong) > 1 {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// A run of faults alone leaves the rest of the page, and a run without them
// their section.
func TestPageWithFaults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cluster.md")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	page := func(r result) string {
		t.Helper()
		s, err := r.page(file)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	alone := result{o: options{parts: []string{faultsPart}}, faults: faultsHead + "\nnew\n"}
	if got := page(alone); !strings.HasPrefix(got, "# Several machines\n") || !strings.HasSuffix(got, faultsHead+"\nnew\n") {
		t.Errorf("no page before: %q", got)
	}
	write("# Page\n\n## Bans\n\nb\n")
	if got := page(alone); got != "# Page\n\n## Bans\n\nb\n\n## Faults\n\nnew\n" {
		t.Errorf("appended: %q", got)
	}
	write("# Page\n" + faultsHead + "\nold\n\n## Bans\n\nb\n")
	if got := page(alone); got != "# Page\n\n## Bans\n\nb\n\n## Faults\n\nnew\n" {
		t.Errorf("replaced: %q", got)
	}
	if got := page(result{o: options{parts: []string{"bans"}}}); !strings.HasPrefix(got, "# Several machines\n") || !strings.HasSuffix(got, "## Faults\n\nold\n") {
		t.Errorf("kept: %q", got)
	}
}
