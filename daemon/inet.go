package daemon

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"netserver"
	"netserver/daemon/internal/wire"
	"netserver/internal/systemd"
	"netserver/port"
	"netserver/sock"
)

// inetListener makes a listener of the client that inetd, or systemd with
// Accept=yes, hands over. It speaks the protocol of the configured port.
func inetListener(p *program) (net.Listener, error) {
	nc, flush, err := inetClient()
	if err != nil {
		return nil, err
	}
	p.flush = flush
	l := sock.Once(nc)
	spec, err := inetSpec(p.conf.Server.Ports, l.(sock.Named).Spec())
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	p.server.Config.Ports = []port.Spec{spec}
	ts, err := p.engine().Transports()
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return netserver.NewListener(l, spec, ts[0]), nil
}

// inetSpec returns the port that a client came in by, whose socket says local,
// with the protocol that the configuration gives it. Where that gives several
// ports that differ, the one with the socket's number counts; where none has
// it the client is refused, as one port's rules may be stricter than another's.
func inetSpec(given []port.Spec, local port.Spec) (port.Spec, error) {
	if len(given) == 0 {
		return local, nil
	}
	chosen := given[0]
	if differ(given) {
		same := slices.DeleteFunc(slices.Clone(given), func(p port.Spec) bool { return !isAt(p, local) })
		if len(same) == 0 || differ(same) {
			return local, fmt.Errorf("type INET: the client connected over %s, and it is unclear which of the ports %s applies: configure only the one it is to be served as", local.Short(), shorts(given))
		}
		chosen = same[0]
	}
	switch chosen.Kind() {
	case port.TCP, port.Unix:
	case port.UDP, port.UnixDgram:
		return local, fmt.Errorf("type INET: port %s is for datagrams, but the client is a connection", chosen.Short())
	default:
		local.Proto = chosen.Proto
	}
	local.Params, local.Origin = chosen.Params, chosen.Origin
	return local, nil
}

func differ(ps []port.Spec) bool {
	return slices.ContainsFunc(ps[1:], func(p port.Spec) bool { return !port.SameProtocol(p, ps[0]) })
}

// isAt reports whether p is the port that a socket at local belongs to.
func isAt(p, local port.Spec) bool {
	if p.IsUnix() != local.IsUnix() {
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
	if nc.RemoteAddr() == nil {
		nc.Close()
		return nil, nil, errors.New("type INET serves the client on standard input, which is a socket without a peer (inetd's nowait, or Accept=yes, hands over clients)")
	}
	return nc, nil, nil
}

func isSocket(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&fs.ModeSocket != 0
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
