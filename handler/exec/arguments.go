package exec

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"netserver"
	"netserver/access"
)

// maxArgument bounds what one substitution in an argument can become.
const maxArgument = 255

// ErrArgument is wrapped by the error of a client who has no value for an
// argument of its program, or one that a program could take for something else.
var ErrArgument = errors.New("the client's value cannot be an argument")

// substitutions are what an argument may contain as %{NAME}, and their values
// of a client; "" is none.
var substitutions = [...]struct {
	name  string
	tls   bool // only clients over TLS have one
	value func(c *netserver.Conn) string
}{
	{"peer", false, func(c *netserver.Conn) string { return ipOf(c.Peer()) }},
	{"peer_port", false, func(c *netserver.Conn) string { return portOf(c.Peer()) }},
	{"peer_host", false, func(c *netserver.Conn) string { return strings.ToLower(c.Peer().Host) }},
	{"local", false, func(c *netserver.Conn) string { return ipOf(access.PeerOf(c.LocalAddr())) }},
	{"port", false, func(c *netserver.Conn) string { return portOf(access.PeerOf(c.LocalAddr())) }},
	{"sni", true, func(c *netserver.Conn) string {
		if s := c.TLS(); s != nil {
			return strings.ToLower(s.ServerName)
		}
		return ""
	}},
	{"alpn", true, func(c *netserver.Conn) string {
		if s := c.TLS(); s != nil {
			return s.NegotiatedProtocol
		}
		return ""
	}},
	{"cert_cn", true, func(c *netserver.Conn) string {
		if cert := verified(c); cert != nil {
			return cert.Subject.CommonName
		}
		return ""
	}},
	{"cert_fingerprint", true, func(c *netserver.Conn) string {
		if cert := verified(c); cert != nil {
			sum := sha256.Sum256(cert.Raw)
			return hex.EncodeToString(sum[:])
		}
		return ""
	}},
	{"id", false, func(c *netserver.Conn) string { return strconv.FormatUint(c.ID(), 10) }},
}

// Substitutions returns the names that Handler.Substitute knows.
func Substitutions() []string {
	names := make([]string, len(substitutions))
	for i, s := range substitutions {
		names[i] = s.name
	}
	return names
}

// NeedsTLS returns the name of a substitution in the arguments that only clients
// over TLS have a value for, "" if there is none: others would all be refused.
func (h *Handler) NeedsTLS() string {
	if !h.Substitute {
		return ""
	}
	for _, text := range h.Args {
		a, err := parseArgument(text)
		if err != nil {
			continue // Check says what is wrong
		}
		for _, i := range a.subs {
			if substitutions[i].tls {
				return substitutions[i].name
			}
		}
	}
	return ""
}

func ipOf(p access.Peer) string {
	if p.IP.IsValid() {
		return p.IP.String()
	}
	return ""
}

func portOf(p access.Peer) string {
	if p.IP.IsValid() {
		return strconv.Itoa(int(p.Port))
	}
	return ""
}

// verified returns the client's certificate, if it was verified: in another one
// anybody can write any name.
func verified(c *netserver.Conn) *x509.Certificate {
	s := c.TLS()
	if s == nil || len(s.PeerCertificates) == 0 || len(s.VerifiedChains) == 0 {
		return nil
	}
	return s.PeerCertificates[0]
}

// An argument is a template: text, a substitution by its position, text, and so
// on; it begins and ends with a text.
type argument struct {
	texts []string
	subs  []int
}

// parseArgument reads %{NAME} and %% in an argument.
func parseArgument(s string) (a argument, err error) {
	var text strings.Builder
	for {
		before, rest, found := strings.Cut(s, "%")
		text.WriteString(before)
		if !found {
			a.texts = append(a.texts, text.String())
			return a, nil
		}
		if strings.HasPrefix(rest, "%") {
			text.WriteByte('%')
			s = rest[1:]
			continue
		}
		name, after, closed := strings.Cut(strings.TrimPrefix(rest, "{"), "}")
		if !closed || !strings.HasPrefix(rest, "{") {
			return a, fmt.Errorf("%q: after %% stands {NAME}, or another %% for one as it is", s)
		}
		i := slices.Index(Substitutions(), name)
		if i < 0 {
			return a, fmt.Errorf("there is no %%{%s}; there are %s", name, strings.Join(Substitutions(), ", "))
		}
		a.texts, a.subs = append(a.texts, text.String()), append(a.subs, i)
		text.Reset()
		s = after
	}
}

// of returns the argument for a client.
func (a argument) of(c *netserver.Conn) (string, error) {
	var s strings.Builder
	s.WriteString(a.texts[0])
	for i, sub := range a.subs {
		v := substitutions[sub].value(c)
		if why := unfit(v, s.Len() == 0); why != "" {
			return "", fmt.Errorf("%%{%s}: %w: it %s", substitutions[sub].name, ErrArgument, why)
		}
		s.WriteString(v)
		s.WriteString(a.texts[i+1])
	}
	return s.String(), nil
}

// unfit returns why a value must not stand in an argument, or "".
func unfit(v string, first bool) string {
	switch {
	case v == "":
		return "is missing"
	case len(v) > maxArgument:
		return fmt.Sprintf("is longer than %d bytes", maxArgument)
	case !printable(v):
		return "contains control characters, or is not UTF-8"
	case strings.ContainsAny(v, `/\`) || v == "." || v == "..":
		return "contains a part of a path"
	case first && v[0] == '-':
		return "begins with -, as an option does"
	}
	return ""
}

// parseArguments prepares the arguments that differ by client.
func (h *Handler) parseArguments(c *command) error {
	if !h.Substitute {
		return nil
	}
	var errs []error
	for i, s := range h.Args {
		a, err := parseArgument(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("argument %d: %w", i+1, err))
		}
		c.arguments = append(c.arguments, a)
	}
	return errors.Join(errs...)
}

// of returns what to start for a client.
func (cmd *command) of(c *netserver.Conn) (*command, error) {
	if cmd.arguments == nil {
		return cmd, nil
	}
	own := *cmd
	own.Argv = append([]string(nil), cmd.Argv[0])
	for i, a := range cmd.arguments {
		s, err := a.of(c)
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
		own.Argv = append(own.Argv, s)
	}
	return &own, nil
}
