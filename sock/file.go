package sock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"netserver/port"
)

// File returns a duplicate of the descriptor of a listener of this package, to
// pass to another process, for instance in exec.Cmd's ExtraFiles. The caller
// closes it; l is not affected. A process that passes a UNIX socket on also
// calls SetUnlinkOnClose(false), or closing its own listener removes the file.
func File(l net.Listener) (*os.File, error) {
	switch l := l.(type) {
	case *StreamListener:
		return copyFile(l.sock, l.Addr().String())
	case *DatagramListener:
		return copyFile(l.sock, l.Addr().String())
	}
	return nil, fmt.Errorf("sock: a %T has no descriptor to pass on", l)
}

// FromFile makes a port's listener from a descriptor returned by File, usually
// in another process. f must be a socket of that network, bound to p; it is
// duplicated, and the caller closes it. Options of the file (owner, mode) and
// of the bound socket (ReusePort) stay unchanged. Close does not remove the
// file of a UNIX socket, unless SetUnlinkOnClose says so. The error is a
// *ListenError.
func FromFile(f *os.File, network string, p port.Spec, o Options) (net.Listener, error) {
	l, err := fromFile(f, network, p, o)
	if err != nil {
		err = explain(err, "descriptor %s: %v", f.Name(), err)
		return nil, &ListenError{Network: network, Spec: p, Err: err}
	}
	return l, nil
}

func fromFile(f *os.File, network string, p port.Spec, o Options) (net.Listener, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	switch network {
	case "tcp", "unix":
		return streamFromFile(f, network, p, o)
	case "udp", "unixgram":
		return datagramFromFile(f, network, p, o)
	}
	return nil, fmt.Errorf("unknown network %q", network)
}

func streamFromFile(f *os.File, network string, p port.Spec, o Options) (net.Listener, error) {
	nl, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("not a %s listener: %w", network, err)
	}
	l := &StreamListener{sock: nl.(streamSocket), named: newNamed(p, nl.Addr())}
	err = checkBound(network, p, nl.Addr())
	if err == nil {
		err = onSocket(l.sock, func(fd uintptr) error {
			if ok, err := isListening(fd); !ok {
				return errors.Join(errors.New("the socket does not listen"), err)
			}
			return setBacklog(fd, o.EffectiveBacklog())
		})
	}
	if err != nil {
		return nil, errors.Join(err, nl.Close())
	}
	if network == "unix" {
		l.file = inheritedFile(nl.Addr())
		return l, nil
	}
	if err := onSocket(l.sock, func(fd uintptr) error { return inheritTCP(fd, o) }); err != nil {
		return nil, errors.Join(err, nl.Close())
	}
	l.sendTimeout = sendTimeout(o)
	// Package net always sets its own keep-alive on each connection accepted
	// from an inherited listener. Ours is set on top of that.
	if ka := o.keepAlive(); ka != (Options{}).keepAlive() {
		l.keepAlive = &ka
	}
	return l, nil
}

func datagramFromFile(f *os.File, network string, p port.Spec, o Options) (net.Listener, error) {
	pc, err := net.FilePacketConn(f)
	if err != nil {
		return nil, fmt.Errorf("not a %s socket: %w", network, err)
	}
	l, err := datagramFromConn(pc, network, p, o)
	if err != nil {
		return nil, errors.Join(err, pc.Close())
	}
	return l, nil
}

func datagramFromConn(pc net.PacketConn, network string, p port.Spec, o Options) (*DatagramListener, error) {
	if err := checkBound(network, p, pc.LocalAddr()); err != nil {
		return nil, err
	}
	switch conn := pc.(type) {
	case *net.UDPConn:
		err := onSocket(conn, func(fd uintptr) error { return setBroadcast(fd, o.UDPBroadcast) })
		if err != nil {
			return nil, err
		}
		return newUDPListener(conn, p, o)
	case *net.UnixConn:
		return newUnixgramListener(conn, inheritedFile(conn.LocalAddr()), p, o)
	}
	return nil, fmt.Errorf("a %T is not a %s socket", pc, network)
}

// inheritedFile finds the file of an inherited socket, to be kept. It may be
// unreachable, after a chroot for example, and is then left alone.
func inheritedFile(bound net.Addr) *socketFile {
	file, _ := newSocketFile(bound.String(), false)
	return file
}

// checkBound verifies that an inherited socket is the one for p: serving a
// port with another one's protocol could turn TLS off.
func checkBound(network string, p port.Spec, bound net.Addr) error {
	if bound.Network() != network {
		return fmt.Errorf("a %s socket, not %s", bound.Network(), network)
	}
	if isUnix(network) {
		path := bound.String()
		if filepath.IsAbs(path) && filepath.IsAbs(p.Port) && filepath.Clean(path) != filepath.Clean(p.Port) {
			return fmt.Errorf("bound to %s", path)
		}
		return nil
	}
	want, err := strconv.Atoi(p.Port)
	if err != nil || want == 0 {
		return nil // a service name or any port
	}
	if real := newNamed(p, bound).real.Port; real != strconv.Itoa(want) {
		return fmt.Errorf("bound to port %s", real)
	}
	return nil
}
