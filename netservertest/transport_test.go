package netservertest_test

import (
	"context"
	"crypto/tls"
	"net"
	"testing"

	"netserver/conf"
	"netserver/netservertest"
	"netserver/port"
	"netserver/proto"
)

func TestBuiltinTransports(t *testing.T) {
	for name, p := range proto.Builtin() {
		t.Run(name, func(t *testing.T) {
			netservertest.TestTransport(t, netservertest.TransportTest{Protocol: p, Port: port.Spec{Proto: name}})
		})
	}
}

func TestTLSTransport(t *testing.T) {
	ca := netservertest.CA(t)
	pair := ca.Issue(t, netservertest.Leaf{})
	params := make(conf.Values)
	params.Set("SSL_cert_file", pair.CertFile)
	params.Set("SSL_key_file", pair.KeyFile)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			netservertest.TestTransport(t, netservertest.TransportTest{
				Protocol: proto.TLS{}.Protocol,
				Port:     port.Spec{Proto: "ssl", Params: params},
				Client: func(ctx context.Context, nc net.Conn) (net.Conn, error) {
					c := tls.Client(nc, &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", MaxVersion: version})
					return c, c.HandshakeContext(ctx)
				},
			})
		})
	}
}
