package proxy

import (
	"context"
	"net"

	"netserver"
	"netserver/proto"
	"netserver/tlsparams/outbound"
)

// OverTLS returns a Backend's TLS that speaks TLS to targets as s says. Whoever
// made s has its Run follow the files.
func OverTLS(s *outbound.Source) func(ctx context.Context, nc net.Conn, t Target, c *netserver.Conn) (net.Conn, error) {
	return func(_ context.Context, nc net.Conn, t Target, c *netserver.Conn) (net.Conn, error) {
		asked := ""
		if c != nil {
			if state := c.TLS(); state != nil {
				asked = state.ServerName
			}
		}
		secured, err := proto.ConnectTLS(nc, s.Config(t.Address, asked))
		if err != nil {
			return nil, err
		}
		return secured, nil
	}
}
