package route

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"netserver/proto"
)

// Facts are what is known of a client.
type Facts struct {
	From        netip.Addr        // invalid for clients of UNIX sockets
	ServerName  string            // that it asked for, in lower case; "" if none is known
	ALPN        []string          // that was agreed on; of a client that is not decrypted, all that it offers
	Certificate *x509.Certificate // that it showed; nil if none
	First       []byte            // the bytes that it has sent, decrypted where TLS ends here
	Ended       bool              // it sends no more
	Waited      time.Duration     // for its first byte, if there is none yet
	Plain       bool              // First are the bytes of the connection
	Decrypted   bool              // its handshake is done
	Datagram    bool

	tls verdict // whether First is a TLS hello that was read
}

func (f *Facts) fromHello(h *proto.ClientHello) {
	f.ServerName, f.ALPN, f.tls = h.ServerName, h.ALPN, Yes
}

// String tells of a client in an error.
func (f *Facts) String() string {
	var parts []string
	if f.ServerName != "" {
		parts = append(parts, "sni "+f.ServerName)
	}
	if len(f.ALPN) > 0 {
		parts = append(parts, fmt.Sprintf("alpn %.200q", f.ALPN))
	}
	switch n := len(f.First); {
	case n > 0:
		parts = append(parts, fmt.Sprintf("begin %q", f.First[:min(n, 16)]))
	case f.Ended:
		parts = append(parts, "nothing sent")
	}
	if len(parts) == 0 {
		return "this client"
	}
	return strings.Join(parts, ", ")
}

// A verdict is what a condition says of a client.
type verdict uint8

// The verdicts of conditions.
const (
	No   verdict = iota // it does not hold, and never will
	Yes                 // it holds
	More                // it depends on what the client has not sent yet
)

// verdict says whether all conditions of r hold.
func (r *Route) verdict(f *Facts) verdict {
	all := Yes
	for _, c := range r.When {
		switch c.holds(f) {
		case No:
			return No
		case More:
			all = More
		}
	}
	return all
}

// A Condition holds for a client or not. Make one with SNI, ALPN, From,
// CertCN, CertDNS, CertURI, CertFingerprint or Begins.
type Condition interface {
	// String returns it as it would be written in a conf file.
	String() string

	kind() kind
	holds(f *Facts) verdict
	// covers reports whether it holds wherever o, of the same kind, does.
	covers(o Condition) bool
	// each returns a condition for each of its values; nil if it has one.
	each() []Condition
}

// A kind is the key of a condition.
type kind string

const (
	kindSNI         kind = "sni"
	kindALPN        kind = "alpn"
	kindFrom        kind = "from"
	kindCN          kind = "cert_cn"
	kindDNS         kind = "cert_dns"
	kindURI         kind = "cert_uri"
	kindFingerprint kind = "cert_fingerprint"
	kindBegins      kind = "begins"
)

// decrypted reports whether a condition needs what is known after the handshake
// of a TLS client only.
func (k kind) decrypted() bool { return k != kindSNI && k != kindALPN && k != kindFrom }

// written puts a condition's values as a conf file has them.
func written(k kind, values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = fmt.Sprintf("%q", v)
	}
	if len(quoted) == 1 {
		return fmt.Sprintf("%s = %s", k, quoted[0])
	}
	return fmt.Sprintf("%s = [%s]", k, strings.Join(quoted, ", "))
}
