package logging

import (
	"fmt"
	"log/slog"
	"net"
	"strings"

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
