package logs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A SyslogTarget is the address of a syslog daemon. The zero value is the
// local daemon.
type SyslogTarget struct {
	tries []syslogTry // tried in turn until one works; nil is localPaths
}

type syslogTry struct{ network, addr string }

const (
	syslogPort  = "514"
	syslogDial  = 5 * time.Second
	maxSockPath = 103 // longest path of a UNIX socket on every system
)

// localPaths returns the sockets where local daemons listen.
func localPaths() []string {
	switch runtime.GOOS {
	case "linux":
		return []string{"/dev/log"}
	case "darwin":
		return []string{"/var/run/syslog"}
	}
	return []string{"/var/run/log", "/dev/log"}
}

// ParseSyslogTarget parses the value of the key syslog_logsock, in the words
// of Perl's Sys::Syslog:
//
//	native, unix or ""    the daemon of this machine, on a datagram or stream socket
//	stream                the same, on a stream socket only
//	udp, tcp              port 514 of this machine; inet is tcp or else udp
//	udp:HOST[:PORT]       a daemon elsewhere; port 514 if none is given
//	tcp:HOST[:PORT]
//	unix:PATH or PATH     a UNIX socket, datagram or stream
//
// It refuses console and other words with the reason.
func ParseSyslogTarget(text string) (SyslogTarget, error) {
	switch word := strings.ToLower(text); word {
	case "", "native", "unix":
		return SyslogTarget{}, checkLocal()
	case "stream":
		t := SyslogTarget{}
		for _, p := range localPaths() {
			t.tries = append(t.tries, syslogTry{"unix", p})
		}
		return t, checkLocal()
	case "udp", "tcp":
		return SyslogTarget{[]syslogTry{{word, "localhost:" + syslogPort}}}, nil
	case "inet":
		return SyslogTarget{[]syslogTry{{"tcp", "localhost:" + syslogPort}, {"udp", "localhost:" + syslogPort}}}, nil
	case "console":
		return SyslogTarget{}, errors.New("console: a server does not write to the system console; leave log_file out to log to standard error")
	case "pipe", "eventlog":
		return SyslogTarget{}, fmt.Errorf("%s: this way to a daemon is not supported; give a log_file instead", text)
	}
	network, addr, ok := strings.Cut(text, ":")
	if strings.HasPrefix(text, "/") {
		network, addr, ok = "unix", text, true
	}
	if !ok {
		return SyslogTarget{}, fmt.Errorf("%q is not one of native, unix, stream, udp, tcp, inet, udp:HOST:PORT, tcp:HOST:PORT or a socket path", text)
	}
	switch strings.ToLower(network) {
	case "unix":
		return unixTarget(addr)
	case "udp", "tcp":
		hostPort, err := syslogAddress(strings.TrimPrefix(addr, "//"))
		if err != nil {
			return SyslogTarget{}, fmt.Errorf("%q: %w", text, err)
		}
		return SyslogTarget{[]syslogTry{{strings.ToLower(network), hostPort}}}, nil
	}
	return SyslogTarget{}, fmt.Errorf("%q: unknown network %q; want udp:HOST:PORT, tcp:HOST:PORT or unix:PATH", text, network)
}

func unixTarget(path string) (SyslogTarget, error) {
	switch {
	case !strings.HasPrefix(path, "/"):
		return SyslogTarget{}, fmt.Errorf("%q: a socket path must be absolute", path)
	case len(path) > maxSockPath:
		return SyslogTarget{}, fmt.Errorf("%q: a socket path can have at most %d bytes", path, maxSockPath)
	case strings.ContainsFunc(path, func(r rune) bool { return r < ' ' }):
		return SyslogTarget{}, fmt.Errorf("%q: a socket path cannot contain control characters", path)
	}
	return SyslogTarget{[]syslogTry{{"unixgram", path}, {"unix", path}}}, checkLocal()
}

func checkLocal() error {
	if runtime.GOOS == "windows" {
		return errors.New("this system has no local syslog daemon; give udp:HOST:PORT or tcp:HOST:PORT")
	}
	return nil
}

// syslogAddress reads HOST, HOST:PORT, an IPv6 address, or [ADDRESS]:PORT.
func syslogAddress(text string) (string, error) {
	host, port := text, syslogPort
	if _, err := netip.ParseAddr(text); err != nil && strings.Contains(text, ":") {
		if host, port, err = net.SplitHostPort(text); err != nil {
			return "", errors.New("want HOST:PORT, with brackets around an IPv6 address")
		}
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case host == "":
		return "", errors.New("the host is missing")
	case len(host) > maxHost || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("/\\@[]", r) }):
		return "", errors.New("invalid host")
	case err != nil || n == 0:
		return "", fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
}

func (t SyslogTarget) all() []syslogTry {
	if t.tries != nil {
		return t.tries
	}
	var tries []syslogTry
	for _, p := range localPaths() {
		tries = append(tries, syslogTry{"unixgram", p}, syslogTry{"unix", p})
	}
	return tries
}

// String describes the daemon's address.
func (t SyslogTarget) String() string {
	if t.tries == nil {
		return "the syslog daemon of this machine"
	}
	var list []string
	for _, y := range t.tries {
		network := strings.TrimSuffix(y.network, "gram")
		if s := network + ":" + y.addr; !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return "the syslog daemon at " + strings.Join(list, " or ")
}

// Network reports whether records go over a network, in RFC 5424's form.
func (t SyslogTarget) Network() bool {
	return len(t.tries) > 0 && !strings.HasPrefix(t.tries[0].network, "unix")
}

// MaxRecord is the recommended maximum length of a record: 2048 bytes in a UDP
// datagram, as RFC 5424 advises, and 8192 otherwise.
func (t SyslogTarget) MaxRecord() int {
	for _, y := range t.tries {
		if y.network == "udp" {
			return 2048
		}
	}
	return defaultSyslogMax
}

// Dial connects to the daemon, within five seconds for each possible address.
// The error says why each existing one failed.
func (t SyslogTarget) Dial(ctx context.Context) (net.Conn, error) {
	var errs []error
	var missing error
	for _, y := range t.all() {
		c, err := y.dial(ctx)
		if err == nil {
			return c, nil
		}
		if errors.Is(err, os.ErrNotExist) && t.tries == nil {
			missing = err
			continue
		}
		errs = append(errs, fmt.Errorf("%s %s: %w", y.network, y.addr, innermost(err)))
	}
	if len(errs) == 0 && missing != nil {
		errs = append(errs, fmt.Errorf("no daemon listens at %s", strings.Join(localPaths(), ", ")))
	}
	return nil, fmt.Errorf("%v: %w", t, oneOf(errs))
}

// oneOf drops errors that say only that a socket is of the other kind.
func oneOf(errs []error) error {
	if len(errs) > 1 {
		kept := slices.DeleteFunc(slices.Clone(errs), wrongKind)
		if len(kept) > 0 {
			errs = kept
		}
	}
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.New(strings.Join(texts, ", "))
}

func (y syslogTry) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: syslogDial}
	return d.DialContext(ctx, y.network, y.addr)
}

// innermost strips package net's address from an error.
func innermost(err error) error {
	var oe *net.OpError
	if errors.As(err, &oe) {
		err = oe.Err
	}
	var se *os.SyscallError
	if errors.As(err, &se) {
		err = se.Err
	}
	return err
}
