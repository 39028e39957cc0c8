package top

import (
	"fmt"
	"strings"
)

// wide is no width: nothing is cut.
const wide = 1 << 16

// A line is text, and how it is shown.
type line struct {
	text     string
	tone     tone
	head     bool
	selected bool
}

// lines returns the names of a table's columns and height lines of its rows,
// from the one with the number from on, each as wide as width at most.
func (t *table) lines(width, from, height int) []line {
	if len(t.rows) == 0 {
		return []line{{text: cut(t.columns[0].name, width), head: true}, {text: cut("  "+plain(t.none), width)}}
	}
	rows := t.rows[min(from, len(t.rows)):]
	if len(rows) > height {
		rows = rows[:height]
	}
	cells := make([][]string, 0, len(rows)+1)
	head := make([]string, len(t.columns))
	for i, c := range t.columns {
		head[i] = c.name
	}
	cells = append(cells, head)
	for _, r := range rows {
		clean := make([]string, len(r.cells))
		for i, c := range r.cells {
			if clean[i] = plain(c); c == "" {
				clean[i] = "-"
			}
		}
		cells = append(cells, clean)
	}
	widths := t.fit(cells, width)
	list := make([]line, 0, len(cells)+1)
	for i, row := range cells {
		l := line{text: t.join(row, widths, width), head: i == 0}
		if i > 0 {
			l.tone = rows[i-1].tone
		}
		list = append(list, l)
	}
	if beyond := len(t.rows) - from - len(rows) + t.more; beyond > 0 {
		note := fmt.Sprintf("%d more", beyond)
		h := &list[0]
		if gap := width - len(note); width < wide && gap > 0 {
			h.text = pad(cut(h.text, gap-1), gap, false) + note
		} else if width >= wide {
			list = append(list, line{text: note})
		}
	}
	return list
}

// fit returns how wide each column is: as its cells, but for those that can be
// cut if that is too wide, the widest first. Columns that have no room are left
// out, from the last on.
func (t *table) fit(cells [][]string, width int) []int {
	widths, total := make([]int, len(t.columns)), -1
	for _, row := range cells {
		for i, c := range row {
			widths[i] = max(widths[i], len([]rune(c)))
		}
	}
	for _, w := range widths {
		total += w + 1
	}
	for total > width {
		widest := -1
		for i, c := range t.columns[:len(widths)] {
			if c.least > 0 && widths[i] > c.least && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest >= 0 {
			widths[widest]--
			total--
			continue
		}
		if len(widths) == 1 {
			widths[0] = width
			break
		}
		total -= widths[len(widths)-1] + 1
		widths = widths[:len(widths)-1]
	}
	return widths
}

func (t *table) join(row []string, widths []int, width int) string {
	var b strings.Builder
	for i, w := range widths {
		if i > 0 {
			b.WriteByte(' ')
		}
		text := cut(row[i], w)
		if r := []rune(row[i]); t.columns[i].tail && len(r) > w && w > 0 {
			text = "~" + string(r[len(r)-w+1:])
		}
		b.WriteString(pad(text, w, t.columns[i].number))
	}
	return cut(strings.TrimRight(b.String(), " "), width)
}

// header says how the server is; each line has room in 80 columns.
func header(s *snapshot, r *rates) []string {
	st := &s.status
	kind := "per second:"
	if r.sinceStart {
		kind = "per second since the start:"
	}
	p50, p99 := "-", "-"
	if *r.shakes.Count > 0 {
		p50, p99 = short(r.shakes.Quantile(0.5)), short(r.shakes.Quantile(0.99))
	}
	workers, silent := 0, ""
	for _, g := range st.Generations {
		workers += len(g.Workers)
	}
	if n := len(st.Silent); n > 0 {
		silent = fmt.Sprintf(" (%d silent)", n)
	}
	h := st.Handshakes
	return []string{
		fmt.Sprintf("netserver %s  up %s  clients %d (%d in the handler)  pid %d  %s  %s",
			plain(st.State), age(st.Uptime), st.Clients, st.InHandler, st.PID, plain(st.Type), plain(st.Version)),
		fmt.Sprintf("%s accepted %s  served %s  refused %s  failed %s", kind, rate(r.accepted), rate(r.served), rate(r.refused), rate(r.failed)),
		fmt.Sprintf("handshakes p50 %s  p99 %s  waiting %d  running %d  shed %d", p50, p99, h.Waiting, h.Running, h.Shed),
		fmt.Sprintf("workers %d%s  generations %d  restarts %d  crashes %d  memory %s  files %s",
			workers, silent, len(st.Generations), st.Restarts, st.Crashes, memory(st.Memory), descriptors(st.Descriptors)),
	}
}
