package daemon

import (
	"errors"
	"fmt"
	"net"
	"os"

	"netserver"
	"netserver/port"
	"netserver/sock"
)

// inetListener makes a listener of the client that inetd, or systemd with
// Accept=yes, gives as standard input.
func inetListener(p *program) (net.Listener, error) {
	nc, err := net.FileConn(os.Stdin)
	if err != nil {
		return nil, fmt.Errorf("type INET serves the client on standard input, which is no socket (start it by inetd, or by systemd with Accept=yes): %w", unwrapNet(err))
	}
	if nc.RemoteAddr() == nil {
		nc.Close()
		return nil, errors.New("type INET serves the client on standard input, which is a socket without a peer")
	}
	l := sock.Once(nc)
	spec := l.(interface{ Spec() port.Spec }).Spec()
	if given := p.conf.Server.Ports; len(given) > 0 {
		spec.Proto, spec.Params = given[0].Proto, given[0].Params
	}
	p.server.Config.Ports = []port.Spec{spec}
	ts, err := p.server.Transports()
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return netserver.NewListener(l, spec, ts[0]), nil
}

func unwrapNet(err error) error {
	var oe *net.OpError
	if errors.As(err, &oe) {
		return oe.Err
	}
	return err
}
