package netserver_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"netserver"
	"netserver/netservertest"
)

// The benchmarks below count client and server together, as both are in this
// process. What the server alone costs beside a bare loop is measured in
// folder bench.

func benchServer(b *testing.B, proto string) *netservertest.Running {
	return netservertest.Start(b, &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}, proto)
}

// One connection that is opened, used for a byte and closed.
func BenchmarkAccept(b *testing.B) {
	for _, proto := range []string{"tcp", "unix"} {
		b.Run(proto, func(b *testing.B) {
			r := benchServer(b, proto)
			addr := r.Addr(b, proto)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				one := make([]byte, 1)
				for pb.Next() {
					c, err := net.Dial(addr.Network(), addr.String())
					if err != nil {
						b.Error(err)
						return
					}
					c.Write(one)
					io.ReadFull(c, one)
					c.Close()
				}
			})
		})
	}
}

// One full TLS 1.3 handshake.
func BenchmarkFullHandshake(b *testing.B) {
	r := benchServer(b, "ssl")
	addr := r.Addr(b, "ssl")
	cfg := r.ClientTLS()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c, err := tls.Dial("tcp", addr.String(), cfg)
			if err != nil {
				b.Error(err)
				return
			}
			c.Close()
		}
	})
}

// 16 KiB there and back.
func BenchmarkEchoStream(b *testing.B) {
	for _, proto := range []string{"tcp", "ssl", "unix"} {
		b.Run(proto, func(b *testing.B) {
			c := benchServer(b, proto).Dial(b, proto)
			c.SetDeadline(time.Time{})
			block := make([]byte, 16<<10)
			b.SetBytes(int64(len(block)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(block); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, block); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A datagram there and back.
func BenchmarkDatagram(b *testing.B) {
	for _, proto := range []string{"udp", "unixdgram"} {
		b.Run(proto, func(b *testing.B) {
			s := &netserver.Server{Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
				buf := make([]byte, 128)
				n, err := c.Read(buf)
				if err != nil {
					return err
				}
				_, err = c.Write(buf[:n])
				return err
			})}
			c := netservertest.Start(b, s, proto).Dial(b, proto)
			c.SetDeadline(time.Time{})
			buf := make([]byte, 100)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(buf); err != nil {
					b.Fatal(err)
				}
				if _, err := c.Read(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
