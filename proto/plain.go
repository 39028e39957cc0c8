package proto

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"netserver/port"
	"netserver/sock"
)

// Builtin returns the plain protocols by name, in a new map at each call:
// tcp, udp, unix and unixdgram.
func Builtin() map[string]Protocol {
	return map[string]Protocol{
		"tcp":       TCP,
		"udp":       UDP,
		"unix":      UNIX,
		"unixdgram": UNIXDgram,
	}
}

// plain is the transport of a protocol without a handshake.
type plain struct{ network string }

func (t plain) Network() string { return t.network }

func (t plain) Plain() bool { return true }

func (t plain) Ready(_ context.Context, nc net.Conn) (net.Conn, error) { return nc, nil }

// newPlain makes the plain transport of p over network, once p's parameters
// are known to be right. more are keys that p may carry beside the socket's.
func newPlain(p port.Spec, network string, more ...string) (Transport, error) {
	if err := checkParams(p, network, more); err != nil {
		return nil, err
	}
	return plain{network}, nil
}

// checkParams refuses the keys of p.Params that mean nothing to a plain
// protocol over network, and bad values of those that do. Every problem is
// named, a line each.
func checkParams(p port.Spec, network string, more []string) error {
	known := slices.Concat(sock.Keys(network), more)
	var bad []string
	for key, vals := range p.Params {
		if slices.Contains(known, key) {
			continue
		}
		line := fmt.Sprintf("port %s: %s", name(p), refusal(key, p.Proto, known))
		if len(vals) > 0 {
			line += fmt.Sprintf(" (%s)", vals[len(vals)-1].Origin)
		}
		bad = append(bad, line)
	}
	slices.Sort(bad)
	if _, err := (sock.Options{}).With(p.Params); err != nil {
		for line := range strings.Lines(err.Error()) {
			bad = append(bad, fmt.Sprintf("port %s: %s", name(p), strings.TrimSuffix(line, "\n")))
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return &ParamError{Spec: p, Problems: bad}
}

// refusal says why key cannot stand at a port of the protocol.
func refusal(key, proto string, known []string) string {
	if len(key) >= 4 && strings.EqualFold(key[:4], "SSL_") {
		return fmt.Sprintf("%s was given, but the port is %s and not ssl: remove the key, or write /ssl", key, proto)
	}
	return fmt.Sprintf("%s means nothing to a %s port, which takes %s", key, proto, strings.Join(known, ", "))
}

// name is how messages call a port: its number or path, and its protocol.
func name(p port.Spec) string { return p.Port + "/" + p.Proto }

// A ParamError says which parameters of a port are wrong.
type ParamError struct {
	Spec     port.Spec
	Problems []string // a line each
}

// Error returns the problems, a line each.
func (e *ParamError) Error() string { return strings.Join(e.Problems, "\n") }
