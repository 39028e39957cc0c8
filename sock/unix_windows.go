package sock

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/windows"

	"netserver/port"
)

// maxUnixPath is the length in bytes of the longest socket path.
const maxUnixPath = 107

func listenUnix(p port.Spec, o Options) (net.Listener, error) {
	if err := checkPath(p.Port); err != nil {
		return nil, err
	}
	if err := clearStale(p.Port); err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: p.Port, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	file, err := newSocketFile(p.Port, true)
	if err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(p.Port))
	}
	return &StreamListener{sock: l, named: newNamed(p, l.Addr()), file: file}, nil
}

func listenUnixgram(p port.Spec, o Options) (net.Listener, error) {
	return nil, explain(errors.ErrUnsupported, "Windows has no UNIX datagram sockets")
}

// isOpen reports whether some process has the socket of a file open. Only
// connecting to it shows that.
func isOpen(path string) (bool, error) {
	c, err := net.Dial("unix", path)
	if err == nil {
		return true, c.Close()
	}
	if errors.Is(err, windows.WSAECONNREFUSED) || errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return false, err
}

func newUnixgramListener(*net.UnixConn, *socketFile, port.Spec, Options) (*DatagramListener, error) {
	return nil, explain(errors.ErrUnsupported, "Windows has no UNIX datagram sockets")
}
