package signer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"
)

// A key that was added to show who a client is signs that in TLS 1.3, and
// nothing that a server signs; one of a server signs nothing of a client's.
func TestClientsUse(t *testing.T) {
	b := newBed(t, nil, nil)
	clientMessage := append([]byte(clientContext), make([]byte, 32)...)
	messages := map[string][]byte{"client": clientMessage, "server": goodMessage(), "server before 1.3": params12(tls.X25519, make([]byte, 32))}
	k := keys(t)["P-256"]
	for _, use := range []struct {
		use  Use
		good string
	}{{Use{Client: true}, "client"}, {Use{TLS13: true}, "server"}} {
		id, err := b.ring.Add(k, use.use)
		if err != nil {
			t.Fatal(err)
		}
		for of, msg := range messages {
			_, err := b.client.ask(request{key: id, scheme: uint16(tls.ECDSAWithP256AndSHA256), msg: msg})
			if (err == nil) != (of == use.good) || err != nil && !errors.Is(err, ErrRefused) {
				t.Errorf("%+v: %s: %v", use.use, of, err)
			}
		}
	}
}

// Clients show who they are by keys of every kind, in TLS 1.3 alone.
func TestClientHandshakes(t *testing.T) {
	b := newBed(t, nil, nil)
	server := certificate(t, keys(t)["P-256"])
	for name, k := range keys(t) {
		id, err := b.ring.Add(k, Use{Client: true})
		if err != nil {
			t.Fatal(err)
		}
		c := certificate(t, k)
		c.PrivateKey = b.client.Key(id, k.Public())
		for _, version := range []uint16{tls.VersionTLS13, tls.VersionTLS12} {
			shown := 0
			err := shake(t, server, version, func(client, srv *tls.Config) {
				client.Certificates = nil
				client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c, nil }
				srv.ClientAuth = tls.RequireAnyClientCert
				srv.VerifyPeerCertificate = func(raw [][]byte, _ [][]*x509.Certificate) error { shown = len(raw); return nil }
			})
			if good := version == tls.VersionTLS13; (err == nil) != good || good && shown == 0 {
				t.Errorf("%s: version %x: %v, %d certificates", name, version, err, shown)
			}
		}
	}
}
