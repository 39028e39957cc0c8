package ctl

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"netserver/access"
	"netserver/daemon/internal/wire"
	"netserver/internal/admit"
	"netserver/internal/control"
)

// explain sends what each worker says would become of a client, a part for each
// of them.
func (s *Server) explain(ctx context.Context, r *control.Request, to *control.Answer) error {
	parts, err := s.Explain(ctx, r)
	for _, p := range parts {
		if err == nil {
			err = to.Send("explain", p)
		}
	}
	return err
}

// Explain asks all workers what would become of a client.
func (s *Server) Explain(ctx context.Context, r *control.Request) ([]control.Explained, error) {
	peer, err := control.ParsePeer(r.Peer)
	if err != nil {
		return nil, err
	}
	ms := s.target.Members()
	parts, errs := make([]control.Explained, len(ms)), make([]error, len(ms))
	var wg sync.WaitGroup
	for i, m := range ms {
		parts[i] = aboutPeer(peer)
		if m.Ready {
			wg.Go(func() { errs[i] = s.explainBy(ctx, m, r, &parts[i]) })
		}
	}
	wg.Wait()
	some := false
	for i := range parts {
		if errs[i] != nil {
			noteSilent(ms[i], errs[i], &parts[i].Silent)
		}
		some = some || len(parts[i].Ports)+len(parts[i].Silent) > 0
	}
	if refused := wire.RefusedError(""); errors.As(errors.Join(errs...), &refused) {
		return nil, refused
	}
	if !some {
		return nil, noPort(r)
	}
	return parts, nil
}

func noPort(r *control.Request) error {
	if r.Port != "" {
		return fmt.Errorf("there is no port %s that takes clients, or not such clients (status lists the ports)", r.Port)
	}
	return errors.New("there is no port that takes such clients")
}

// aboutPeer says how limits count a client.
func aboutPeer(peer access.Peer) control.Explained {
	e := control.Explained{Peer: control.PeerText(peer), Ports: []control.ExplainedPort{}, Silent: []control.Silent{}}
	if peer.IP.IsValid() {
		source, network := admit.Tiers(peer.IP)
		e.Source, e.Network = wire.NetworkText(source), network.String()
	}
	return e
}

// explainBy asks one worker, page by page.
func (s *Server) explainBy(ctx context.Context, m wire.Member, r *control.Request, to *control.Explained) error {
	q := wire.Ask{What: wire.AskExplain, About: &wire.About{Peer: r.Peer, SNI: r.SNI, ALPN: r.ALPN, Port: r.Port}}
	for len(to.Ports) < control.MaxExplained {
		a, err := s.round(ctx, m, q)
		if err != nil {
			return err
		}
		for _, e := range a.Explained {
			e.Workers = []int{m.ID}
			to.Ports = append(to.Ports, e.ExplainedPort)
		}
		if !a.More || uint64(a.Count) <= q.After {
			break
		}
		q.After = uint64(a.Count)
	}
	return nil
}
