package netserver

import (
	"context"
	"net"

	"netserver/port"
	"netserver/proto"
)

// A listener is a net.Listener that Listen opened, with what its port speaks.
type listener struct {
	net.Listener
	spec      port.Spec
	transport proto.Transport
}

// Listen opens every configured port: all of them or none.
func (s *Server) Listen(ctx context.Context) ([]net.Listener, error) {
	var ls []net.Listener
	for _, p := range s.Config.ports() {
		network, addr := "tcp", net.JoinHostPort(p.Host, p.Port)
		if p.Proto == "unix" {
			network, addr = "unix", p.Port
		}
		l, err := net.Listen(network, addr)
		if err != nil {
			closeAll(ls)
			return nil, err
		}
		ls = append(ls, &listener{Listener: l, spec: p, transport: plain{}})
	}
	return ls, nil
}

type plain struct{}

func (plain) Network() string { return "tcp" }
func (plain) Plain() bool     { return true }
func (plain) Ready(_ context.Context, nc net.Conn) (net.Conn, error) {
	return nc, nil
}

func isDatagramListener(l net.Listener) bool { return false }

func specOf(a net.Addr) port.Spec {
	switch a := a.(type) {
	case *net.TCPAddr:
		host, p, _ := net.SplitHostPort(a.String())
		return port.Spec{Host: host, Port: p, Proto: a.Network()}
	default:
		return port.Spec{Port: a.String(), Proto: a.Network()}
	}
}
