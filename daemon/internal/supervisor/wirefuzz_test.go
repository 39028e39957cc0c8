package supervisor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"netserver/cluster"
	"netserver/daemon/internal/ctl"
	"netserver/daemon/internal/wire"
	"netserver/internal/control"
	"netserver/internal/metric"
	"netserver/port"
	"netserver/sock"
)

// A wireState is a supervisor with two workers, all of whose questions are
// open, and nothing outside this process.
type wireState struct {
	*supervisor
	w, other *child
	answers  map[uint64]chan wire.Answer
	asked    map[uint64]wire.Ask
}

func newWireState() *wireState {
	c := new(Settings)
	s := &wireState{answers: make(map[uint64]chan wire.Answer), asked: make(map[uint64]wire.Ask), supervisor: &supervisor{
		o: new(Options), conf: c, log: slog.New(slog.DiscardHandler), calls: make(chan func(), 1000), quit: make(chan struct{}),
		past: make(wire.Tallies), serving: true,
	}}
	s.cluster = &clusterProcess{helper: helper{s: s.supervisor}, others: new(cluster.Others), start: new(wire.Cluster), lastKeep: 2}
	s.cluster.keeps = map[uint64]*keptCall{1: {got: make(chan wire.Kept, 1)}, 2: {got: make(chan wire.Kept, 1), watch: true}}
	g := &generation{id: 1, conf: c, plan: &wire.Plan{Ports: make([]sock.Request, 2)}, workers: make(map[*child]struct{}), ready: true, client: time.Now()}
	for i := range g.plan.Ports {
		g.plan.Ports[i].Spec = port.Spec{Host: "127.0.0.1", Port: fmt.Sprint(i + 1), Proto: "tcp", IPv: "4"}
	}
	g.scale = Scale{Min: 1, Max: 2}
	s.gens = []*generation{g}
	s.supervisor.start = func(*generation) error { return nil }
	add := func(id int) *child {
		w := &child{kind: "worker", id: id, gen: g, began: time.Now(), outbox: make(chan wire.Message, 1000), ready: true}
		g.workers[w] = struct{}{}
		return w
	}
	s.w, s.other = add(1), add(2)
	for _, what := range []string{wire.AskStats, wire.AskClients, wire.AskKill, wire.AskLimits, wire.AskBoxed, wire.AskLift, wire.AskTargets, wire.AskTarget, wire.AskMetrics, wire.AskCerts, wire.AskExplain} {
		q, got := wire.Ask{What: what, N: 10}, make(chan wire.Answer, 1)
		id := s.w.asks.add(time.Now(), q, got)
		s.answers[id], s.asked[id] = got, q
	}
	return s
}

// members, overview, ask and so on make it what the control socket controls.
func (s *wireState) Members() []wire.Member {
	return []wire.Member{{ID: 1, PID: 1, Ready: true}}
}
func (s *wireState) Overview() *control.Status {
	return &control.Status{Listeners: s.tally().Listeners(s.gens[0].plan.PortNames())}
}
func (s *wireState) Ask(_ context.Context, _ wire.Member, q wire.Ask) (wire.Answer, error) {
	for id, have := range s.asked {
		if have.What == q.What {
			select {
			case a := <-s.answers[id]:
				return a, nil
			default:
			}
		}
	}
	return wire.Answer{}, wire.ErrGone
}
func (s *wireState) Metrics() *metric.Set {
	set := new(metric.Set)
	s.addMetrics(set)
	return set
}
func (s *wireState) Reload(context.Context, bool) (*control.Reload, error) { return nil, errEnding }
func (s *wireState) End(bool)                                              {}
func (s *wireState) Grace() time.Duration                                  { return 0 }
func (s *wireState) Ended() <-chan struct{}                                { return s.quit }

// FuzzWorkerMessages: whatever a process says, line by line, the supervisor
// neither panics nor believes what cannot be, and what it shows of it to people
// is text.
func FuzzWorkerMessages(f *testing.F) {
	for _, m := range []wire.Message{
		{Op: wire.OpReady, Sandbox: "x", Lines: []string{"a", "b"}},
		{Op: wire.OpFailed, Lines: []string{"no"}},
		{Op: wire.OpRead, ID: 1, Path: "/etc/passwd", Dir: true},
		{Op: wire.OpLoad, ID: 1, Path: "/a", Key: "/b", Have: make([]byte, 32)},
		{Op: wire.OpExit},
		{Op: wire.OpStatus, Status: &wire.Status{Clients: 1, Serving: 1, Total: 3, Leaving: true}},
		{Op: wire.OpCounts, Counts: &wire.Counts{First: 1, Ports: []wire.PortCount{{Outcomes: map[string]uint64{"served": 2}}}}},
		{Op: wire.OpAnswer, ID: 1, Answer: &wire.Answer{Count: 1, Handshakes: control.Handshakes{Shed: 1}}},
		{Op: wire.OpAnswer, ID: 2, Answer: &wire.Answer{Count: 1, More: true, Clients: []control.Client{{ID: "1", Peer: "\x1b[2J", Since: time.Now()}, {ID: "2"}}}},
		{Op: wire.OpAnswer, ID: 4, Answer: &wire.Answer{Limits: []control.Limit{{Key: "max_clients"}}, Sources: []control.Source{{Network: "127.0.0.1", Clients: 3}}}},
		{Op: wire.OpAnswer, ID: 5, Answer: &wire.Answer{Boxed: []control.Boxed{{Network: "::1", Left: 2, Offences: 1}}}},
		{Op: wire.OpMetrics, Metrics: []metric.Sample{{Family: metric.HandlerTime, Port: 1, Hist: &metric.Sparse{Sum: 1, Index: []int{1}, N: []uint64{2}}}, {Family: metric.Goroutines, Value: 3}}},
		{Op: wire.OpAnswer, ID: 11, Answer: &wire.Answer{Count: 1, Explained: []wire.Explained{{Place: 1, ExplainedPort: control.ExplainedPort{Port: "x", Workers: []int{9}, Refused: []string{"\x1b[2J"},
			Limits: []control.ExplainedLimit{{Key: "max_per_source", Use: 1, Value: 2}}, Penalty: &control.Boxed{Network: "::1"}, Route: &control.ExplainedRoute{Name: "a", Why: "\u202e"},
			TLS: &control.ExplainedTLS{Certificate: "c"}, Targets: []control.Reachable{{Target: "t"}}}}}}},
		{Op: wire.OpAnswer, ID: 2, Answer: &wire.Answer{Page: []byte("\x01\x01x\x00\x02\x1b[\x00\x00\x00\x00\x01\x01\x01\x01\x00")}},
		{Op: wire.OpPlan, Plan: &wire.Plan{}},
		{Op: wire.OpShare, Shared: &wire.Shared{First: true, Last: true, Counts: cluster.Counts{{Prefix: netip.MustParsePrefix("192.0.2.1/32"), Conns: 3}}, Bans: []cluster.Ban{{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Left: time.Minute}}}},
		{Op: wire.OpShare, Shared: &wire.Shared{Last: true, Targets: cluster.Findings{{ID: 2, Down: true}, {ID: 4}}}},
		{Op: wire.OpNews, News: goodNews()},
		{Op: wire.OpKept, ID: 1, Kept: &wire.Kept{Data: []byte("x"), Rev: 1}},
		{Op: wire.OpKept, ID: 2, Kept: &wire.Kept{Events: []wire.KeptEvent{{Key: "acme/x/cert/a", Data: []byte("x"), Rev: 1}, {Synced: true}}}},
		{Op: wire.OpKept, ID: 2, Kept: &wire.Kept{Failed: wire.KeptMissing}},
	} {
		b, _ := json.Marshal(m)
		f.Add(b, byte(wire.FromWorker))
		f.Add(append(append(b, '\n'), b...), byte(wire.FromWorker))
		f.Add(b, byte(wire.FromJob))
		f.Add(b, byte(wire.FromCheck))
		f.Add(b, byte(wire.FromAdmin))
		f.Add(b, byte(wire.FromCluster))
	}
	f.Add([]byte(`{"Op":"counts","Counts":{"First":9223372036854775807,"Ports":[{},{}]}}`), byte(wire.FromWorker))
	f.Add([]byte(`{"Op":"status","op":"exit","Status":{"Total":18446744073709551615}}`), byte(wire.FromWorker))
	f.Fuzz(func(t *testing.T, said []byte, from byte) {
		s := newWireState()
		defer s.gens[0].stopTimers()
		src := wire.Peer{Sender: wire.Sender(from % 5), Ports: 2, Exit: true}
		for _, b := range bytes.Split(said, []byte("\n")) {
			m, err := src.Read(b)
			if err == wire.ErrSkip {
				continue
			}
			if err != nil {
				checkText(t, "error", err.Error())
				break // it is killed
			}
			checkMessage(t, src, m)
			if src.Sender == wire.FromCluster && s.cluster.hear(s.w, m) != nil {
				break
			}
			if src.Sender != wire.FromWorker {
				continue
			}
			if m.Op == wire.OpRead || m.Op == wire.OpLoad {
				continue // the files have tests of their own
			}
			if s.hear(s.w, m) != nil {
				break
			}
		}
		s.checkShown(t)
		s.w.broke = true // no process is behind it
		s.reap(s.w, "signal: killed")
		s.checkShown(t)
	})
}

// checkMessage looks at a message that was found good.
func checkMessage(t *testing.T, src wire.Peer, m wire.Message) {
	t.Helper()
	if !src.May(m.Op) {
		t.Errorf("%q from a %s", m.Op, src)
	}
	if src.Sender != wire.FromCheck && (m.Plan != nil || m.Contents != nil) || m.Init != nil || m.Identity != nil || m.Leave != nil || m.Ask != nil || m.Keep != nil || m.Pair != nil || m.Paths != nil {
		t.Errorf("%q has what only a supervisor says", m.Op)
	}
	for _, l := range append(m.Lines, m.Sandbox) {
		checkText(t, m.Op, l)
	}
}

// checkText fails for what would do something to a terminal or a log.
func checkText(t *testing.T, what, s string) {
	t.Helper()
	if i := strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x202e }); i >= 0 || len(s) > wire.MaxLineBytes+1000 {
		t.Errorf("%s shows %q", what, s[:min(len(s), 200)])
	}
}

// checkShown has a controller make its answers of what the worker has said.
func (s *wireState) checkShown(t *testing.T) {
	t.Helper()
	k := ctl.New(s.log, s)
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
		show("status", k.Status(ctx))
		show("metrics", k.Metrics(ctx))
		show("certs", k.Certs(ctx))
		explained, _ := k.Explain(ctx, &control.Request{Peer: "192.0.2.1"})
		show("explain", explained)
	}
	show("overview", s.Overview())
	show("cluster", s.cluster.overview())
	show("limits", k.Limits(ctx, 10))
	show("penalties", k.Penalties(ctx))
	show("targets", k.Targets(ctx, ""))
	a, err := s.Ask(ctx, wire.Member{}, wire.Ask{What: wire.AskClients})
	if err == nil {
		show("conns", a)
	}
	var sum uint64
	for _, c := range s.tally() {
		for _, n := range c.Outcomes {
			if sum += n; n > 4*wire.MaxTally {
				t.Errorf("a counter of %d", n)
			}
		}
		if len(c.Outcomes) > wire.MaxCounted+100 {
			t.Errorf("%d counters", len(c.Outcomes))
		}
	}
	if s.w.status.Clients < 0 || s.w.status.Serving < 0 || s.total > 4*wire.MaxTally {
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
	if err := s.listenTo(s.w, wire.Peer{}, 1, nil); err == nil || !strings.Contains(err.Error(), "panic in the supervisor, which continues") {
		t.Error(err)
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
	if linkEnded(wire.ErrUnreadable) || linkEnded(wire.ErrSkip) {
		t.Error("a bad message is an end")
	}
}
