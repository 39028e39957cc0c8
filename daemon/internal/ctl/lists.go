package ctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"netserver/daemon/internal/wire"
	"netserver/internal/control"
	"netserver/internal/proc"
)

// Status tells how the server is. What workers know is asked first, so that
// the overview has it.
func (s *Server) Status(ctx context.Context) *control.Status {
	silent := []control.Silent{}
	answers := s.all(ctx, wire.Ask{What: wire.AskStats}, &silent)
	st := s.target.Overview()
	st.Silent = silent
	answering := make(map[int]bool)
	for _, g := range answers {
		answering[g.m.ID] = true
		h := g.a.Handshakes
		st.Handshakes.Unfinished += h.Unfinished
		st.Handshakes.Waiting += h.Waiting
		st.Handshakes.Running += h.Running
		st.Handshakes.Sources += h.Sources
		st.Handshakes.Shed += h.Shed
	}
	mine := proc.UsageOf(st.PID)
	st.Memory, st.Descriptors = mine.Memory, mine.Descriptors
	for _, g := range st.Generations {
		for i := range g.Workers {
			w := &g.Workers[i]
			w.Answers = answering[w.ID]
			u := mine
			if w.PID != st.PID {
				u = proc.UsageOf(w.PID)
				st.Memory = sumOf(st.Memory, u.Memory)
				st.Descriptors = sumOf(st.Descriptors, u.Descriptors)
			}
			w.Memory, w.Descriptors = u.Memory, u.Descriptors
			st.Clients += w.Clients
			st.InHandler += w.InHandler
			st.Served += w.Served
		}
	}
	return st
}

// sumOf adds numbers of which nil is unknown.
func sumOf[T int | int64](a, b *T) *T {
	if a == nil || b == nil {
		return a
	}
	n := *a + *b
	return &n
}

// conns sends the clients, a page of one worker after the other: nobody ever
// holds them all.
func (s *Server) conns(ctx context.Context, r *control.Request, to *control.Answer) error {
	var after control.ID
	if r.After != "" {
		after, _ = control.ParseID(r.After)
	}
	list := lister{s: s, to: to, left: limitOr(r.Limit, control.DefaultConns), end: control.Conns{Clients: []control.Client{}, Silent: []control.Silent{}}}
	for _, m := range s.target.Members() {
		if !m.Ready || m.ID < after.Worker {
			continue
		}
		from := uint64(0)
		if m.ID == after.Worker {
			from = after.Client
		}
		if err := list.worker(ctx, m, from); err != nil {
			return err
		}
		if list.end.More {
			break
		}
	}
	return to.Send("conns", list.end)
}

// A lister sends clients until it has sent as many as were asked for.
type lister struct {
	s    *Server
	to   *control.Answer
	left int
	end  control.Conns // how the list ends
}

func (l *lister) worker(ctx context.Context, m wire.Member, after uint64) error {
	for {
		// One more than is wanted tells whether there are more.
		a, err := l.s.round(ctx, m, wire.Ask{What: wire.AskClients, After: after, N: min(l.left+1, wire.MaxPage)})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			noteSilent(m, err, &l.end.Silent)
			return nil
		}
		page := control.Conns{Clients: []control.Client{}, Silent: []control.Silent{}}
		for _, c := range a.Clients[:min(len(a.Clients), wire.MaxPage)] {
			id, err := strconv.ParseUint(c.ID, 10, 64)
			if err != nil || id <= after {
				return fmt.Errorf("worker %d answered out of order", m.ID)
			}
			if l.left == 0 {
				l.end.More = true
				break
			}
			after = id
			l.left--
			page.Clients = append(page.Clients, m.Own(c))
		}
		if len(page.Clients) > 0 {
			l.end.Next = page.Clients[len(page.Clients)-1].ID
			if err := l.to.Send("conns", page); err != nil {
				return err
			}
		}
		if l.end.More || !a.More || len(a.Clients) == 0 {
			return nil
		}
	}
}

// Limits adds up the limits' use. Their values are those of the newest worker.
func (s *Server) Limits(ctx context.Context, top int) *control.Limits {
	l := &control.Limits{Limits: []control.Limit{}, Silent: []control.Silent{}}
	type key struct{ key, port string }
	at := make(map[key]int)
	clients := make(map[string]int)
	for _, g := range slices.Backward(s.all(ctx, wire.Ask{What: wire.AskLimits, N: min(4*top, wire.MaxTop)}, &l.Silent)) {
		l.Processes++
		for _, m := range g.a.Limits[:min(len(g.a.Limits), wire.MaxLimitRows)] {
			i, ok := at[key{m.Key, m.Port}]
			if !ok {
				at[key{m.Key, m.Port}] = len(l.Limits)
				m.Most = m.Use
				l.Limits = append(l.Limits, m)
				continue
			}
			sum := &l.Limits[i]
			sum.Refused += m.Refused
			if m.Use != nil && sum.Use != nil {
				use, most := *sum.Use+*m.Use, max(*sum.Most, *m.Use)
				sum.Use, sum.Most = &use, &most
			}
		}
		for _, src := range g.a.Sources[:min(len(g.a.Sources), wire.MaxTop)] {
			clients[src.Network] += src.Clients
		}
	}
	l.Sources = topSources(clients, top)
	return l
}

func topSources(clients map[string]int, n int) []control.Source {
	list := []control.Source{}
	for _, name := range slices.Sorted(maps.Keys(clients)) {
		list = append(list, control.Source{Network: name, Clients: clients[name]})
	}
	slices.SortStableFunc(list, func(a, b control.Source) int { return cmp.Compare(b.Clients, a.Clients) })
	return list[:min(n, len(list))]
}

// Penalties puts the penalty boxes of all workers together.
func (s *Server) Penalties(ctx context.Context) *control.Penalties {
	p := &control.Penalties{Boxed: []control.Boxed{}, Silent: []control.Silent{}}
	boxed := make(map[string]control.Boxed)
	for _, g := range s.all(ctx, wire.Ask{What: wire.AskBoxed}, &p.Silent) {
		p.More = p.More || g.a.More
		for _, b := range g.a.Boxed[:min(len(g.a.Boxed), wire.MaxBoxed)] {
			sum, ok := boxed[b.Network]
			if !ok {
				sum.Network = b.Network
			}
			sum.Left, sum.Offences = max(sum.Left, b.Left), max(sum.Offences, b.Offences)
			sum.Processes++
			boxed[b.Network] = sum
		}
	}
	for _, name := range slices.Sorted(maps.Keys(boxed)) {
		p.Boxed = append(p.Boxed, boxed[name])
	}
	slices.SortStableFunc(p.Boxed, func(a, b control.Boxed) int { return cmp.Compare(b.Left, a.Left) })
	if len(p.Boxed) > control.MaxSources {
		p.Boxed, p.More = p.Boxed[:control.MaxSources], true
	}
	return p
}

// lift takes a network out of all penalty boxes.
func (s *Server) lift(ctx context.Context, r *control.Request, to *control.Answer) error {
	p, err := control.ParseNetwork(r.Network)
	if err != nil {
		return err
	}
	l := control.Lifted{Network: wire.NetworkText(p), Silent: []control.Silent{}}
	number := s.target.Lifted(p)
	for _, g := range s.all(ctx, wire.Ask{What: wire.AskLift, Network: p.String(), Lift: number}, &l.Silent) {
		l.Lifted += g.a.Lifted
	}
	return to.Send("lift", l)
}

// ban puts a network into the penalty boxes of all workers that serve now.
func (s *Server) ban(ctx context.Context, r *control.Request, to *control.Answer) error {
	p, err := control.ParseNetwork(r.Network)
	if err != nil {
		return err
	}
	b := control.Banned{Network: wire.NetworkText(p), Seconds: float64(cmp.Or(r.Seconds, control.DefaultBan)), Silent: []control.Silent{}}
	q := wire.Ask{What: wire.AskBan, Network: p.String(), N: int(b.Seconds)}
	var failed error
	for _, m := range s.target.Members() {
		if !m.Ready {
			continue
		}
		_, err := s.round(ctx, m, q)
		switch refused := wire.RefusedError(""); {
		case err == nil:
			b.Processes++
		case errors.As(err, &refused):
			failed = err
		default:
			noteSilent(m, err, &b.Silent)
		}
	}
	switch {
	case b.Processes == 0 && failed != nil:
		return failed
	case b.Processes == 0:
		return errors.New("no process has answered")
	}
	return to.Send("ban", b)
}
