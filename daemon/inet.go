package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"netserver"
	"netserver/daemon/internal/wire"
	"netserver/internal/systemd"
	"netserver/port"
	"netserver/proto"
	"netserver/sock"
)

// inetListener makes a listener of the client that inetd, or systemd with
// Accept=yes, hands over, or of a port for datagrams. It speaks the protocol of
// the configured port.
func inetListener(p *program) (net.Listener, error) {
	nc, flush, err := inetClient()
	if err != nil {
		return nil, err
	}
	p.flush = flush
	l := sock.Once(nc)
	spec, err := p.inetSpec(l.(sock.Named).Spec())
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	p.server.Config.Ports = []port.Spec{spec}
	ts, err := p.engine().Transports()
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if nc.RemoteAddr() == nil {
		defer l.Close()
		p.waits = true
		if l, err = p.inetDatagrams(nc, ts); err != nil {
			return nil, err
		}
	}
	return netserver.NewListener(l, spec, ts[0]), nil
}

// inetDatagrams returns the listener of a port for datagrams, whose socket is
// handed over by inetd's "dgram wait".
func (p *program) inetDatagrams(nc net.Conn, ts []proto.Transport) (net.Listener, error) {
	reqs, err := p.engine().Requests(ts)
	if err != nil {
		return nil, err
	}
	f, err := nc.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return sock.FromFile(f, reqs[0].Network, reqs[0].Spec, reqs[0].Options)
}

// inetLinger is how long a process that has a datagram port from inetd goes on
// without a client. What comes after that stays in the socket, and inetd starts
// the next process for it.
const inetLinger = 2 * time.Second

// endIdle ends a server of inetd's datagrams when it has had no client for
// inetLinger.
func (p *program) endIdle(ctx context.Context) {
	tick := time.NewTicker(inetLinger / 8)
	defer tick.Stop()
	var served uint64
	for last := time.Now(); time.Since(last) < inetLinger; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if n := p.server.Monitor().Stats().Served; n != served || p.engine().ClientCount() > 0 {
			served, last = n, time.Now()
		}
	}
	p.stop()
}

// inetSpec returns the port that a client came in by, whose socket says local,
// with the protocol that the configuration gives it. Where that gives several
// ports that differ, the one with the socket's number counts; where none has
// it the client is refused, as one port's rules may be stricter than another's.
// From here on the port's handler is the server's.
func (p *program) inetSpec(local port.Spec) (port.Spec, error) {
	given := p.conf.Server.Ports
	if len(given) == 0 {
		return local, nil
	}
	chosen := given[0]
	if p.differ(given) {
		same := slices.DeleteFunc(slices.Clone(given), func(p port.Spec) bool { return !isAt(p, local) })
		if len(same) == 0 || p.differ(same) {
			return local, fmt.Errorf("type INET: the client connected over %s, and it is unclear which of the ports %s applies: configure only the one it is to be served as", local.Short(), shorts(given))
		}
		chosen = same[0]
	}
	if h, ok := p.server.Handlers[chosen.Short()]; ok {
		p.server.Handler = h
	}
	p.server.Handlers = nil
	datagrams := isDatagram(local)
	switch {
	case isDatagram(chosen) && !datagrams:
		return local, fmt.Errorf("type INET: port %s is for datagrams, but the client is a connection", chosen.Short())
	case datagrams && !isDatagram(chosen):
		return local, fmt.Errorf("type INET: port %s is for connections, but the socket is for datagrams", chosen.Short())
	case !datagrams && chosen.Kind() != port.TCP && chosen.Kind() != port.Unix:
		local.Proto = chosen.Proto
	}
	local.Params, local.Origin = chosen.Params, chosen.Origin
	return local, nil
}

func isDatagram(p port.Spec) bool { return p.Kind() == port.UDP || p.Kind() == port.UnixDgram }

// differ reports whether it matters which of the ports a client came in by.
func (p *program) differ(ports []port.Spec) bool {
	first := ports[0]
	_, own := p.server.Handlers[first.Short()]
	return slices.ContainsFunc(ports[1:], func(other port.Spec) bool {
		_, has := p.server.Handlers[other.Short()]
		return !port.SameProtocol(other, first) || (own || has) && other.Short() != first.Short()
	})
}

// isAt reports whether p is the port that a socket at local belongs to.
func isAt(p, local port.Spec) bool {
	if p.IsUnix() != local.IsUnix() || isDatagram(p) != isDatagram(local) {
		return false
	}
	number := p.Port
	if n, err := net.LookupPort("tcp", p.Port); err == nil && !p.IsUnix() {
		number = strconv.Itoa(n)
	}
	return number == local.Port && (p.IsUnix() || p.IsWildcard() || p.Host == "::" || p.Host == local.Host || p.Host == "localhost")
}

func shorts(ps []port.Spec) string {
	var out []string
	for _, p := range ps {
		out = append(out, p.Short())
	}
	return strings.Join(out, ", ")
}

// inetClient returns the client: standard input, or the one socket that a
// service manager passes. systemd passes it both ways, unless its unit says
// otherwise about standard input. A client over pipes has to be flushed when
// it has been served.
func inetClient() (nc net.Conn, flush func(), err error) {
	passed, err := systemd.Activated(os.Environ())
	defer wire.CloseFiles(passed)
	if err != nil {
		return nil, nil, err
	}
	// FileConn makes what it is given non-blocking, which a pipe has to stay.
	in := os.Stdin
	switch {
	case !isSocket(in) && len(passed) == 1:
		in = passed[0]
	case isPipe(in):
		return pipeClient(in, os.Stdout)
	}
	nc, err = net.FileConn(in)
	if err != nil {
		return nil, nil, fmt.Errorf("type INET serves the client on standard input, which is not a socket, pipe, file or terminal (start it from inetd, or from systemd with Accept=yes): %w", unwrapNet(err))
	}
	if nc.RemoteAddr() == nil && !receives(nc) {
		nc.Close()
		return nil, nil, errors.New("type INET serves the client on standard input, which is a socket without a peer (inetd's nowait, or Accept=yes, hands over clients)")
	}
	return nc, nil, nil
}

// receives reports whether a socket without a peer is one for datagrams: a port
// of inetd's "dgram wait".
func receives(nc net.Conn) bool {
	network := nc.LocalAddr().Network()
	return network == "udp" || network == "unixgram"
}

func isSocket(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&fs.ModeSocket != 0
}

// notToClient returns where messages go that are for stderr: nowhere if that is
// the client, whom inetd and others make standard error too. They may tell of
// files and keys of the configuration.
func notToClient(stderr io.Writer) io.Writer {
	f, ok := stderr.(*os.File)
	if !ok || !isSocket(os.Stdin) {
		return stderr
	}
	in, err := os.Stdin.Stat()
	if err != nil {
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
