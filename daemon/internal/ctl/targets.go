package ctl

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"netserver/daemon/internal/wire"
	"netserver/internal/control"
)

// Targets puts the targets of all workers together: counts are added up, and
// states are those of the newest one.
func (s *Server) Targets(ctx context.Context, backend string) *control.Targets {
	l := &control.Targets{Targets: []control.Target{}, Silent: []control.Silent{}}
	type key struct{ backend, target, address string }
	at := make(map[key]int)
	for _, m := range slices.Backward(s.target.Members()) {
		if !m.Ready {
			continue
		}
		list, more, err := s.targetsOf(ctx, m, backend)
		if err != nil {
			noteSilent(m, err, &l.Silent)
		}
		l.More = l.More || more
		for _, t := range list {
			k := key{t.Backend, t.Target, t.Address}
			i, ok := at[k]
			switch {
			case ok:
				sum := &l.Targets[i]
				sum.Clients += t.Clients
				sum.Connected += t.Connected
				sum.Failed += t.Failed
				sum.Checks += t.Checks
				sum.Faults += t.Faults
				sum.Processes++
				sum.Up += t.Up
			case len(l.Targets) == control.MaxTargets:
				l.More = true
			default:
				at[k] = len(l.Targets)
				l.Targets = append(l.Targets, t)
			}
		}
	}
	return l
}

// targetsOf returns the targets of one worker, page by page.
func (s *Server) targetsOf(ctx context.Context, m wire.Member, backend string) (list []control.Target, more bool, err error) {
	for {
		a, err := s.round(ctx, m, wire.Ask{What: wire.AskTargets, Backend: backend, After: uint64(len(list))})
		if err != nil {
			return list, false, err
		}
		list = append(list, a.Targets...)
		switch {
		case !a.More || len(a.Targets) == 0:
			return list, false, nil
		case len(list) >= control.MaxTargets:
			return list, true, nil
		}
	}
}

// changeTarget adds, drains or removes a target in all workers, and in those
// that start later.
func (s *Server) changeTarget(ctx context.Context, r *control.Request, to *control.Answer) error {
	q := wire.Ask{What: wire.AskTarget, Change: r.Change, Backend: r.Backend, Target: r.Target}
	c := control.TargetChanged{Change: r.Change, Backend: r.Backend, Target: r.Target, Silent: []control.Silent{}}
	var failed error
	for _, m := range s.target.Members() {
		if !m.Ready {
			continue
		}
		_, err := s.round(ctx, m, q)
		var refused wire.RefusedError
		switch {
		case err == nil:
			c.Processes++
		case errors.As(err, &refused):
			failed = err // the same in all of them, as a rule
		default:
			noteSilent(m, err, &c.Silent)
		}
	}
	switch {
	case c.Processes == 0 && failed != nil:
		return failed
	case c.Processes == 0:
		return fmt.Errorf("no process has answered")
	}
	s.target.Remember(q)
	return to.Send("target", c)
}
