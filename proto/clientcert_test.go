package proto

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netserver/tlsparams"
)

// An authority for client certificates, in a file, and a client of it.
func clientCA(t *testing.T, notAfter time.Time) (caFile string, client tls.Certificate) {
	t.Helper()
	make := func(tmpl, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if parent == nil {
			parent, by = tmpl, key
		}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), by)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return cert, key
	}
	from := time.Now().Add(-2 * time.Hour)
	ca, caKey := make(&x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "clients"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: from, NotAfter: from.Add(1000 * time.Hour)}, nil, nil)
	leaf, key := make(&x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "client"}, NotBefore: from, NotAfter: notAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, ca, caKey)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return caFile, tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}
}

func demanding(caFile string) tlsparams.Params {
	var p tlsparams.Params
	p.VerifyMode, p.CAFiles = tlsparams.VerifyRequired, []string{caFile}
	return p
}

// The chains of a client are those that Judge has found; until then there are
// none that anybody could take for verified.
func TestChainsAreThoseOfTheLastJudge(t *testing.T) {
	caFile, cert := clientCA(t, time.Now().Add(time.Hour))
	tr := transport(t, demanding(caFile))
	server, client := ends(t)
	srv, _ := greet(t, tr, server, client, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{cert}})
	if chains := srv.ConnectionState().VerifiedChains; len(chains) != 0 {
		t.Errorf("%d chains before Judge", len(chains))
	}
	until, _, err := tr.Judge(context.Background(), srv)
	if err != nil || until.IsZero() {
		t.Fatalf("until %v, %v", until, err)
	}
	if chains := srv.ConnectionState().VerifiedChains; len(chains) != 1 || len(chains[0]) != 2 {
		t.Errorf("chains %v", chains)
	}
	if until, _, err := tr.Judge(context.Background(), srv.Conn); err != nil || until.IsZero() {
		t.Errorf("a connection of crypto/tls: until %v, %v", until, err)
	}
	if until, reason, err := tr.Judge(context.Background(), server); !until.IsZero() || reason != "" || err != nil {
		t.Errorf("a client that has not started TLS: %v, %q, %v", until, reason, err)
	}
}

// A client whose certificate is refused gets the alert that says why, in TLS
// 1.2 in plain text and alone; others get nothing of the kind.
func TestAlertSaysWhyTheCertificateIsRefused(t *testing.T) {
	_, valid := clientCA(t, time.Now().Add(time.Hour))
	old, expired := clientCA(t, time.Now().Add(-time.Hour))
	for _, c := range []struct {
		name, caFile string
		cert         tls.Certificate
		want         string
	}{
		{"expired", old, expired, "expired certificate"},
		{"of an authority that is unknown", old, valid, "unknown certificate authority"},
	} {
		tr := transport(t, demanding(c.caFile))
		server, client := ends(t)
		done := make(chan error, 1)
		go func() { _, err := tr.Ready(context.Background(), server); server.Close(); done <- err }()
		// Go's client picks by the authorities that the server names.
		cfg := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c.cert, nil }}
		in := &tap{Conn: client}
		err := tls.Client(in, cfg).Handshake()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the client got %v, want %s", c.name, err, c.want)
		}
		if err := <-done; err == nil {
			t.Errorf("%s: let in", c.name)
		}
	}

	// A failure that is not about a certificate ends with crypto/tls's own
	// alert, and nothing behind it.
	tr := transport(t, tlsparams.Params{})
	server, client := ends(t)
	io.WriteString(client, "\x16\x03\x01\x00\x04\x63\x00\x00\x00")
	if _, err := tr.Ready(context.Background(), server); err == nil {
		t.Error("no error")
	}
	server.Close()
	if rest, _ := io.ReadAll(client); len(rest) != 7 || rest[0] != 21 {
		t.Errorf("% x came, want one alert", rest)
	}
}
