package top

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"netserver/internal/control"
)

// The pages, which the keys 1 to 7 show.
const (
	pageAll = iota
	pageConns
	pagePorts
	pageLimits
	pageTargets
	pageCerts
	pageWorkers
	pageCount
)

var pageNames = [pageCount]string{"overview", "clients", "ports", "limits", "targets", "certs", "workers"}

const maxFilter = 64 // letters

// A model is the view in a terminal. Update and View have no side effects: what
// speaks to the server are the commands that Update returns.
type model struct {
	ctx      context.Context
	ask      asker
	interval time.Duration
	count    int // of answers after which it ends; 0: it goes on

	width, height int
	page          int
	from          int    // the first row that is shown, but for clients
	order         int    // of clients, in orders
	reverse       bool   // that order
	filter        string // of clients
	typing        bool   // filter
	selected      string // ID of a client
	ending        string // ID of the client that k was typed for, until y says so
	help          bool

	now    *snapshot // what the server has answered last
	rates  rates
	seen   int
	lost   error // why it does not answer now
	notice string
}

// What the commands of a model report.
type (
	answered struct {
		s   *snapshot
		err error
	}
	due    struct{} // the next time to ask
	killed struct {
		id  string
		err error
	}
)

// Init asks the server for the second time; Run has the first answer already.
func (m model) Init() tea.Cmd { return m.wait() }

func (m model) wait() tea.Cmd {
	return tea.Tick(m.interval, func(time.Time) tea.Msg { return due{} })
}

func (m model) fetch() tea.Msg {
	s, err := fetch(m.ctx, m.ask)
	return answered{s, err}
}

// Update takes what has happened.
func (m model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case due:
		return m, m.fetch
	case answered:
		m.take(msg.s, msg.err)
		if m.count > 0 && m.seen >= m.count {
			return m, tea.Quit
		}
		return m, m.wait()
	case killed:
		m.notice = "client " + plain(msg.id) + " was ended"
		var f *control.Failed
		if errors.As(msg.err, &f) && len(f.Texts) > 0 {
			m.notice = plain(f.Texts[0])
		} else if msg.err != nil {
			m.notice = plain(msg.err.Error())
		}
	case tea.PasteMsg:
		if m.typing {
			m.filter = narrow(m.filter + plain(msg.Content))
		}
	case tea.KeyPressMsg:
		m.notice = ""
		return m.key(msg)
	}
	return m, nil
}

// take takes an answer of the server, or that there was none.
func (m *model) take(s *snapshot, err error) {
	if err != nil {
		m.lost = err
		return
	}
	switch {
	case m.now == nil:
	case m.now.status.PID != s.status.PID:
		m.notice = fmt.Sprintf("the server was started anew: its pid is %d", s.status.PID)
	case m.lost != nil:
		m.notice = "the server answers again"
	}
	m.rates = ratesOf(m.now, s)
	m.now, m.lost = s, nil
	m.seen++
	if !slices.ContainsFunc(s.conns.Clients, func(c control.Client) bool { return c.ID == m.selected }) {
		m.selected = "" // and not another one
	}
}

// key takes a key.
func (m model) key(msg tea.KeyPressMsg) (tea.Model, tea.Cmd) {
	key := msg.String()
	switch {
	case key == "ctrl+c":
		return m, tea.Quit
	case m.ending != "":
		id := m.ending
		m.ending = ""
		if key != "y" && key != "Y" {
			m.notice = "client " + plain(id) + " stays"
			return m, nil
		}
		ctx, ask := m.ctx, m.ask
		return m, func() tea.Msg { return killed{id, kill(ctx, ask, id)} }
	case m.typing:
		m.typed(key, msg.Text)
		return m, nil
	case m.help:
		m.help = false
		if key == "q" {
			return m, tea.Quit
		}
		return m, nil
	}
	return m.command(key)
}

// typed takes a key of the text that is searched for.
func (m *model) typed(key, text string) {
	switch key {
	case "enter":
		m.typing = false
	case "esc":
		m.typing, m.filter = false, ""
	case "backspace":
		_, n := utf8.DecodeLastRuneInString(m.filter)
		m.filter = m.filter[:len(m.filter)-n]
	case "ctrl+u":
		m.filter = ""
	default:
		m.filter = narrow(m.filter + plain(text))
	}
}

func narrow(s string) string {
	r := []rune(s)
	return string(r[:min(len(r), maxFilter)])
}

// command takes a key that is no text.
func (m model) command(key string) (tea.Model, tea.Cmd) {
	switch key {
	case "q":
		return m, tea.Quit
	case "?", "h":
		m.help = true
	case "/":
		m.typing = true
		if m.page != pageConns {
			m.page = pageConns
		}
	case "esc":
		m.filter, m.selected = "", ""
	case "s":
		m.order = (m.order + 1) % len(orders)
		m.notice = "sorted by " + orders[m.order].name
	case "r":
		m.reverse = !m.reverse
	case "k":
		switch {
		case !m.listsConns():
			m.notice = "k ends a client: 2 lists them"
		case m.selected == "":
			m.notice = "choose a client by the arrow keys"
		default:
			m.ending = m.selected
		}
	case "tab", "right":
		m.turn((m.page + 1) % pageCount)
	case "shift+tab", "left":
		m.turn((m.page + pageCount - 1) % pageCount)
	case "up", "down", "pgup", "pgdown", "home", "end":
		m.move(key)
	default:
		if len(key) == 1 && key[0] >= '1' && key[0] < '1'+pageCount {
			m.turn(int(key[0] - '1'))
		}
	}
	return m, nil
}

func (m *model) turn(page int) { m.page, m.from = page, 0 }

// listsConns reports whether the page has clients, of which one can be chosen.
func (m *model) listsConns() bool { return m.page == pageAll || m.page == pageConns }

// move chooses another client, or shows other rows.
func (m *model) move(key string) {
	page := max(1, m.room()-2)
	by := map[string]int{"up": -1, "down": 1, "pgup": -page, "pgdown": page, "home": -wide, "end": wide}[key]
	if !m.listsConns() {
		t := m.table()
		m.from = max(0, min(m.from+by, len(t.rows)-page))
		return
	}
	t := connsTable(m.now, m.order, m.reverse, m.filter)
	if len(t.rows) == 0 {
		return
	}
	at := m.at(&t)
	if at < 0 && by > 0 && by < wide {
		by-- // the first one
	}
	m.selected = t.rows[max(0, min(max(at, 0)+by, len(t.rows)-1))].id
}

// at returns where the client that is chosen stands, or -1.
func (m *model) at(t *table) int {
	if m.selected == "" {
		return -1
	}
	return slices.IndexFunc(t.rows, func(r row) bool { return r.id == m.selected })
}

// table returns the list of a page that has one.
func (m *model) table() table {
	switch m.page {
	case pagePorts:
		return portsTable(m.now)
	case pageLimits:
		return limitsTable(m.now, true)
	case pageTargets:
		return targetsTable(m.now)
	case pageCerts:
		return certsTable(m.now)
	case pageWorkers:
		return workersTable(m.now)
	}
	return connsTable(m.now, m.order, m.reverse, m.filter)
}

// whom says which client is meant.
func (m *model) whom(id string) string {
	for _, c := range m.now.conns.Clients {
		if c.ID == id {
			return strings.TrimSpace(id + " " + plain(c.Peer))
		}
	}
	return id
}
