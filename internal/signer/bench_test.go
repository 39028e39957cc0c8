package signer

import (
	"crypto"
	"crypto/ecdh"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"testing"
)

// BenchmarkHandshake is a full handshake over a socket, with the key at hand
// and in another goroutine behind a socket pair. Both sides are in one
// process, so that the time with one CPU is all that it costs:
//
//	go test -run xxx -bench Handshake -cpu 1 ./internal/signer
func BenchmarkHandshake(b *testing.B) {
	for _, name := range []string{"P-256", "RSA"} {
		k := keys(b)[name]
		bed := newBed(b, nil, nil)
		id, _ := bed.ring.Add(k, anyVersion)
		for where, key := range map[string]crypto.Signer{"own": k, "isolated": bed.client.Key(id, k.Public())} {
			cert := certificate(b, k)
			cert.PrivateKey = key
			b.Run(name+"/"+where, func(b *testing.B) { handshakes(b, cert) })
		}
	}
}

func handshakes(b *testing.B, cert *tls.Certificate) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	sc := &tls.Config{Certificates: []tls.Certificate{*cert}, SessionTicketsDisabled: true}
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	cc := &tls.Config{RootCAs: pool, ServerName: "x"}
	b.ReportAllocs()
	for b.Loop() {
		go func() {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Error(err)
				return
			}
			tls.Client(c, cc).Handshake()
			io.Copy(io.Discard, c)
			c.Close()
		}()
		c, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		s := tls.Server(c, sc)
		if err := s.Handshake(); err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}

// BenchmarkJudge is what it takes to find out that a message may be signed:
// little beside the signature.
func BenchmarkJudge(b *testing.B) {
	k := keys(b)["P-256"]
	var ring Ring
	id, _ := ring.Add(k, anyVersion)
	s := New(&ring, 0)
	for name, msg := range map[string][]byte{"TLS 1.3": goodMessage(), "X25519": params12(tls.X25519, publicKey(b, ecdh.X25519())),
		"P-256": params12(tls.CurveP256, publicKey(b, ecdh.P256())), "P-521": params12(tls.CurveP521, publicKey(b, ecdh.P521()))} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, st := s.judge(request{key: id, scheme: uint16(tls.ECDSAWithP256AndSHA256), msg: msg}); st != statusSigned {
					b.Fatal(st)
				}
			}
		})
	}
}
