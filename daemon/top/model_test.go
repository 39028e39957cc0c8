package top

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"netserver/internal/control"
)

func number[T any](v T) *T { return &v }

// example is a server with something of everything, of which uptime and served
// differ from time to time.
func example(uptime float64, served uint64) *snapshot {
	s := &snapshot{refused: map[string]string{}}
	s.status = control.Status{PID: 14741, Version: "1.4.0", Type: "Fork", State: "serving", Uptime: uptime, Clients: 3, InHandler: 2, Crashes: 1,
		Memory: number(int64(62 << 20)), Descriptors: number(44), Handshakes: control.Handshakes{Waiting: 2, Running: 1, Shed: 5},
		Generations: []control.Generation{
			{ID: 1, State: "ending", Workers: []control.Worker{{ID: 1, PID: 14750, State: "ending", Answers: true, Uptime: 90000, Clients: 1, Memory: number(int64(15 << 20)), Descriptors: number(12)}}},
			{ID: 2, State: "serving", Workers: []control.Worker{{ID: 2, PID: 14772, State: "serving", Uptime: 3600, Clients: 2, InHandler: 2, Served: 42}}},
		},
		Listeners: []control.Listener{
			{Port: "127.0.0.1:443/ssl", Open: true, Outcomes: map[string]uint64{"served": served, "alert": 3, "penalised": 7}, Refused: map[string]uint64{"penalty_points": 7}},
			{Port: "[2001:db8::1]:8443/ssl", Outcomes: map[string]uint64{}},
		},
		Silent: []control.Silent{{Worker: 2, PID: 14772, For: 3}},
	}
	s.conns.Clients = []control.Client{
		{ID: "2.17", Port: "127.0.0.1:443/ssl", Peer: "192.0.2.7:52070", TLS: "TLS 1.3", ServerName: "www.example.org", Doing: "echo", Connected: 12.5, In: 7, Out: 1 << 20, Idle: number(3.0)},
		{ID: "2.18", Port: "127.0.0.1:443/ssl", Peer: "[2001:db8::7]:52071", Stage: "handshake", Connected: 1.5, In: 5},
		{ID: "1.4", Port: "127.0.0.1:443/ssl", Peer: "198.51.100.4:1029", TLS: "TLS 1.2", PeerName: "evil\x1b[2J\u202e\u05d0", Doing: "proxy", Connected: 90000, In: 1 << 40, Out: 5, Idle: number(700.0)},
	}
	s.limits.Limits = []control.Limit{
		{Key: "max_conns", Unit: "clients", Value: number(1000.0), Use: number(3.0), Most: number(2.0)},
		{Key: "max_per_source", Unit: "clients", Value: number(10.0), Use: number(9.0), Most: number(9.0), Refused: 7},
		{Key: "timeout_idle", Unit: "seconds"},
	}
	s.targets.Targets = []control.Target{
		{Backend: "imap", Target: "10.0.0.6:143", Address: "10.0.0.6:143", State: "up", Since: 7200, Clients: 2, Connect: number(0.000312)},
		{Backend: "imap", Target: "imap.example.com:143", Address: "10.0.0.5:143", State: "down", Reason: "check tcp: connection refused", Since: 12.5, Failed: 4},
	}
	s.certs.Certificates = []control.Certificate{
		{Ports: []string{"127.0.0.1:443/ssl"}, File: "/etc/a.pem", Names: []string{"a.example"}, DaysLeft: 70.25},
		{Ports: []string{"127.0.0.1:443/ssl"}, File: "/etc/b.pem", Names: []string{"b.example", "c.example"}, DaysLeft: 3.5, LastError: "no such file"},
	}
	count, zero, schema := served, uint64(0), 3
	s.metrics.Families = []control.Family{{Name: "netserver_handshake_seconds", Type: "histogram", Samples: []control.Sample{
		{Count: &count, Zero: &zero, Schema: &schema, Buckets: map[int]uint64{-53: served / 2, -40: served - served/2}},
	}}}
	return s
}

// of returns a model that has had two answers.
func of(width, height int) model {
	m := model{ctx: context.Background(), interval: time.Second, width: width, height: height}
	m.take(example(100, 1000), nil)
	m.take(example(102, 1100), nil)
	return m
}

var styles = regexp.MustCompile("\x1b\\[[0-9;]*m")

// shown returns the screen without colours, and checks that nothing is wider or
// higher than it.
func shown(t *testing.T, m model) string {
	t.Helper()
	text := styles.ReplaceAllString(m.View().Content, "")
	lines := strings.Split(text, "\n")
	if len(lines) != m.height {
		t.Errorf("%d lines, not %d", len(lines), m.height)
	}
	for i, l := range lines {
		if n := len([]rune(l)); n > m.width {
			t.Errorf("line %d has %d letters: %q", i+1, n, l)
		}
		lines[i] = strings.TrimRight(l, " ")
	}
	return strings.Join(lines, "\n")
}

// press types keys.
func press(t *testing.T, m model, keys ...string) (model, tea.Cmd) {
	t.Helper()
	var cmd tea.Cmd
	codes := map[string]rune{"up": tea.KeyUp, "down": tea.KeyDown, "end": tea.KeyEnd, "home": tea.KeyHome, "pgdown": tea.KeyPgDown, "pgup": tea.KeyPgUp,
		"tab": tea.KeyTab, "enter": tea.KeyEnter, "esc": tea.KeyEscape, "backspace": tea.KeyBackspace}
	for _, k := range keys {
		msg := tea.KeyPressMsg{Code: []rune(k)[0], Text: k}
		if code, ok := codes[k]; ok {
			msg = tea.KeyPressMsg{Code: code}
		}
		if k == "ctrl+c" {
			msg = tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl}
		}
		var next tea.Model
		next, cmd = m.Update(msg)
		m = next.(model)
	}
	return m, cmd
}

const golden80 = `netserver serving  up 1m42s  clients 3 (2 in the handler)  pid 14741  Fork  1.4~
per second: accepted 50.0  served 50.0  refused 0  failed 0
handshakes p50 10.1ms  p99 31.2ms  waiting 2  running 1  shed 5
workers 2 (1 silent)  generations 2  restarts 0  crashes 1  memory 62.0M  files~
[1 overview] 2 clients  3 ports  4 limits  5 targets  6 certs  7 workers
PORT                   STATE  OUTCOMES SINCE THE START          REFUSED BY
127.0.0.1:443/ssl      open   served 1100, penalised 7, alert 3 penalty_points 7
[2001:db8::1]:8443/ssl closed -                                 -
LIMIT          USED MOST IN ONE OF UNIT    REFUSED PORT
max_per_source  90%           9 10 clients       7 -
TARGET       BACKEND STATE   FOR CLIENTS FAILED CONNECT REASON
10.0.0.5:143 imap    down    12s       0      4       - check tcp: connection r~
10.0.0.6:143 imap    up    2h00m       2      0   312us -
CERTIFICATE         DAYS LEFT FILE       PORTS             ERROR          1 more
b.example c.example       3.5 /etc/b.pem 127.0.0.1:443/ssl no such file
WORKER GENERATION   PID STATE     UP CLIENTS HANDLER SERVED MEMORY FILES
2      2          14772 silent 1h00m       2       2     42      -     -
1      1          14750 ending 1d01h       1       0      0  15.0M    12
ID   PEER                PORT       AGE   IDLE   IN  OUT TLS DOING     NAME
1.4  198.51.100.4:1029   ~443/ssl 1d01h 11m40s 1.0T    5 1.2 proxy     evil\x1b~
2.17 192.0.2.7:52070     ~443/ssl   12s   3.0s    7 1.0M 1.3 echo      www.exam~
2.18 [2001:db8::7]:52071 ~443/ssl  1.5s      -    5    0 -   handshake -

q quit  ? help  / search  s sort (idle)  r reverse  k kill  1-7 pages`

func TestOverview(t *testing.T) {
	if got := shown(t, of(80, 24)); got != golden80 {
		t.Errorf("got:\n%s\nwant:\n%s", got, golden80)
	}
	for _, size := range [][2]int{{80, 24}, {200, 60}, {40, 10}, {20, 7}, {1, 1}, {80, 3}} {
		m := of(size[0], size[1])
		for range pageCount {
			shown(t, m)
			m, _ = press(t, m, "tab", "down", "down", "end", "pgdown", "pgup")
		}
		m, _ = press(t, m, "?")
		shown(t, m)
	}
}

func TestPages(t *testing.T) {
	m := of(110, 24)
	for _, tt := range []struct{ key, want string }{
		{"2", "2.18 [2001:db8::7]:52071 127.0.0.1:443/ssl"},
		{"3", "served 1100, penalised 7, alert 3 penalty_points 7"},
		{"4", "timeout_idle      -           - none seconds       0 -"},
		{"5", "check tcp: connection refused"},
		{"6", "a.example                70.2 /etc/a.pem"},
		{"7", "1      1          14750 ending"},
		{"?", "choose a client"},
	} {
		if m, _ = press(t, m, tt.key); !strings.Contains(shown(t, m), tt.want) {
			t.Errorf("page %s has no %q:\n%s", tt.key, tt.want, shown(t, m))
		}
	}
	if m, cmd := press(t, m, "x"); cmd != nil || strings.Contains(shown(t, m), "choose a client") {
		t.Error("a key does not end the help")
	}
	for _, key := range []string{"q", "ctrl+c"} {
		if _, cmd := press(t, m, key); cmd == nil || cmd() != tea.Quit() {
			t.Errorf("%s does not end it", key)
		}
	}
}

// ids returns the clients that are listed, in their order.
func ids(m model) (list []string) {
	t := connsTable(m.now, m.order, m.reverse, m.filter)
	for _, r := range t.rows {
		list = append(list, r.id)
	}
	return list
}

func TestSortAndSearch(t *testing.T) {
	m := of(100, 30)
	for _, tt := range []struct {
		keys string
		want string
	}{
		{"2", "1.4 2.17 2.18"}, // idle
		{"s", "1.4 2.17 2.18"}, // bytes
		{"r", "2.18 2.17 1.4"},
		{"s", "2.18 2.17 1.4"}, // age
		{"r", "1.4 2.17 2.18"},
		{"/ E X A M", "2.17"},
		{"backspace backspace backspace backspace v i l", "1.4"},
		{"enter", "1.4"},
		{"esc", "1.4 2.17 2.18"},
		{"/ [ 2 0 0 1 : d b 8 enter", "2.18"},
		{"/ q y esc", "1.4 2.17 2.18"},
	} {
		m, _ = press(t, m, strings.Fields(tt.keys)...)
		if got := strings.Join(ids(m), " "); got != tt.want {
			t.Errorf("after %s: %s, want %s", tt.keys, got, tt.want)
		}
	}
}

// The client that is chosen stays so in another order, and none is when it is
// gone.
func TestKill(t *testing.T) {
	m := of(100, 30)
	var asked []string
	m.ask = func(_ context.Context, r *control.Request, _ func(string, json.RawMessage) error) error {
		asked = append(asked, r.Verb+" "+r.ID)
		return &control.Failed{Texts: []string{"there is no client 2.17\x1b[2J"}}
	}
	m, cmd := press(t, m, "k")
	if cmd != nil || m.ending != "" || !strings.Contains(shown(t, m), "choose a client") {
		t.Errorf("%q", m.notice)
	}
	m, _ = press(t, m, "down", "down", "r", "s")
	if m.selected != "2.17" {
		t.Fatalf("chosen: %q", m.selected)
	}
	m, _ = press(t, m, "k")
	if !strings.Contains(shown(t, m), "end client 2.17 192.0.2.7:52070? y/n") {
		t.Error(shown(t, m))
	}
	m, cmd = press(t, m, "enter")
	if cmd != nil || m.ending != "" || !strings.Contains(shown(t, m), "client 2.17 stays") {
		t.Error(shown(t, m))
	}
	m, cmd = press(t, m, "k", "y")
	if cmd == nil {
		t.Fatal("it is not ended")
	}
	next, _ := m.Update(cmd())
	m = next.(model)
	if !slices.Equal(asked, []string{"kill 2.17"}) || !strings.Contains(shown(t, m), `there is no client 2.17\x1b[2J`) {
		t.Errorf("%q: %s", asked, shown(t, m))
	}
	s := example(104, 1100)
	s.conns.Clients = s.conns.Clients[1:]
	next, _ = m.Update(answered{s: s})
	if m = next.(model); m.selected != "" {
		t.Errorf("chosen: %q", m.selected)
	}
}

func TestLostAndBack(t *testing.T) {
	m := of(100, 30)
	next, cmd := m.Update(answered{err: errors.New("no server: \x1bnobody listens")})
	m = next.(model)
	if cmd == nil || !strings.Contains(shown(t, m), `no answer, waiting: no server: \x1bnobody listens`) || !strings.Contains(shown(t, m), "served 50.0") {
		t.Error(shown(t, m))
	}
	next, _ = m.Update(answered{s: example(104, 1100)})
	if m = next.(model); !strings.Contains(shown(t, m), "the server answers again") {
		t.Error(shown(t, m))
	}
	s := example(10, 30)
	s.status.PID = 99
	next, _ = m.Update(answered{s: s})
	if m = next.(model); !strings.Contains(shown(t, m), "the server was started anew: its pid is 99") ||
		!strings.Contains(shown(t, m), "per second since the start: accepted 4.3  served 3.0  refused 0.7  failed 0.3") {
		t.Error(shown(t, m))
	}
	m.count = m.seen + 1
	if _, cmd := m.Update(answered{s: s}); cmd == nil || cmd() != tea.Quit() {
		t.Error("it goes on after count answers")
	}
}

// fake answers as a server does that knows some verbs.
func fake(answers map[string]any) asker {
	var mu sync.Mutex
	return func(_ context.Context, r *control.Request, each func(string, json.RawMessage) error) error {
		mu.Lock()
		defer mu.Unlock()
		a, ok := answers[r.Verb]
		if !ok {
			return &control.Failed{Texts: []string{fmt.Sprintf("unknown verb %q", r.Verb)}}
		}
		b, err := json.Marshal(a)
		if err != nil {
			return err
		}
		return each(r.Verb, b)
	}
}

func TestFetch(t *testing.T) {
	all := example(10, 10)
	old := map[string]any{"status": all.status, "conns": all.conns}
	s, err := fetch(context.Background(), fake(old))
	if err != nil || s.status.PID != 14741 || len(s.conns.Clients) != 3 || len(s.refused) != 4 {
		t.Fatalf("%v, %+v", err, s)
	}
	m := model{width: 100, height: 30, page: pageCerts}
	m.take(s, nil)
	if text := shown(t, m); !strings.Contains(text, `unknown verb "certs"`) || !strings.Contains(text, "p50 -") {
		t.Error(text)
	}
	if text := block(nil, s); strings.Contains(text, "CERTIFICATE") || !strings.Contains(text, "\nID ") || strings.ContainsAny(text, "\x1b\u202e\u05d0") {
		t.Error(text)
	}
	old["certs"], old["limits"], old["targets"], old["metrics"] = all.certs, all.limits, all.targets, all.metrics
	if s, err = fetch(context.Background(), fake(old)); err != nil || len(s.refused) > 0 || len(s.certs.Certificates) != 2 || len(s.metrics.Families) != 1 {
		t.Errorf("%v, %+v", err, s)
	}
	old["limits"] = "nonsense"
	if _, err := fetch(context.Background(), fake(old)); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Error(err)
	}
	if _, err := fetch(context.Background(), fake(nil)); err == nil || !strings.Contains(err.Error(), "unknown verb") {
		t.Error(err)
	}
	defer func() {
		if recover() != "a bug" {
			t.Error("a panic is lost")
		}
	}()
	fetch(context.Background(), func(context.Context, *control.Request, func(string, json.RawMessage) error) error { panic("a bug") })
}

func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"www.example.org": "www.example.org",
		"Bücher ΑΩ Яж":    "Bücher ΑΩ Яж",
		"\x1b[2J\a\u202e": `\x1b[2J\a\u202e`,
		"שלום":            `\u05e9\u05dc\u05d5\u05dd`,
		"e\u0301":         `e\u0301`,
		"漢\u200b\ufeff😀":  `\u6f22\u200b\ufeff\U0001f600`,
		"\xff":            `\xff`,
	} {
		if got := plain(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
