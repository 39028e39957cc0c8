package worker

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"netserver"
	"netserver/daemon/internal/wire"
	"netserver/internal/metric"
)

const (
	countsAtOnce = 32 // ports in a message: less than a KiB each
	// countTime is how long what a worker has counted may be unknown to its
	// supervisor, and lost if it is killed.
	countTime = 5 * time.Second
)

// sendSamples sends the supervisor what this worker has counted beside outcomes.
// For that it looks at every client.
func (w *worker) sendSamples() {
	for _, m := range wire.MetricsMessages(w.samples()) {
		wire.Send(w.link, m)
	}
}

// sendCounts sends the supervisor the outcomes that this worker has counted.
func (w *worker) sendCounts(st netserver.Stats) {
	list := wire.CountsOf(st)
	for first := 0; first < len(list) || first == 0; first += countsAtOnce {
		status, c := w.status(), &wire.Counts{First: first, Ports: list[first:min(first+countsAtOnce, len(list))]}
		wire.Send(w.link, wire.Message{Op: wire.OpCounts, Counts: c, Status: &status})
	}
}

// samples returns what this worker has counted beside outcomes.
func (w *worker) samples() []metric.Sample {
	_, list := w.p.engine().Metrics()
	return slices.Concat(list, w.p.Samples())
}

// count sends them now and then, if they have changed, until done is closed:
// what a worker has counted that is killed should not be lost.
func (w *worker) count(done <-chan struct{}) {
	defer w.counting.Stop()
	var sent string
	for {
		select {
		case <-w.counting.C:
			st := w.p.Server.Monitor().Stats()
			list := slices.DeleteFunc(w.samples(), func(s metric.Sample) bool { return s.Family == metric.Goroutines }) // never the same
			b, _ := json.Marshal([]any{wire.CountsOf(st), w.status(), list})
			if string(b) != sent {
				w.sendSamples()
				w.sendCounts(st)
				sent = string(b)
			}
		case <-done:
			return
		}
	}
}

// answer answers what the supervisor asks for the control socket.
func (w *worker) answer(c wire.Message) {
	if c.Ask == nil {
		return
	}
	switch c.Ask.What { // before: who has the answer has these
	case wire.AskMetrics:
		w.counting.Reset(countTime)
		w.sendSamples()
		w.sendCounts(w.p.Server.Monitor().Stats())
	case wire.AskStats:
		w.sendCounts(w.p.Server.Monitor().Stats())
	}
	if c.Ask.What == wire.AskChallenges {
		wire.Send(w.link, wire.Message{Op: wire.OpAnswer, ID: c.ID, Answer: w.setChallenges(c.Ask.Challenges)})
		return
	}
	if c.Ask.What == wire.AskCerts {
		a := wire.CertsPage(w.p.Transports, w.p.ACMEDir, w.p.ACMEBy, *c.Ask)
		wire.Send(w.link, wire.Message{Op: wire.OpAnswer, ID: c.ID, Answer: &a})
		return
	}
	if c.Ask.What == wire.AskExplain {
		go w.explain(c) // which may wait for names
		return
	}
	a := wire.AnswerTo(w.p.Server.Monitor(), w.conf.HandlerName, w.p.Backends, *c.Ask)
	if w.clients != nil && c.Ask.What == wire.AskLift {
		w.clients.Lifted(c.Ask.Lift)
	}
	wire.Send(w.link, wire.Message{Op: wire.OpAnswer, ID: c.ID, Answer: &a})
	if w.clients != nil && c.Ask.What == wire.AskBan {
		w.clients.Hurry()
	}
}

// explainTime bounds looking up names for a question: less than the supervisor
// waits for its answer.
const explainTime = 1500 * time.Millisecond

// explain answers what would become of a client. A worker that takes no more
// has nothing to say of that.
func (w *worker) explain(c wire.Message) {
	var a wire.Answer
	if !w.status().Leaving {
		ctx, cancel := context.WithTimeout(context.Background(), explainTime)
		defer cancel()
		a = w.p.Explain(ctx, *c.Ask)
	}
	wire.Send(w.link, wire.Message{Op: wire.OpAnswer, ID: c.ID, Answer: &a})
}
