package top

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
)

const (
	headLines = 5 // the server, and the pages
	footLines = 2 // notices, and keys
)

const (
	bold    = "\x1b[1m"
	reverse = "\x1b[7m"
	red     = "\x1b[31m"
	yellow  = "\x1b[33m"
	reset   = "\x1b[0m"
)

var helpText = []string{
	"1 to 7, Tab     overview, clients, ports, limits, targets, certificates, workers",
	"up, down        choose a client, or show further rows; PgUp, PgDn, Home, End",
	"k               end the client that is chosen, after a question",
	"/               list only clients with a text; Enter keeps it, Esc lists all again",
	"s, r            sort clients by idle time, bytes, age; the other way round",
	"q, Ctrl-C       leave",
	"",
	"accepted: all that connected. refused: by a limit or a rule. failed: all others that",
	"were not served; 3 says why, and docs/ADMISSION.md what it means.",
}

// View draws the screen.
func (m model) View() tea.View {
	v := tea.NewView(m.screen())
	v.AltScreen = true
	v.WindowTitle = "netserver top"
	return v
}

// room returns how many lines there are between head and foot.
func (m *model) room() int { return max(1, m.height-headLines-footLines) }

func (m *model) screen() string {
	list := make([]line, 0, m.height)
	for i, text := range header(m.now, &m.rates) {
		list = append(list, line{text: text, head: i == 0})
	}
	list = append(list, line{text: m.tabs()})
	var body []line
	switch {
	case m.help:
		for _, text := range helpText {
			body = append(body, line{text: text})
		}
	case m.page == pageAll:
		body = m.overview()
	case m.page == pageConns:
		body = m.conns(m.room())
	default:
		t := m.table()
		body = t.lines(m.width, m.from, m.room()-1)
	}
	body = body[:min(len(body), m.room())]
	for len(body) < m.room() {
		body = append(body, line{})
	}
	list = append(list, body...)
	list = append(list, m.foot()...)
	list = list[:min(len(list), max(m.height, 1))]
	var b strings.Builder
	for i, l := range list {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(l.styled(m.width))
	}
	return b.String()
}

// styled returns the line with its colours.
func (l line) styled(width int) string {
	text := cut(l.text, width)
	style := ""
	switch {
	case l.selected:
		style, text = reverse, pad(text, width, false)
	case l.head:
		style = bold
	case l.tone == bad:
		style = red
	case l.tone == warn:
		style = yellow
	}
	if style == "" || text == "" {
		return text
	}
	return style + text + reset
}

func (m *model) tabs() string {
	var b strings.Builder
	for i, name := range pageNames {
		if i == m.page {
			fmt.Fprintf(&b, "[%d %s]", i+1, name)
		} else {
			fmt.Fprintf(&b, " %d %s ", i+1, name)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// overview shows some of everything: of what is not as it should be first, and
// clients in the room that is left.
func (m *model) overview() []line {
	most, ends := 2, 1
	if m.height >= 36 {
		most, ends = 5, 5
	}
	var list []line
	for _, t := range []struct {
		table
		most int
	}{{portsTable(m.now), most}, {limitsTable(m.now, false), most}, {targetsTable(m.now), most}, {certsTable(m.now), ends}, {workersTable(m.now), most}} {
		if len(t.rows) > 0 {
			list = append(list, t.lines(m.width, 0, t.most)...)
		}
	}
	least := min(4, m.room()) // lines of clients
	list = list[:min(len(list), m.room()-least)]
	if n := len(list); n > 0 && list[n-1].head {
		list = list[:n-1]
	}
	return append(list, m.conns(m.room()-len(list))...)
}

// conns lists clients in a number of lines, the one that is chosen among them.
func (m *model) conns(height int) []line {
	t := connsTable(m.now, m.order, m.reverse, m.filter)
	rows := max(1, height-1)
	at := m.at(&t)
	from := max(0, at-rows+1)
	list := t.lines(m.width, from, rows)
	if at >= 0 && at-from+1 < len(list) {
		list[at-from+1].selected = true
	}
	return list
}

// foot says what has happened or is asked, and which keys there are.
func (m *model) foot() []line {
	first := line{text: m.notice}
	switch {
	case m.ending != "":
		first = line{text: "end client " + m.whom(m.ending) + "? y/n", tone: bad}
	case m.typing:
		first = line{text: "search: " + m.filter + "_"}
	case m.lost != nil:
		first = line{text: "no answer, waiting: " + plain(m.lost.Error()), tone: bad}
	case m.notice == "" && m.filter != "":
		first = line{text: "only clients with: " + m.filter + "  (Esc lists all)"}
	}
	way := ""
	if m.reverse {
		way = ", reversed"
	}
	return []line{first, {text: fmt.Sprintf("q quit  ? help  / search  s sort (%s%s)  r reverse  k kill  1-7 pages", orders[m.order].name, way)}}
}
