package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

const faultsHead = "\n## Faults\n"

// report adds what came of a trial.
func (t *trial) report(r *result, seed uint64, v verdict) {
	sum := 0
	for _, n := range t.count {
		sum += n
	}
	found := fmt.Sprintf("%d violations in %v with %d events of chance and %d clients, seed %d", len(v.wrong), t.now().Round(time.Second), sum, v.clients, seed)
	r.aims.Add("random faults: no acknowledged ban is lost, no lifted one returns, no client of a node that is up fails, no given-up ticket secret is used, all agree at the end", found, len(v.wrong) == 0, true)
	where := "in network namespaces"
	if t.s.o.space == "" {
		where = "on loopback addresses, where a store that is stopped is the only partition"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nBy `go run ./bench/cluster -parts faults -faults %v -seed %d`, %s, at %s: %s.\n\n", faultsHead, t.s.o.faults, seed, where, time.Now().UTC().Format(time.DateOnly), found)
	b.WriteString("Faults come at random for the time given, in segments of a quarter of a minute; after each all is healed, and the nodes must know each other again. Half way a process that serves clients is killed, so that all nodes must give up the ticket secrets of before, and the store then begins with a dump from before that. Clients come to each node all the time. The seed gives the order of the faults; what they meet depends on time as well.\n\n")
	b.WriteString("| | |\n|---|---|\n")
	row := func(what string, n int) { fmt.Fprintf(&b, "| %s | %d |\n", what, n) }
	for _, what := range slices.Sorted(maps.Keys(t.count)) {
		row(what, t.count[what])
	}
	row("bans that another node had heard of by the store (acknowledged)", v.acknowledged)
	row("lifts of which the same holds", v.lifted)
	row("of both: forgotten by the node that made it, which was killed, and by the store, which began with an older dump: those who had heard and lived on must know it", v.forgotten)
	row("clients", v.clients)
	row("of them failed with their node or their process", v.failed)
	row("tickets resumed, of those offered", v.resumed)
	row("tickets of given-up secrets resumed by a node that was started again since, on an older dump", v.unjudged)
	row("violations", len(v.wrong))
	b.WriteString("\n")
	for _, w := range v.wrong {
		fmt.Fprintf(&b, "- %s\n", w)
	}
	if len(v.wrong) > 0 {
		b.WriteString("\n")
	}
	b.WriteString("A ban or a lift counts as acknowledged when another node has it, which can have it from the store only. Clocks of single processes cannot be set off here: Go programs ask the kernel (vDSO), not a library that could be replaced. That, and the rotation of ticket epochs, which takes twelve hours, have `TestHistories` and `TestTicketsAtRotations` of cluster; orders of certificates are tested in daemon/internal/acme.\n")
	r.faults = b.String()
	if len(v.wrong) > 0 {
		t.tell()
	}
	for _, w := range v.wrong {
		fmt.Fprintf(t.s.progress, "faults: %s\n", w)
	}
}

// tell writes the history, but for clients.
func (t *trial) tell() {
	names := [...]string{banMade: "banned", banSeen: "ban seen", banGone: "ban gone", banLifted: "lifted", nodeDown: "node killed", nodeUp: "node up", sharerDown: "cluster process killed", workerDown: "worker killed",
		storeSaved: "store saved", storeLoaded: "store loaded", calm: "calm", cameClient: "client", secretsGone: "secrets gone", secretsBack: "secrets back", ticketTried: "ticket"}
	for _, e := range t.history {
		if e.kind != cameClient && e.kind != ticketTried {
			fmt.Fprintf(t.s.progress, "%v %s: node %s %s dump %d\n", short(e.at), names[e.kind], nodeNames[e.node], e.source, e.dump)
		}
	}
}

// cutSection takes the section of faults out of a page.
func cutSection(page string) (rest, section string) {
	before, after, found := strings.Cut(page, faultsHead)
	if !found {
		return page, ""
	}
	if i := strings.Index(after, "\n## "); i >= 0 {
		return before + after[i:], faultsHead + after[:i]
	}
	return before, faultsHead + after
}

// page returns the page of a result, in the place of one before: if only faults
// were had, all else of that stays, and if they were not, their section does.
func (r *result) page(file string) (string, error) {
	old, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return "", err
	}
	rest, section := cutSection(string(old))
	if r.faults != "" {
		section = r.faults
	}
	if len(r.o.parts) != 1 || r.faults == "" || len(rest) == 0 {
		var b strings.Builder
		r.markdown(&b)
		rest = b.String()
	}
	return rest + section, nil
}
