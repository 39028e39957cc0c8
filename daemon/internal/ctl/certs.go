package ctl

import (
	"context"
	"slices"

	"netserver/daemon/internal/wire"
	"netserver/internal/control"
)

// certs sends what Certs returns, some certificates at a time.
func (s *Server) certs(ctx context.Context, to *control.Answer) error {
	all := s.Certs(ctx)
	for len(all.Certificates) > partSeries {
		part := control.Certs{Certificates: all.Certificates[:partSeries], Silent: []control.Silent{}}
		if err := to.Send("certs", part); err != nil {
			return err
		}
		all.Certificates = all.Certificates[partSeries:]
	}
	return to.Send("certs", all)
}

// Certs returns the certificates that the newest process which answers serves:
// the others of its generation have the same.
func (s *Server) Certs(ctx context.Context) *control.Certs {
	c := &control.Certs{Certificates: []control.Certificate{}, Silent: []control.Silent{}}
	for _, m := range slices.Backward(s.target.Members()) {
		if !m.Ready {
			continue
		}
		list, err := s.certsOf(ctx, m)
		if err == nil {
			c.Certificates = append(c.Certificates, list...)
			break
		}
		noteSilent(m, err, &c.Silent)
	}
	return c
}

// certsOf returns the certificates of one process, page by page.
func (s *Server) certsOf(ctx context.Context, m wire.Member) (list []control.Certificate, err error) {
	for n := 0; n < wire.MaxCerts; {
		a, err := s.round(ctx, m, wire.Ask{What: wire.AskCerts, After: uint64(n)})
		if err != nil {
			return nil, err
		}
		for _, c := range a.Certs {
			list = append(list, c.Certificate)
		}
		if !a.More || a.Count <= n {
			break
		}
		n = a.Count
	}
	return list, nil
}
