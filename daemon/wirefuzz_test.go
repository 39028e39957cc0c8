package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"netserver/internal/control"
	"netserver/port"
	"netserver/sock"
)

// A wireState is a supervisor with two workers, all of whose questions are
// open, and nothing outside this process.
type wireState struct {
	*supervisor
	w, other *child
	answers  map[uint64]chan answer
	asked    map[uint64]ask
}

func newWireState() *wireState {
	c := &Config{Type: typePreFork}
	s := &wireState{answers: make(map[uint64]chan answer), asked: make(map[uint64]ask), supervisor: &supervisor{
		v: new(invocation), conf: c, log: slog.New(slog.DiscardHandler), calls: make(chan func(), 1000), quit: make(chan struct{}),
		past: make(tallies), serving: true,
	}}
	g := &generation{id: 1, conf: c, plan: &plan{Ports: make([]sock.Request, 2)}, workers: make(map[*child]struct{}), ready: true, client: time.Now()}
	for i := range g.plan.Ports {
		g.plan.Ports[i].Spec = port.Spec{Host: "127.0.0.1", Port: fmt.Sprint(i + 1), Proto: "tcp", IPv: "4"}
	}
	g.scale = scale{min: 1, max: 2}
	s.gens = []*generation{g}
	s.supervisor.start = func(*generation) error { return nil }
	add := func(id int) *child {
		w := &child{kind: "worker", id: id, gen: g, began: time.Now(), outbox: make(chan message, 1000), ready: true}
		g.workers[w] = struct{}{}
		return w
	}
	s.w, s.other = add(1), add(2)
	for _, what := range []string{askStats, askClients, askKill, askLimits, askBoxed, askLift} {
		q, got := ask{What: what, N: 10}, make(chan answer, 1)
		id := s.w.asks.add(time.Now(), q, got)
		s.answers[id], s.asked[id] = got, q
	}
	return s
}

// members, overview, ask and so on make it what a controller controls.
func (s *wireState) members() []member {
	return []member{{id: 1, pid: 1, ready: true}}
}
func (s *wireState) overview() *control.Status {
	return &control.Status{Listeners: s.tally().listeners(s.gens[0].plan.portNames())}
}
func (s *wireState) ask(_ context.Context, _ member, q ask) (answer, error) {
	for id, have := range s.asked {
		if have.What == q.What {
			select {
			case a := <-s.answers[id]:
				return a, nil
			default:
			}
		}
	}
	return answer{}, errGone
}
func (s *wireState) reload(context.Context, bool) (*control.Reload, error) { return nil, errEnding }
func (s *wireState) end(bool)                                              {}
func (s *wireState) grace() time.Duration                                  { return 0 }
func (s *wireState) ended() <-chan struct{}                                { return s.quit }

// FuzzWorkerMessages: whatever a process says, line by line, the supervisor
// neither panics nor believes what cannot be, and what it shows of it to people
// is text.
func FuzzWorkerMessages(f *testing.F) {
	for _, m := range []message{
		{Op: opReady, Fence: "x", Lines: []string{"a", "b"}},
		{Op: opFailed, Lines: []string{"no"}},
		{Op: opRead, ID: 1, Path: "/etc/passwd", Dir: true},
		{Op: opLoad, ID: 1, Path: "/a", Key: "/b", Have: make([]byte, 32)},
		{Op: opExit},
		{Op: opStatus, Status: &status{Clients: 1, Serving: 1, Total: 3, Leaving: true}},
		{Op: opCounts, Counts: &counts{First: 1, Ports: []portCount{{Outcomes: map[string]uint64{"served": 2}}}}},
		{Op: opAnswer, ID: 1, Answer: &answer{Count: 1, Handshakes: control.Handshakes{Shed: 1}}},
		{Op: opAnswer, ID: 2, Answer: &answer{Count: 1, More: true, Clients: []control.Client{{ID: "1", Peer: "\x1b[2J", Since: time.Now()}, {ID: "2"}}}},
		{Op: opAnswer, ID: 4, Answer: &answer{Limits: []control.Limit{{Key: "max_clients"}}, Sources: []control.Source{{Network: "127.0.0.1", Clients: 3}}}},
		{Op: opAnswer, ID: 5, Answer: &answer{Boxed: []control.Boxed{{Network: "::1", Left: 2, Offences: 1}}}},
		{Op: opPlan, Plan: &plan{}},
	} {
		b, _ := json.Marshal(m)
		f.Add(b, byte(fromWorker))
		f.Add(append(append(b, '\n'), b...), byte(fromWorker))
		f.Add(b, byte(fromJob))
		f.Add(b, byte(fromCheck))
	}
	f.Add([]byte(`{"Op":"counts","Counts":{"First":9223372036854775807,"Ports":[{},{}]}}`), byte(fromWorker))
	f.Add([]byte(`{"Op":"status","op":"exit","Status":{"Total":18446744073709551615}}`), byte(fromWorker))
	f.Fuzz(func(t *testing.T, said []byte, from byte) {
		s := newWireState()
		defer s.gens[0].stopTimers()
		src := source{sender: sender(from % 3), ports: 2, exit: true}
		for _, b := range bytes.Split(said, []byte("\n")) {
			m, err := src.read(b)
			if err == errSkip {
				continue
			}
			if err != nil {
				checkText(t, "error", err.Error())
				break // it is killed
			}
			checkMessage(t, src, m)
			if src.sender != fromWorker {
				continue
			}
			if m.Op == opRead || m.Op == opLoad {
				continue // the files have tests of their own
			}
			if s.hear(s.w, m) != nil {
				break
			}
		}
		s.checkShown(t)
		s.w.broke = true // no process is behind it
		s.bury(s.w, "signal: killed")
		s.checkShown(t)
	})
}

// checkMessage looks at a message that was found good.
func checkMessage(t *testing.T, src source, m message) {
	t.Helper()
	if !slices.Contains(rules[m.Op].from, src.sender) {
		t.Errorf("%q from a %s", m.Op, src)
	}
	if src.sender != fromCheck && (m.Plan != nil || m.Contents != nil) || m.Init != nil || m.Identity != nil || m.Leave != nil || m.Ask != nil || m.Pair != nil || m.Paths != nil {
		t.Errorf("%q has what only a supervisor says", m.Op)
	}
	for _, l := range append(m.Lines, m.Fence) {
		checkText(t, m.Op, l)
	}
}

// checkText fails for what would do something to a terminal or a log.
func checkText(t *testing.T, what, s string) {
	t.Helper()
	if i := strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x202e }); i >= 0 || len(s) > maxSaid+1000 {
		t.Errorf("%s shows %q", what, s[:min(len(s), 200)])
	}
}

// checkShown has a controller make its answers of what the worker has said.
func (s *wireState) checkShown(t *testing.T) {
	t.Helper()
	k := &controller{backend: s, log: s.log, rounds: make(chan struct{}, 1)}
	ctx := context.Background()
	show := func(what string, v any) {
		b, err := json.Marshal(v)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		var back any
		json.Unmarshal(b, &back)
		walkText(back, func(text string) { checkText(t, what, text) })
	}
	if len(s.answers[1]) > 0 { // it looks at /proc too
		show("status", k.status(ctx))
	}
	show("overview", s.overview())
	show("limits", k.limits(ctx, 10))
	show("penalties", k.penalties(ctx))
	a, err := s.ask(ctx, member{}, ask{What: askClients})
	if err == nil {
		show("conns", a)
	}
	var sum uint64
	for _, c := range s.tally() {
		for _, n := range c.Outcomes {
			if sum += n; n > 4*maxTally {
				t.Errorf("a counter of %d", n)
			}
		}
		if len(c.Outcomes) > maxCounted+100 {
			t.Errorf("%d counters", len(c.Outcomes))
		}
	}
	if s.w.status.Clients < 0 || s.w.status.Serving < 0 || s.total > 4*maxTally {
		t.Errorf("%+v, total %d", s.w.status, s.total)
	}
}

func walkText(v any, f func(string)) {
	switch v := v.(type) {
	case string:
		f(v)
	case []any:
		for _, e := range v {
			walkText(e, f)
		}
	case map[string]any:
		for k, e := range v {
			f(k)
			walkText(e, f)
		}
	}
}

// A panic of the supervisor's own code, about what one worker said, ends that
// worker.
func TestPanicEndsOneWorker(t *testing.T) {
	s := newWireState()
	var log bytes.Buffer
	s.log = slog.New(slog.NewTextHandler(&log, nil))
	s.w.broke = true // it is not killed twice
	s.obeyed(s.w, func() error { panic("index out of range") })
	s.w.broke = false
	if err := s.listenTo(s.w, source{}, 1, nil); err == nil || !strings.Contains(err.Error(), "panic in the supervisor, which goes on") {
		t.Error(err)
	}
}

func TestClean(t *testing.T) {
	for _, tc := range [][2]string{
		{"plain", "plain"}, {"", ""}, {"Zürich", "Zürich"},
		{"a\nb\x1b[2J\x7f", "a%0Ab%1B[2J%7F"}, {"\xff\u202e\u0085", "%FF%E2%80%AE%C2%85"},
	} {
		if got := clean(tc[0], 100); got != tc[1] {
			t.Errorf("%q becomes %q", tc[0], got)
		}
	}
	if got := clean(strings.Repeat("ü\x00", 100), 10); got != "ü%00ü%00" {
		t.Errorf("%q", got)
	}
}

// linkEnded keeps the usual end of a process out of the log.
func TestLinkEnded(t *testing.T) {
	a, b := net.Pipe()
	b.Close()
	_, werr := a.Write([]byte("x"))
	_, rerr := a.Read(make([]byte, 1))
	for _, err := range []error{io.EOF, io.ErrUnexpectedEOF, werr, rerr} {
		if !linkEnded(err) {
			t.Errorf("%v is no end", err)
		}
	}
	if linkEnded(errUnreadable) || linkEnded(errSkip) {
		t.Error("a bad message is an end")
	}
}
