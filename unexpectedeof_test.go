package netserver_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"

	"netserver"
	"netserver/conf"
	"netserver/netservertest"
	"netserver/port"
	"netserver/proto"
)

// A TLS client that ends by FIN alone is told from one that says close_notify,
// and with SSL_unexpected_eof reset it has failed.
func TestUnexpectedEOF(t *testing.T) {
	for _, mode := range []string{"", "end", "reset"} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			for what, end := range map[string]func(*tls.Conn, *net.TCPConn){
				"FIN":                   func(_ *tls.Conn, c *net.TCPConn) { c.CloseWrite() },
				"close_notify":          func(tc *tls.Conn, _ *net.TCPConn) { tc.CloseWrite() },
				"close_notify, and FIN": func(tc *tls.Conn, c *net.TCPConn) { tc.CloseWrite(); c.CloseWrite() },
			} {
				pair := netservertest.CA(t).Issue(t, netservertest.Leaf{})
				params := conf.Values{}
				params.Set("SSL_cert_file", pair.CertFile)
				params.Set("SSL_key_file", pair.KeyFile)
				if mode != "" {
					params.Set("SSL_unexpected_eof", mode)
				}
				recs := make(chan netserver.Record, 1)
				got := make(chan error, 1)
				s := &netserver.Server{
					Config: netserver.Config{Ports: []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: "ssl", IPv: "4", Params: params}}},
					Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
						_, err := io.Copy(io.Discard, c)
						got <- err
						return err
					}),
					Hooks: netserver.Hooks{Closed: func(_ *netserver.Conn, r netserver.Record) { recs <- r }},
				}
				ls, err := s.Listen(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(t.Context())
				served := make(chan error, 1)
				go func() { served <- s.Serve(ctx, ls...) }()
				nc, err := net.Dial("tcp", ls[0].Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				tc := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, MaxVersion: version})
				if _, err := tc.Write([]byte("hello")); err != nil {
					t.Fatal(err)
				}
				end(tc, nc.(*net.TCPConn))
				herr, r := <-got, <-recs
				cut := what == "FIN"
				if r.Truncated != cut {
					t.Errorf("%q, %s: truncated %v", mode, what, r.Truncated)
				}
				if fails := cut && mode == "reset"; errors.Is(herr, proto.ErrTruncated) != fails || (r.Err != nil) != fails {
					t.Errorf("%q, %s: the handler got %v, the record %v", mode, what, herr, r.Err)
				}
				nc.Close()
				stop()
				<-served
			}
		}
	}
}
