package logging

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"netserver/port"
	"netserver/sock"
	"netserver/tlsparams"
)

// Bound logs what was bound, in Net::Server's words.
func Bound(log *slog.Logger, l net.Listener) {
	b, ok := l.(sock.Named)
	if !ok {
		return
	}
	s := b.Spec()
	asked := b.Asked().Port
	proto := strings.ToUpper(s.Kind())
	if s.IsUnix() {
		Notice(log, fmt.Sprintf("Binding to %s socket file %q", proto, s.Port))
		return
	}
	Notice(log, fmt.Sprintf("Binding to %s port %s on host %s with IPv%s", proto, asked, s.Host, s.IPv))
	switch {
	case asked == "0":
		Notice(log, "  Bound to auto-assigned port "+s.Port)
	case asked != s.Port:
		Notice(log, fmt.Sprintf("  Bound to service port %s(%s)", asked, s.Port))
	}
}

// Admin logs that the admin listener was opened, and how it is asked.
func Admin(log *slog.Logger, l net.Listener) {
	Bound(log, l)
	if b, ok := l.(sock.Named); ok {
		Notice(log, "admin listener: "+AdminURL(b.Spec()))
	}
}

// pathBytes are those that a shell takes as they are.
const pathBytes = "/._-+@0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// AdminURL returns what a browser asks an admin listener by; for a UNIX socket, which
// none can ask, a command.
func AdminURL(s port.Spec) string {
	scheme := "http"
	if s.IsTLS() {
		scheme = "https"
	}
	switch {
	case s.IsUnix():
		path := s.Port
		if strings.Trim(path, pathBytes) != "" {
			path = "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
		}
		return fmt.Sprintf("curl --unix-socket %s %s://localhost/", path, scheme)
	case s.IsWildcard():
		s.Host = "localhost"
	default:
		if ip, err := netip.ParseAddr(s.Host); err == nil && ip.IsUnspecified() {
			s.Host = "localhost"
		}
	}
	return (&url.URL{Scheme: scheme, Host: net.JoinHostPort(s.Host, s.Port), Path: "/"}).String()
}

// TLSNotes adds what is odd about TLS ports, and certificates that were made in
// memory, so that their owner can compare the fingerprint with what a client
// sees.
func TLSNotes(sources []*tlsparams.Source, add func(line string)) {
	seen := make(map[string]bool)
	for _, s := range sources {
		for _, w := range s.Warnings() {
			add(w)
		}
		if c := s.SelfSigned(); c != nil && !seen[c.Fingerprint()] {
			seen[c.Fingerprint()] = true
			add("TLS ports use a certificate generated in memory, which clients cannot verify: " + c.Fingerprint())
		}
	}
}
