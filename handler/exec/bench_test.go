//go:build unix

package exec_test

import (
	"io"
	"testing"

	"netserver/handler/exec"
)

// BenchmarkCat sends bytes through cat and back: what a program's client gets
// by each way of joining it.
func BenchmarkCat(b *testing.B) {
	for _, c := range []struct {
		name, proto string
		pipes       bool
	}{{"tcp", "tcp", false}, {"tcp by pipes", "tcp", true}, {"unix", "unix", false}, {"tls", "tls", false}} {
		b.Run(c.name, func(b *testing.B) {
			s := serve(b, &exec.Handler{Path: "cat", Pipes: c.pipes})
			conn := s.dial(c.proto)
			const chunk = 256 << 10
			b.SetBytes(chunk)
			done := make(chan error, 1)
			go func() {
				_, err := io.CopyN(io.Discard, conn, int64(b.N)*chunk)
				done <- err
			}()
			buf := make([]byte, chunk)
			for range b.N {
				if _, err := conn.Write(buf); err != nil {
					b.Fatal(err)
				}
			}
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkConnect is a connection from its start to its end, with a program
// that does nothing.
func BenchmarkConnect(b *testing.B) {
	for _, proto := range []string{"tcp", "unix", "tls"} {
		b.Run(proto, func(b *testing.B) {
			s := serve(b, &exec.Handler{Path: "true"})
			b.ReportAllocs()
			for range b.N {
				c := s.dial(proto)
				if _, err := io.Copy(io.Discard, c); err != nil {
					b.Fatal(err)
				}
				c.Close()
				<-s.recs
			}
		})
	}
}
