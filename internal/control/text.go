package control

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Clean makes text from clients or workers safe for a terminal, which their
// names must not be able to control.
func Clean(s string) string {
	q := strconv.QuoteToGraphic(s)
	q = q[1 : len(q)-1]
	return strings.ReplaceAll(q, `\"`, `"`)
}

// table writes rows in columns under a header.
func table(w io.Writer, head string, rows [][]string) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.ReplaceAll(head, " ", "\t"))
	for _, r := range rows {
		for i := range r {
			r[i] = cmp.Or(Clean(r[i]), "-")
		}
		fmt.Fprintln(tw, strings.Join(r, "\t"))
	}
	tw.Flush()
}

func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < 0:
		return "-"
	case d < 10*time.Second:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func known(f *float64, show func(float64) string) string {
	if f == nil {
		return "-"
	}
	return show(*f)
}

func plainNumber(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func size(n *int64) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprintf("%.1fM", float64(*n)/(1<<20))
}

func count(n *int) string {
	if n == nil {
		return "-"
	}
	return strconv.Itoa(*n)
}

// counters writes NAME=N, the largest first, or "-".
func counters(m map[string]uint64) string {
	names := slices.SortedFunc(maps.Keys(m), func(a, b string) int { return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b)) })
	var list []string
	for _, n := range names {
		list = append(list, fmt.Sprintf("%s=%d", n, m[n]))
	}
	return cmp.Or(strings.Join(list, ", "), "-")
}

// Text writes the status in readable form.
func (s *Status) Text(w io.Writer) {
	fmt.Fprintf(w, "netserver %s, type %s, pid %d: %s, up %s\n", Clean(s.Version), Clean(s.Type), s.PID, Clean(s.State), seconds(s.Uptime))
	fmt.Fprintf(w, "clients %d, in the handler %d, served %d; restarts %d, crashes %d\n", s.Clients, s.InHandler, s.Served, s.Restarts, s.Crashes)
	h := s.Handshakes
	fmt.Fprintf(w, "handshakes unfinished %d, waiting %d, running %d, shed %d; memory %s, descriptors %s\n\n",
		h.Unfinished, h.Waiting, h.Running, h.Shed, size(s.Memory), count(s.Descriptors))
	var rows [][]string
	for _, g := range s.Generations {
		for _, k := range g.Workers {
			state := k.State
			if !k.Answers {
				state += ", does not answer"
			}
			rows = append(rows, []string{strconv.Itoa(g.ID), strconv.Itoa(k.ID), strconv.Itoa(k.PID), state, seconds(k.Uptime),
				strconv.Itoa(k.Clients), strconv.Itoa(k.InHandler), strconv.FormatUint(k.Served, 10), size(k.Memory), count(k.Descriptors)})
		}
	}
	table(w, "GENERATION WORKER PID STATE UP CLIENTS HANDLER SERVED MEMORY DESCRIPTORS", rows)
	fmt.Fprintln(w)
	rows = nil
	for _, l := range s.Listeners {
		state := "open"
		if !l.Open {
			state = "closed"
		}
		rows = append(rows, []string{l.Port, state, counters(l.Outcomes), counters(l.Refused)})
	}
	table(w, "PORT STATE OUTCOMES REFUSED-BY", rows)
	silentText(w, s.Silent)
}

func silentText(w io.Writer, list []Silent) {
	for _, s := range list {
		fmt.Fprintf(w, "worker %d (pid %d) does not answer, for %s: what it has is missing above\n", s.Worker, s.PID, seconds(s.For))
	}
}

const connsHead = "ID PORT PEER NAME TLS FOR IDLE IN OUT DOING"

func (c *Client) row() []string {
	return []string{c.ID, c.Port, c.Peer, c.PeerName, c.TLS, seconds(c.Connected), known(c.Idle, seconds),
		strconv.FormatUint(c.In, 10), strconv.FormatUint(c.Out, 10), c.Doing}
}

func clientRows(list []Client) (rows [][]string) {
	for i := range list {
		rows = append(rows, list[i].row())
	}
	return rows
}

// Text writes the clients in readable form.
func (c *Conns) Text(w io.Writer) {
	table(w, connsHead, clientRows(c.Clients))
	silentText(w, c.Silent)
	if c.More {
		fmt.Fprintf(w, "there are more: --after %s goes on, --limit N (up to %d) lists more at once\n", Clean(c.Next), MaxConns)
	}
}

// Text writes which client was ended.
func (k *Killed) Text(w io.Writer) { fmt.Fprintf(w, "client %s was ended\n", Clean(k.ID)) }

// Text writes what a reload did or would do.
func (r *Reload) Text(w io.Writer) {
	for _, line := range r.Plan.Lines() {
		fmt.Fprintln(w, Clean(line))
	}
	if r.DryRun {
		fmt.Fprintln(w, "nothing was changed")
		return
	}
	fmt.Fprintf(w, "done: generation %d serves\n", r.Generation)
}

// Summary says in one line what the plan does to ports, handler and program.
func (p *Plan) Summary() string {
	var parts []string
	add := func(what string, list []string) {
		if len(list) > 0 {
			parts = append(parts, what+" "+strings.Join(list, ", "))
		}
	}
	add("added", p.Added)
	add("removed", p.Removed)
	var changed []string
	for _, c := range p.Changed {
		changed = append(changed, fmt.Sprintf("%s (%s)", c.Port, c.Why))
	}
	add("changed", changed)
	if len(p.Handler) > 0 {
		parts = append(parts, "another handler ("+strings.Join(p.Handler, ", ")+")")
	}
	if p.Program {
		parts = append(parts, "the program's file was replaced")
	}
	if len(parts) == 0 {
		parts = append(parts, "ports and handler are the same")
	}
	add("other settings:", p.Settings)
	return fmt.Sprintf("restart: %s; ports kept: %d", strings.Join(parts, "; "), len(p.Kept))
}

// Lines returns the same, with one line per port.
func (p *Plan) Lines() (lines []string) {
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, k := range p.Kept {
		add("port %s: kept; its clients may stay", k)
	}
	for _, c := range p.Changed {
		add("port %s: changed (%s); its clients have the grace time", c.Port, c.Why)
	}
	for _, r := range p.Removed {
		add("port %s: removed; its clients have the grace time", r)
	}
	for _, a := range p.Added {
		add("port %s: added", a)
	}
	if len(p.Handler) > 0 {
		add("handler: another (%s); all clients have the grace time", strings.Join(p.Handler, ", "))
	}
	if p.Program {
		add("program: its file was replaced; the new one serves")
	}
	if len(p.Settings) > 0 {
		add("settings that differ, for new clients: %s", strings.Join(p.Settings, ", "))
	}
	for _, k := range p.Stays {
		add("%s differs: it stays as it is until the server is stopped and started again", k)
	}
	return lines
}

// Text writes the progress of an ending server.
func (l *Leaving) Text(w io.Writer) {
	if l.Done {
		fmt.Fprintf(w, "ended after %s\n", seconds(l.Elapsed))
		return
	}
	grace := "without a grace time"
	if l.Grace > 0 {
		grace = "of " + seconds(l.Grace)
	}
	fmt.Fprintf(w, "%s %s: clients still here: %d\n", seconds(l.Elapsed), grace, l.Count)
	if len(l.Clients) > 0 {
		table(w, connsHead, clientRows(l.Clients))
	}
	silentText(w, l.Silent)
}

// Text writes what the server waits for.
func (o *Waiting) Text(w io.Writer) {
	if o.Ready {
		fmt.Fprintf(w, "%s: others are ready; draining\n", seconds(o.Elapsed))
		return
	}
	fmt.Fprintf(w, "%s of %s, waiting: %s\n", seconds(o.Elapsed), seconds(o.Timeout), Clean(o.Why))
}

// Text writes the limits in readable form.
func (l *Limits) Text(w io.Writer) {
	var rows [][]string
	for _, m := range l.Limits {
		key := m.Key
		if m.Port != "" {
			key += " " + m.Port
		}
		value := "none"
		if m.Value != nil {
			value = plainNumber(*m.Value)
		}
		rows = append(rows, []string{key, value, known(m.Use, plainNumber), known(m.Most, plainNumber), strconv.FormatUint(m.Refused, 10), m.Unit})
	}
	table(w, "LIMIT VALUE USE MOST-IN-ONE REFUSED UNIT", rows)
	fmt.Fprintf(w, "each of %d processes has them for itself\n\n", l.Processes)
	rows = nil
	for _, s := range l.Sources {
		rows = append(rows, []string{s.Network, strconv.Itoa(s.Clients)})
	}
	table(w, "SOURCE CLIENTS", rows)
	silentText(w, l.Silent)
}

// Text writes the penalty box in readable form.
func (p *Penalties) Text(w io.Writer) {
	var rows [][]string
	for _, b := range p.Boxed {
		rows = append(rows, []string{b.Network, seconds(b.Left), strconv.Itoa(b.Offences), strconv.Itoa(b.Processes)})
	}
	table(w, "NETWORK LEFT OFFENCES PROCESSES", rows)
	if p.More {
		fmt.Fprintln(w, "there are more")
	}
	silentText(w, p.Silent)
}

// Text writes what was lifted.
func (l *Lifted) Text(w io.Writer) {
	fmt.Fprintf(w, "%s: %d taken out of the penalty box\n", Clean(l.Network), l.Lifted)
	silentText(w, l.Silent)
}
