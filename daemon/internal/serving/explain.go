package serving

import (
	"crypto/x509"
	"net/netip"
	"strings"

	"netserver"
	"netserver/handler/route"
	"netserver/port"
	"netserver/proto"
)

// A Client is what is known of a client that somebody asks about.
type Client struct {
	From        netip.Addr
	ServerName  string
	ALPN        []string
	Certificate *x509.Certificate
}

// A RouteTaken is the route of such a client.
type RouteTaken struct {
	Name        string `json:"name"` // "" if there is none
	Why         string `json:"why"`
	PassThrough bool   `json:"passthrough"`
}

// Explain says which route a client takes on a port that h serves; nil if the
// port has none.
func Explain(h netserver.Handler, spec port.Spec, c Client) *RouteTaken {
	routed, ok := netserver.HandlerAs[*route.Handler](h)
	if !ok {
		return nil
	}
	hello := &proto.ClientHello{ServerName: strings.ToLower(c.ServerName), ALPN: c.ALPN}
	f := route.Facts{From: c.From, Plain: true}
	tls := spec.IsTLS()
	passed := tls && routed.PassesThrough(hello, c.From)
	switch {
	case passed, !tls && (c.ServerName != "" || len(c.ALPN) > 0):
		f = route.HelloFacts(hello, c.From)
		f.Plain = !tls
	case tls:
		f = route.Facts{From: c.From, ServerName: hello.ServerName, ALPN: c.ALPN, Decrypted: true, Certificate: c.Certificate}
	}
	name, why := routed.Explain(f)
	return &RouteTaken{Name: name, Why: why, PassThrough: passed}
}
