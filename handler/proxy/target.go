package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
)

const forms = "write host:port, [address]:port or a socket path"

// A Target is one place where a Backend's clients may be connected to.
type Target struct {
	// Address is host:port, [address]:port, or the path of a UNIX stream socket,
	// as /path, unix:/path or unix:path (unix:@name is an abstract one of
	// Linux).
	Address string
}

// An address is where a target listens.
type address struct {
	network string // tcp or unix
	address string // for net.Dial
	host    string // tcp only
	port    string // tcp only: a number or a service's name
}

// parseAddress parses the Address of a Target without look-ups.
func parseAddress(s string) (address, error) {
	path, isPath := strings.CutPrefix(s, "unix:")
	switch {
	case s == "":
		return address{}, errors.New("no target: " + forms)
	case strings.HasPrefix(s, "/"):
		path, isPath = s, true
	}
	if strings.ContainsFunc(s, isControl) {
		return address{}, errors.New("it contains a control character: " + forms)
	}
	if isPath {
		return splitPath(path)
	}
	return splitHostPort(s)
}

func splitPath(path string) (address, error) {
	// The kernel's address needs a zero byte after the path.
	if limit := len(syscall.RawSockaddrUnix{}.Path) - 1; len(path) > limit {
		return address{}, fmt.Errorf("the socket path has %d bytes; the system's limit is %d", len(path), limit)
	}
	if path == "" || path == "@" {
		return address{}, errors.New("the socket path is missing: " + forms)
	}
	return address{network: "unix", address: path}, nil
}

func splitHostPort(s string) (address, error) {
	if i := strings.Index(s, "://"); i >= 0 {
		return address{}, fmt.Errorf("%s:// is not supported: %s", s[:i], forms)
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		var ae *net.AddrError
		if errors.As(err, &ae) {
			err = errors.New(ae.Err)
		}
		return address{}, fmt.Errorf("%w: %s", err, forms)
	}
	switch {
	case host == "" || host == "*":
		return address{}, errors.New("the host is missing: " + forms)
	case strings.ContainsAny(host, " /|,"):
		return address{}, fmt.Errorf("%q is not a host: %s", host, forms)
	case strings.Contains(host, ":"):
		if _, err := netip.ParseAddr(host); err != nil {
			return address{}, fmt.Errorf("%q is not an IPv6 address: %s", host, forms)
		}
	}
	if n, err := net.LookupPort("tcp", port); err != nil || n == 0 {
		return address{}, fmt.Errorf("%q is neither a port from 1 to 65535 nor a service name", port)
	}
	return address{network: "tcp", address: s, host: host, port: port}, nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// printable returns s, quoted if it contains unprintable characters.
func printable(s string) string {
	if s == "" || strings.ContainsFunc(s, isControl) {
		return fmt.Sprintf("%q", s)
	}
	return s
}
