package top

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"netserver/internal/control"
)

// A table is a list that is shown, with its columns.
type table struct {
	columns []column
	rows    []row
	none    string // what is shown instead of no rows
	more    int    // rows beyond these
}

// A column has a name, and the width that it may be cut to; 0: it is not cut.
// Numbers stand at the right; of what has a tail, that is kept.
type column struct {
	name   string
	least  int
	number bool
	tail   bool
}

// A row has a cell for each column.
type row struct {
	cells []string
	tone  tone
	id    string // of a client
}

// A tone is how much somebody should look at something.
type tone uint8

const (
	calm tone = iota
	warn
	bad
)

// near is the part of a limit from which on it is shown among what matters.
const near = 0.8

// fewDays is how long before its end a certificate should be looked at, and
// lastDays how long before it that is urgent.
const fewDays, lastDays = 21, 7

// counts writes NAME N, the largest first.
func counts(m map[string]uint64) string {
	names := slices.SortedFunc(maps.Keys(m), func(a, b string) int { return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b)) })
	var list []string
	for _, n := range names {
		if m[n] > 0 {
			list = append(list, fmt.Sprintf("%s %d", n, m[n]))
		}
	}
	return cmp.Or(strings.Join(list, ", "), "-")
}

func portsTable(s *snapshot) table {
	t := table{columns: []column{{name: "PORT", least: 12}, {name: "STATE"}, {name: "OUTCOMES SINCE THE START", least: 12}, {name: "REFUSED BY", least: 8}}, none: "no ports"}
	for _, l := range s.status.Listeners {
		r := row{cells: []string{l.Port, "open", counts(l.Outcomes), counts(l.Refused)}}
		if !l.Open {
			r.cells[1], r.tone = "closed", warn
		}
		t.rows = append(t.rows, r)
	}
	return t
}

// workersTable lists the workers, those first that do not answer or do not serve.
func workersTable(s *snapshot) table {
	t := table{columns: []column{{name: "WORKER"}, {name: "GENERATION"}, {name: "PID", number: true}, {name: "STATE", least: 8}, {name: "UP", number: true},
		{name: "CLIENTS", number: true}, {name: "HANDLER", number: true}, {name: "SERVED", number: true}, {name: "MEMORY", number: true}, {name: "FILES", number: true}},
		none: "no worker"}
	for _, g := range s.status.Generations {
		for _, w := range g.Workers {
			r := row{cells: []string{strconv.Itoa(w.ID), strconv.Itoa(g.ID), strconv.Itoa(w.PID), w.State, age(w.Uptime), strconv.Itoa(w.Clients),
				strconv.Itoa(w.InHandler), strconv.FormatUint(w.Served, 10), memory(w.Memory), descriptors(w.Descriptors)}}
			if w.State != "serving" {
				r.tone = warn
			}
			if !w.Answers {
				r.cells[3], r.tone = "silent", bad
			}
			t.rows = append(t.rows, r)
		}
	}
	slices.SortStableFunc(t.rows, func(a, b row) int { return cmp.Compare(b.tone, a.tone) })
	return t
}

func memory(n *int64) string {
	if n == nil {
		return "-"
	}
	return size(uint64(max(0, *n)))
}

func descriptors(n *int) string {
	if n == nil {
		return "-"
	}
	return strconv.Itoa(*n)
}

// limitsTable lists the limits, those that are most used first: with all, those
// too that are not near.
func limitsTable(s *snapshot, all bool) table {
	t := table{columns: []column{{name: "LIMIT", least: 12}, {name: "USED", number: true}, {name: "MOST IN ONE", number: true}, {name: "OF", number: true},
		{name: "UNIT", least: 5}, {name: "REFUSED", number: true}, {name: "PORT", least: 8}}, none: cmp.Or(s.refused[control.VerbLimits], "no limits")}
	share := func(l control.Limit) float64 {
		if l.Value == nil || l.Most == nil || *l.Value <= 0 {
			return -1
		}
		return *l.Most / *l.Value
	}
	list := slices.Clone(s.limits.Limits)
	slices.SortStableFunc(list, func(a, b control.Limit) int { return cmp.Compare(share(b), share(a)) })
	for _, l := range list {
		part := share(l)
		if !all && part < near {
			continue
		}
		r := row{cells: []string{l.Key, "-", "-", "none", l.Unit, strconv.FormatUint(l.Refused, 10), l.Port}}
		if part >= 0 {
			r.cells[1] = fmt.Sprintf("%.0f%%", part*100)
		}
		if l.Most != nil {
			r.cells[2] = strconv.FormatFloat(*l.Most, 'f', -1, 64)
		}
		if l.Value != nil {
			r.cells[3] = strconv.FormatFloat(*l.Value, 'f', -1, 64)
		}
		switch {
		case part >= 1:
			r.tone = bad
		case part >= near:
			r.tone = warn
		}
		t.rows = append(t.rows, r)
	}
	return t
}

// targetsTable lists the targets, those first that are not up.
func targetsTable(s *snapshot) table {
	t := table{columns: []column{{name: "TARGET", least: 14}, {name: "BACKEND", least: 8}, {name: "STATE"}, {name: "FOR", number: true}, {name: "CLIENTS", number: true},
		{name: "FAILED", number: true}, {name: "CONNECT", number: true}, {name: "REASON", least: 8}}, none: cmp.Or(s.refused[control.VerbTargets], "no [[backend]]")}
	for _, x := range s.targets.Targets {
		r := row{cells: []string{cmp.Or(x.Address, x.Target), x.Backend, x.State, age(x.Since), strconv.Itoa(x.Clients), strconv.FormatUint(x.Failed, 10), "-", x.Reason}}
		if x.Connect != nil {
			r.cells[6] = short(*x.Connect)
		}
		switch x.State {
		case "up":
		case "down":
			r.tone = bad
		default:
			r.tone = warn
		}
		t.rows = append(t.rows, r)
	}
	slices.SortStableFunc(t.rows, func(a, b row) int { return cmp.Compare(b.tone, a.tone) })
	return t
}

// certsTable lists the certificates, those first that end first.
func certsTable(s *snapshot) table {
	t := table{columns: []column{{name: "CERTIFICATE", least: 14}, {name: "DAYS LEFT", number: true}, {name: "FILE", least: 8}, {name: "PORTS", least: 8}, {name: "ERROR", least: 8}},
		none: cmp.Or(s.refused[control.VerbCerts], "no certificate")}
	list := slices.Clone(s.certs.Certificates)
	slices.SortStableFunc(list, func(a, b control.Certificate) int { return cmp.Compare(a.DaysLeft, b.DaysLeft) })
	for i := range list {
		c := &list[i]
		r := row{cells: []string{cmp.Or(strings.Join(c.Names[:min(3, len(c.Names))], " "), "-"), fmt.Sprintf("%.1f", c.DaysLeft),
			cmp.Or(c.File, "in memory"), strings.Join(c.Ports, " "), cmp.Or(c.LastError, "-")}}
		if c.DaysLeft < fewDays || c.LastError != "" {
			r.tone = warn
		}
		if c.DaysLeft < lastDays {
			r.tone = bad
		}
		t.rows = append(t.rows, r)
	}
	return t
}

// orders are the keys by which clients can be sorted: each has the column's name
// and what is greatest first.
var orders = [...]struct {
	name  string
	value func(*control.Client) float64
}{
	{"idle", func(c *control.Client) float64 {
		if c.Idle == nil {
			return -1
		}
		return *c.Idle
	}},
	{"bytes", func(c *control.Client) float64 { return float64(c.In + c.Out) }},
	{"age", func(c *control.Client) float64 { return c.Connected }},
}

// connsTable lists the clients of which something has the text filter.
func connsTable(s *snapshot, order int, reverse bool, filter string) table {
	t := table{columns: []column{{name: "ID"}, {name: "PEER", least: 21}, {name: "PORT", least: 8, tail: true}, {name: "AGE", number: true}, {name: "IDLE", number: true},
		{name: "IN", number: true}, {name: "OUT", number: true}, {name: "TLS"}, {name: "DOING", least: 7}, {name: "NAME", least: 7}}, none: "no clients"}
	if why := s.refused[control.VerbConns]; why != "" {
		t.none = why
	}
	value := orders[order].value
	list := slices.Clone(s.conns.Clients)
	slices.SortStableFunc(list, func(a, b control.Client) int {
		n := cmp.Or(cmp.Compare(value(&b), value(&a)), cmp.Compare(b.Connected, a.Connected))
		if reverse {
			n = -n
		}
		return cmp.Or(n, cmp.Compare(a.ID, b.ID))
	})
	filter = strings.ToLower(filter)
	for i := range list {
		c := &list[i]
		idle := "-"
		if c.Idle != nil {
			idle = age(*c.Idle)
		}
		r := row{id: c.ID, cells: []string{c.ID, c.Peer, c.Port, age(c.Connected), idle, size(c.In), size(c.Out),
			cmp.Or(strings.TrimPrefix(c.TLS, "TLS "), "-"), cmp.Or(c.Doing, c.Stage), cmp.Or(c.ServerName, c.PeerName, "-")}}
		if filter != "" && !strings.Contains(strings.ToLower(plain(strings.Join(r.cells, " ")+" "+c.PeerName)), filter) {
			continue
		}
		t.rows = append(t.rows, r)
	}
	if filter != "" {
		t.none = "no client has this"
	}
	if s.conns.More {
		t.more = max(0, s.status.Clients-len(s.conns.Clients))
	}
	return t
}
