package supervisor

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/port"
	"netserver/sock"
)

// activate takes the sockets that a service manager opened, for the ports of
// the plan that they belong to.
func (s *supervisor) activate(pl *wire.Plan, files []*os.File) error {
	keys := keysOf(pl.Ports)
	var errs []error
	for _, f := range files {
		i, err := s.matching(pl, keys, f)
		if err != nil {
			errs = append(errs, err)
			f.Close()
			continue
		}
		s.socks[keys[i]] = &socket{key: keys[i], req: pl.Ports[i], file: f, given: true}
		logging.Notice(s.log, fmt.Sprintf("port %s is already open: the service manager opened it (descriptor %s)", pl.Ports[i].Spec.Short(), f.Name()))
	}
	return errors.Join(errs...)
}

// matching finds the port that a socket is for.
func (s *supervisor) matching(pl *wire.Plan, keys []string, f *os.File) (int, error) {
	var last error
	for i, r := range pl.Ports {
		if s.socks[keys[i]] != nil {
			continue
		}
		l, err := sock.FromFile(f, r.Network, r.Spec, r.Options)
		if err != nil {
			last = err
			continue
		}
		a := l.Addr()
		l.Close()
		if isFor(a, r.Spec) {
			return i, nil
		}
	}
	what := "a socket"
	if c, err := net.FileConn(f); err == nil {
		if a := c.LocalAddr(); a != nil && a.String() != "" {
			what += " at " + a.String()
		}
		connected := c.RemoteAddr() != nil
		c.Close()
		if connected {
			return 0, fmt.Errorf("the service manager passed an accepted connection (descriptor %s): set Accept=no in its socket unit, or use type INET", f.Name())
		}
	}
	return 0, errors.Join(fmt.Errorf("the service manager passed %s (descriptor %s), which no port uses; add the port, or remove it from the socket unit", what, f.Name()), last)
}

// isFor reports whether a socket at a serves the port.
func isFor(a net.Addr, p port.Spec) bool {
	if p.IsUnix() {
		return true // FromFile has compared the path
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return false
	}
	at := ap.Addr().Unmap()
	if p.IsWildcard() || p.Host == "*" {
		return at.IsUnspecified()
	}
	host, err := netip.ParseAddr(p.Host)
	return err == nil && host.Unmap() == at
}
