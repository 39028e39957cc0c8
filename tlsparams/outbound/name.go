package outbound

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
)

func splitPathList(t string) []string { return filepath.SplitList(t) }

// hostOf returns the host of a target: host:port, [address]:port or the path of
// a socket, which has none.
func hostOf(target string) string {
	if strings.HasPrefix(target, "/") || strings.HasPrefix(target, "unix:") {
		return ""
	}
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		return ""
	}
	host, _, _ = strings.Cut(host, "%") // no certificate is for a zone
	return strings.TrimSuffix(host, ".")
}

// isHost reports whether name may be the name or the address of a host.
func isHost(name string) bool {
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	ok := name != "" && len(name) <= 253 && !strings.HasPrefix(name, ".")
	for i := range len(name) {
		c := name[i] | 0x20
		ok = ok && (c >= 'a' && c <= 'z' || name[i] >= '0' && name[i] <= '9' || name[i] == '-' || name[i] == '_' || name[i] == '.')
	}
	return ok && !strings.Contains(name, "..")
}

// names returns the name that target is asked for, and the one that its
// certificate has to be for. client is what the client has asked for, or "".
func (p *Params) names(target, client string) (asked, verified string) {
	asked = hostOf(target)
	switch {
	case p.ServerName == "":
	case p.ServerName != ServerNameOfClient:
		asked = p.ServerName
	case isHost(client):
		asked = strings.ToLower(strings.TrimSuffix(client, "."))
	}
	if p.VerifyName != "" {
		return asked, p.VerifyName
	}
	return asked, asked
}

// CheckTarget returns an error if it cannot be known which name the certificate
// of target has to be for, which is so for UNIX sockets. target is host:port,
// [address]:port, or the path of a socket.
func (s *Source) CheckTarget(target string) error {
	p := &s.p
	if !p.verifies() || p.VerifyName != "" || p.ServerName != "" && p.ServerName != ServerNameOfClient ||
		hostOf(target) != "" || strings.HasPrefix(target, "srv:") {
		return nil
	}
	return fmt.Errorf("%s has no host, so the name that its certificate has to be for is not known: give backend_verify_name, or backend_pin, or backend_verify 0", target)
}
