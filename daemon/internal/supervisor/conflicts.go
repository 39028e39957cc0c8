package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"netserver/daemon/internal/wire"
	"netserver/port"
	"netserver/sock"
)

// unlinked reports whether the file of a UNIX socket is gone: no client can
// find the socket any more.
func (so *socket) unlinked() bool {
	if so.info == nil {
		return false
	}
	_, err := os.Lstat(so.req.Spec.Port)
	return errors.Is(err, fs.ErrNotExist)
}

// ownConflicts finds the ports of a new plan that cannot be opened beside one
// that this server has open, though no other program is in the way.
func (s *supervisor) ownConflicts(pl *wire.Plan, keys []string) error {
	var errs []error
	for i, r := range pl.Ports {
		if s.socks[keys[i]] != nil {
			continue
		}
		for _, have := range s.socks {
			if clash(r, have.req) {
				errs = append(errs, fmt.Errorf("port %s cannot be opened while this server has %s open, which it closes only once the replacement serves; stop and start the server to switch from one to the other",
					r.Spec.Short(), have.req.Spec.Short()))
				break
			}
		}
	}
	return errors.Join(errs...)
}

// clash reports whether the system lets only one of two sockets be bound.
func clash(a, b sock.Request) bool {
	x, y := a.Spec, b.Spec
	if n, err := strconv.Atoi(x.Port); err != nil || n == 0 || x.IsUnix() || a.Network != b.Network || x.Port != y.Port {
		return false
	}
	families := x.IPv == y.IPv || x.IPv == "*" || y.IPv == "*"
	hosts := x.Host == y.Host || anyHost(x) || anyHost(y)
	return families && hosts && !(a.Options.ReusePort && b.Options.ReusePort)
}

func anyHost(p port.Spec) bool {
	return p.IsWildcard() || p.Host == "*" || p.Host == "::" || p.Host == "0.0.0.0"
}

// socketStays names what a plan asks of sockets that are kept, and that stays
// as it was when they were opened.
func socketStays(g *generation, pl *wire.Plan, keys []string) (stays []string) {
	at := make(map[string]int)
	for i, k := range g.keys {
		at[k] = i
	}
	for j, k := range keys {
		i, ok := at[k]
		if !ok {
			continue
		}
		was, is := g.plan.Ports[i].Options, pl.Ports[j].Options
		for _, o := range []struct {
			name string
			same bool
		}{
			{"unix_mode", was.UnixMode == is.UnixMode || !pl.Ports[j].Spec.IsUnix()},
			{"unix_owner", was.UnixOwner == is.UnixOwner || !pl.Ports[j].Spec.IsUnix()},
			{"unix_group", was.UnixGroup == is.UnixGroup || !pl.Ports[j].Spec.IsUnix()},
			{"freebind", was.Freebind == is.Freebind || pl.Ports[j].Spec.IsUnix()},
			{"reuse_port", was.ReusePort == is.ReusePort || pl.Ports[j].Spec.IsUnix()},
		} {
			if !o.same {
				stays = append(stays, fmt.Sprintf("%s of %s", o.name, pl.Ports[j].Spec.Short()))
			}
		}
	}
	return stays
}
