// Command autocert greets clients over TLS, with a certificate for whichever of
// the names on its command line they ask for. It gets each when a client first
// asks for it: here from an authority of its own, which stands for an
// autocert.Manager (golang.org/x/crypto/acme/autocert) or a certmagic.Config.
// With one of these, main has TLSConfig: manager.TLSConfig(), and the rest of
// the page goes.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log"
	"math/big"
	"os"
	"os/signal"
	"slices"
	"sync"
	"time"

	"netserver"
	"netserver/port"
)

// A manager makes certificates for names and keeps them.
type manager struct {
	names []string

	mu    sync.Mutex
	certs map[string]*tls.Certificate
}

// GetCertificate is called for each handshake that resumes no session. Nil
// without an error is the alert unrecognized_name.
func (m *manager) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := hello.ServerName
	if !slices.Contains(m.names, name) {
		return nil, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.certs[name]; c != nil && time.Until(c.Leaf.NotAfter) > 30*24*time.Hour {
		return c, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	if err != nil {
		return nil, err
	}
	log.Printf("new certificate for %s", name)
	m.certs[name] = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	return m.certs[name], nil
}

func greet(_ context.Context, c *netserver.Conn) error {
	_, err := fmt.Fprintf(c, "hello, this is %s\r\n", c.TLS().ServerName)
	return err
}

func main() {
	m := &manager{names: os.Args[1:], certs: make(map[string]*tls.Certificate)}
	s := &netserver.Server{Handler: netserver.HandlerFunc(greet), TLSConfig: &tls.Config{GetCertificate: m.GetCertificate}}
	s.Config.Ports = []port.Spec{{Host: "*", Port: "443", Proto: "ssl"}}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := s.ListenAndServe(ctx); err != nil {
		log.Fatal(err)
	}
}
