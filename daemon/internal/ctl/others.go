package ctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"netserver/daemon/internal/wire"
	"netserver/internal/control"
)

const (
	othersLook = 200 * time.Millisecond // between two looks whether this server may drain
	othersTell = 5 * time.Second        // between two lines about why not, if they are the same
)

// awaitOthers waits until this server may drain: another of its cluster is ready
// and serves the same ports, and no other drains. An error is that it does not
// drain. Who asks and goes away before that has not asked.
func (s *Server) awaitOthers(ctx context.Context, r *control.Request, to *control.Answer) error {
	switch c := s.target.Overview().Cluster; {
	case c == nil:
		return errors.New("not drained: this server is in no cluster, and so knows of no others: the key cluster is not set")
	case !c.StoreUp:
		return errors.New("not drained: the store of the cluster does not answer, and nobody can say how the others are; drain without --when-others-ready does not ask")
	}
	limit := time.Duration(cmp.Or(r.Timeout, control.DefaultOthers)) * time.Second
	began, told := time.Now(), time.Time{}
	look := control.Waiting{Timeout: limit.Seconds()}
	s.target.AskToLeave(true)
	defer func() {
		if !look.Ready {
			s.target.AskToLeave(false)
		}
	}()
	t := time.NewTicker(othersLook)
	defer t.Stop()
	for {
		may, why := s.target.MayLeave()
		now := time.Now()
		over := now.Sub(began) >= limit
		if may || over || why != look.Why || now.Sub(told) >= othersTell {
			look.Elapsed, look.Why, look.Ready, told = wire.InSeconds(now.Sub(began)), why, may, now
			if err := to.Send("waiting", look); err != nil {
				look.Ready = false
				return err
			}
		}
		switch {
		case may:
			return nil
		case over:
			return fmt.Errorf("not drained: after %v %s; drain without --when-others-ready does not ask", limit, why)
		}
		select {
		case <-t.C:
		case <-s.target.Ended():
			return nil // it was told to end meanwhile
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
