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

// A target is where a backend listens.
type target struct {
	text    string // as given
	network string // tcp or unix
	address string // for net.Dial
	host    string // tcp only
	port    string // tcp only: a number or a service's name
}

// parseTarget parses a Handler's Target without look-ups.
func parseTarget(s string) (target, error) {
	t, err := split(s)
	if err != nil {
		return target{}, fmt.Errorf("proxy_to %s: %w", printable(s), err)
	}
	return t, nil
}

func split(s string) (target, error) {
	path, isPath := strings.CutPrefix(s, "unix:")
	switch {
	case s == "":
		return target{}, errors.New("no target: " + forms)
	case strings.HasPrefix(s, "/"):
		path, isPath = s, true
	}
	if strings.ContainsFunc(s, isControl) {
		return target{}, errors.New("it contains a control character: " + forms)
	}
	if isPath {
		return splitPath(s, path)
	}
	return splitHostPort(s)
}

func splitPath(s, path string) (target, error) {
	// The kernel's address needs a zero byte after the path.
	if limit := len(syscall.RawSockaddrUnix{}.Path) - 1; len(path) > limit {
		return target{}, fmt.Errorf("the socket path has %d bytes; the system's limit is %d", len(path), limit)
	}
	if path == "" || path == "@" {
		return target{}, errors.New("the socket path is missing: " + forms)
	}
	return target{text: s, network: "unix", address: path}, nil
}

func splitHostPort(s string) (target, error) {
	if i := strings.Index(s, "://"); i >= 0 {
		return target{}, fmt.Errorf("%s:// is not supported: %s", s[:i], forms)
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		var ae *net.AddrError
		if errors.As(err, &ae) {
			err = errors.New(ae.Err)
		}
		return target{}, fmt.Errorf("%w: %s", err, forms)
	}
	switch {
	case host == "" || host == "*":
		return target{}, errors.New("the host is missing: " + forms)
	case strings.ContainsAny(host, " /|,"):
		return target{}, fmt.Errorf("%q is not a host: %s", host, forms)
	case strings.Contains(host, ":"):
		if _, err := netip.ParseAddr(host); err != nil {
			return target{}, fmt.Errorf("%q is not an IPv6 address: %s", host, forms)
		}
	}
	if n, err := net.LookupPort("tcp", port); err != nil || n == 0 {
		return target{}, fmt.Errorf("%q is neither a port from 1 to 65535 nor a service name", port)
	}
	return target{text: s, network: "tcp", address: s, host: host, port: port}, nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// printable returns s, quoted if it contains unprintable characters.
func printable(s string) string {
	if s == "" || strings.ContainsFunc(s, isControl) {
		return fmt.Sprintf("%q", s)
	}
	return s
}
