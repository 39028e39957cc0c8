package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"netserver/internal/control"
)

// An alone is a program without a supervisor as the control socket's
// controller sees it.
type alone struct {
	p     *program
	log   *slog.Logger
	began time.Time
	done  <-chan struct{} // closed when it has served
}

func (a *alone) members() []member { return []member{ownProcess()} }

func (a *alone) ended() <-chan struct{} { return a.done }

func (a *alone) ask(_ context.Context, _ member, q ask) (answer, error) {
	got := answerTo(a.p.server, a.p.conf.handlerName(a.p.library), q)
	if got.Failed != "" {
		return got, errors.New(got.Failed)
	}
	return got, nil
}

func (a *alone) reload(context.Context, bool) (*control.Reload, error) {
	return nil, errors.New("without a supervisor there is no restart in place; start the server with supervisor 1")
}

func (a *alone) grace() time.Duration { return a.p.conf.graceTime() }

// end ends the server, as QUIT and TERM do.
func (a *alone) end(cut bool) {
	a.p.endingNow(a.log)
	if cut {
		a.p.server.Close()
	} else {
		a.p.stop()
	}
}

// overview has one worker, number 0, which is this process.
func (a *alone) overview() *control.Status {
	s := a.p.server
	st := s.Stats()
	w := control.Worker{PID: os.Getpid(), State: "serving", Uptime: inSeconds(time.Since(a.began)), Clients: st.Clients}
	if a.p.ending.Load() {
		w.State = "ending"
	}
	t := make(tallies)
	var open []string
	for i, c := range countsOf(st) {
		name := st.Ports[i].Port.Short()
		sum := t.at(name)
		addCounts(sum.Outcomes, c.Outcomes)
		addCounts(sum.Refused, c.Refused)
		if w.State == "serving" {
			open = append(open, name)
		}
	}
	w.InHandler, w.Served = st.Serving, st.Served
	return &control.Status{
		PID: os.Getpid(), Version: Version(), Type: a.p.conf.Type, State: w.State, Uptime: w.Uptime,
		Generations: []control.Generation{{ID: 1, State: w.State, Workers: []control.Worker{w}}},
		Listeners:   t.listeners(open),
	}
}
