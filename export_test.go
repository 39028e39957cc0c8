package netserver

import (
	"context"
	"net"

	"netserver/access"
	"netserver/internal/park"
	"netserver/sock"
)

// What ends a client without a name in the package's API.
var (
	ErrDenied           = access.ErrDenied
	ErrKilled           = errKilled
	ErrHandshakeTimeout = errHandshakeTimeout
	ErrProxyHeader      = errProxyHeader
	ErrFirstByteTimeout = errFirstByteTimeout
	ErrHelloTimeout     = errHelloTimeout
)

// ServeUnpolled is Serve where no poller tells of parked clients: a goroutine
// waits for each.
func (s *Server) ServeUnpolled(ctx context.Context, ls ...net.Listener) error {
	if err := take(ls); err != nil {
		return err
	}
	r, err := s.newRun(ctx, ls)
	if err != nil {
		sock.CloseAll(ls)
		return err
	}
	r.parks.lot, r.parks.general = new(park.Lot), park.NewCrew(false)
	if err := s.track(r); err != nil {
		sock.CloseAll(ls)
		return err
	}
	return r.serve(ctx)
}

// ServeTraced is Serve; trace is called before each step of each client, on the
// goroutine that takes it.
func (s *Server) ServeTraced(ctx context.Context, trace func(id uint64, stage Stage, lane string), ls ...net.Listener) error {
	if err := take(ls); err != nil {
		return err
	}
	r, err := s.newRun(ctx, ls)
	if err != nil {
		sock.CloseAll(ls)
		return err
	}
	names := map[lane]string{laneAccept: "accept loop", laneHello: "hello", laneTurn: "turn", laneOwn: "own", laneWoken: "woken"}
	for _, l := range r.ls {
		for i, st := range l.route {
			l.route[i].do = func(c *Conn) error {
				trace(c.id, st.stage, names[st.lane])
				return st.do(c)
			}
		}
		goOn := l.woken
		l.woken.do = func(c *Conn) error {
			trace(c.id, goOn.stage, names[goOn.lane])
			return goOn.do(c)
		}
	}
	if err := s.track(r); err != nil {
		sock.CloseAll(ls)
		return err
	}
	return r.serve(ctx)
}
