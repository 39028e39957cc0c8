package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
)

const forms = "write host:port, [address]:port or a socket path"

// Bounds of what a Target may say.
const (
	maxWeight = 256
	maxMax    = 1 << 20
)

// A Target is one place where a Backend's clients may be connected to, or a name
// that stands for several.
type Target struct {
	// Address is host:port, [address]:port, the path of a UNIX stream socket, as
	// /path, unix:/path or unix:path (unix:@name is an abstract one of Linux),
	// or srv:NAME, whose SRV records tell hosts, ports, priorities and weights.
	Address string
	// Weight is the share of clients that the target gets in comparison with
	// the others. 0 means 1; at most 256. A host with several addresses has it
	// for each of them; weights of SRV records are multiplied by it.
	Weight int
	// Backup keeps the target for when all others are down.
	Backup bool
	// Max is how many clients it may have at once; 0 is no limit. A host with
	// several addresses has it for each of them.
	Max int
}

// ParseTarget parses a target as keys and files have it: an address, and after
// it any of weight=N, max=N and backup, as in "10.0.0.5:143 weight=2 backup".
func ParseTarget(s string) (Target, error) {
	t, err := parseTarget(s)
	if err != nil {
		return Target{}, fmt.Errorf("target %s: %w", printable(s), err)
	}
	return t, nil
}

func parseTarget(s string) (t Target, err error) {
	words := strings.Fields(s)
	if len(words) == 0 {
		return t, errors.New("no target: " + forms)
	}
	t.Address = words[0]
	if _, err := parseAddress(t.Address); err != nil {
		return t, err
	}
	seen := make(map[string]bool)
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		if seen[name] {
			return t, fmt.Errorf("%s is given twice", printable(name))
		}
		seen[name] = true
		switch {
		case w == "backup":
			t.Backup = true
		case name == "weight":
			t.Weight, err = number(name, value, maxWeight)
		case name == "max":
			t.Max, err = number(name, value, maxMax)
		default:
			err = fmt.Errorf("%s is not known: after the address come weight=N, max=N and backup", printable(w))
		}
		if err != nil {
			return t, err
		}
	}
	return t, nil
}

func number(name, text string, limit int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > limit {
		return 0, fmt.Errorf("%s=%s: it must be a number from 1 to %d", name, printable(text), limit)
	}
	return n, nil
}

// String returns t as ParseTarget reads it.
func (t Target) String() string {
	s := t.Address
	if t.Weight > 0 {
		s += " weight=" + strconv.Itoa(t.Weight)
	}
	if t.Backup {
		s += " backup"
	}
	if t.Max > 0 {
		s += " max=" + strconv.Itoa(t.Max)
	}
	return s
}

// Named reports whether t's Address is a name, which has to be looked up.
func (t Target) Named() bool {
	a, err := parseAddress(t.Address)
	return err == nil && a.isName()
}

// check reports a Target that no text would have given.
func (t Target) check() error {
	switch {
	case t.Weight < 0 || t.Weight > maxWeight:
		return fmt.Errorf("its weight %d is not between 1 and %d", t.Weight, maxWeight)
	case t.Max < 0 || t.Max > maxMax:
		return fmt.Errorf("its maximum %d is not between 0 and %d", t.Max, maxMax)
	}
	return nil
}

// An address is where a target listens.
type address struct {
	network string // tcp, unix or srv
	address string // for net.Dial
	host    string // tcp: what has to be connected to; srv: the name with the records
	port    string // tcp only: a number or a service's name
}

// isName reports whether a has to be looked up.
func (a address) isName() bool {
	if a.network == "srv" {
		return true
	}
	_, err := netip.ParseAddr(a.host)
	return a.network == "tcp" && err != nil
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
	if name, ok := strings.CutPrefix(s, "srv:"); ok {
		return splitSRV(name)
	}
	return splitHostPort(s)
}

func splitSRV(name string) (address, error) {
	switch {
	case strings.Contains(name, ":"):
		return address{}, errors.New("the records of a srv: name tell the port: write it without one")
	case strings.Trim(name, ".") == "" || strings.ContainsAny(name, " /|,[]*") || strings.Contains(name, "..") || len(name) > 253:
		return address{}, fmt.Errorf("%q is not a name with SRV records: write srv:_service._tcp.domain", name)
	}
	return address{network: "srv", host: name}, nil
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
	case strings.ContainsAny(host, " /|,") || strings.ContainsFunc(host, notASCII):
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

// notASCII reports runes that names of hosts do not have; the mark that some
// editors put at the beginning of a file is one.
func notASCII(r rune) bool { return r > '~' }

// printable returns s, quoted if it contains unprintable characters.
func printable(s string) string {
	if s == "" || strings.ContainsFunc(s, isControl) {
		return fmt.Sprintf("%q", s)
	}
	return s
}
