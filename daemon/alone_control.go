package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"time"

	"netserver/daemon/internal/serving"
	"netserver/daemon/internal/wire"
	"netserver/internal/control"
	"netserver/internal/metric"
)

// An alone is a program without a supervisor, as the control socket sees it.
type alone struct {
	p     *program
	log   *slog.Logger
	began time.Time
	done  <-chan struct{} // closed when it has served

	cluster *sharing // nil: nothing is shared
}

func (a *alone) Members() []wire.Member { return []wire.Member{{PID: os.Getpid(), Ready: true}} }

func (a *alone) Ended() <-chan struct{} { return a.done }

func (a *alone) Ask(ctx context.Context, _ wire.Member, q wire.Ask) (wire.Answer, error) {
	if q.What == wire.AskExplain {
		ports, _ := a.p.engine().Metrics()
		got := a.p.explainNow(ctx, q)
		got.NamePorts(ports)
		return got, refusedBy(got)
	}
	if q.What == wire.AskCerts {
		got := wire.CertsPage(a.p.transports, a.p.conf.ACME.config.Storage, a.p.conf.ACME.config.Kind(), q)
		ports, _ := a.p.engine().Metrics()
		got.NameCerts(ports, func(string) bool { return true })
		return got, nil
	}
	got := wire.AnswerTo(a.p.server.Monitor(), a.p.conf.handlerName(a.p.library), a.p.made.Backends(), q)
	if a.cluster != nil && q.What == wire.AskLift {
		a.cluster.clients.Lifted(q.Lift)
	}
	return got, refusedBy(got)
}

func refusedBy(a wire.Answer) error {
	if a.Failed != "" {
		return wire.RefusedError(a.Failed)
	}
	return nil
}

// explainNow answers wire.AskExplain.
func (p *program) explainNow(ctx context.Context, q wire.Ask) wire.Answer {
	return serving.ExplainNow(ctx, p.engine(), q)
}

// Metrics returns what this process has counted.
func (a *alone) Metrics() *metric.Set {
	set := new(metric.Set)
	ports, list := a.p.engine().Metrics()
	set.AddAll(list, ports)
	set.AddAll(a.p.samples(), nil)
	a.p.orders.AddTo(set)
	if st, _ := a.cluster.known(); st != nil {
		wire.AddClusterMetrics(set, st, time.Now())
	}
	set.Add(metric.StartTime, float64(a.began.UnixMilli())/1000)
	return set
}

// Remember has nothing to do: there is only this process.
func (a *alone) Remember(wire.Ask) {}

func (a *alone) Reload(context.Context, bool) (*control.Reload, error) {
	return nil, errors.New("a restart in place requires a supervisor; start the server with supervisor 1")
}

func (a *alone) Grace() time.Duration { return a.p.conf.graceTime() }

// End ends the server, as QUIT and TERM do.
func (a *alone) End(cut bool) {
	a.p.endingNow(a.log)
	if cut {
		a.p.engine().Stop()
	} else {
		a.p.stop()
	}
}

// Overview has one worker, number 0, which is this process.
func (a *alone) Overview() *control.Status {
	s := a.p.server.Monitor()
	st := s.Stats()
	w := control.Worker{PID: os.Getpid(), State: "serving", Uptime: wire.InSeconds(time.Since(a.began)), Clients: st.Clients}
	switch {
	case a.p.ending.Load():
		w.State = "ending"
	case !a.p.begun.Load():
		w.State = "starting"
	}
	t := make(wire.Tallies)
	var open []string
	for i, c := range wire.CountsOf(st) {
		name := st.Ports[i].Port.Short()
		sum := t.At(name)
		wire.AddCounts(sum.Outcomes, c.Outcomes)
		wire.AddCounts(sum.Refused, c.Refused)
		if w.State == "serving" {
			open = append(open, name)
		}
	}
	w.InHandler, w.Served = st.Serving, st.Served
	return &control.Status{
		PID: os.Getpid(), Version: Version(), Type: a.p.conf.Type, State: w.State, Uptime: w.Uptime,
		Generations: []control.Generation{{ID: 1, State: w.State, Workers: []control.Worker{w}}},
		Listeners:   t.Listeners(open),
		Cluster:     a.cluster.overview(),
	}
}

// samples returns what this process counts beside the engine.
func (p *program) samples() []metric.Sample {
	return append(wire.TargetSamples(p.made.Backends(), p.conf.targetNames()), wire.ProgramSamples(p.made.Starters())...)
}

// targetNames returns the targets that the configuration names, as metrics name
// them.
func (c *Config) targetNames() (list []wire.TargetName) {
	for _, t := range c.services.Targets() {
		backend := strings.TrimPrefix(t.Key, "the [[backend]] ")
		list = append(list, wire.TargetName{Backend: wire.ShortName(backend), Target: wire.ShortName(t.Address)})
	}
	return list
}
