package daemon

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"

	"netserver"
	"netserver/port"
	"netserver/proc"
	"netserver/sock"
)

// inetListener makes a listener of the client that inetd, or systemd with
// Accept=yes, hands over.
func inetListener(p *program) (net.Listener, error) {
	nc, err := inetClient()
	if err != nil {
		return nil, err
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

// inetClient returns the client: standard input, or the one socket that a
// service manager passes. systemd passes it both ways, unless its unit says
// otherwise about standard input.
func inetClient() (net.Conn, error) {
	passed, err := proc.Activated(os.Environ())
	defer closeFiles(passed)
	if err != nil {
		return nil, err
	}
	nc, err := net.FileConn(os.Stdin)
	if err != nil && len(passed) == 1 {
		nc, err = net.FileConn(passed[0])
	}
	if err != nil {
		return nil, fmt.Errorf("type INET serves the client on standard input, which is no socket (start it by inetd, or by systemd with Accept=yes): %w", unwrapNet(err))
	}
	if nc.RemoteAddr() == nil {
		nc.Close()
		return nil, errors.New("type INET serves the client on standard input, which is a socket without a peer (inetd's nowait, or Accept=yes, hands over clients)")
	}
	return nc, nil
}

// inetLog returns where the log of type INET goes: not to the client, whom
// inetd and others make standard error too.
func (p *program) inetLog(stderr io.Writer) io.Writer {
	f, ok := stderr.(*os.File)
	if p.conf.Type != typeINET || !ok {
		return stderr
	}
	in, err := os.Stdin.Stat()
	if err != nil || in.Mode()&fs.ModeSocket == 0 {
		return stderr
	}
	if out, err := f.Stat(); err == nil && os.SameFile(in, out) {
		return io.Discard
	}
	return stderr
}

func unwrapNet(err error) error {
	var oe *net.OpError
	if errors.As(err, &oe) {
		return oe.Err
	}
	return err
}
