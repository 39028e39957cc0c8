package netserver_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/conf"
	"netserver/internal/bridge"
	"netserver/netservertest"
	"netserver/outcome"
	"netserver/port"
	"netserver/tlsparams"
)

// Clients are told why their certificate is refused, as far as crypto/tls lets
// a server say it: before TLS 1.3 with the alert that fits, in TLS 1.3 always
// with bad_certificate (golang/go#77378). The record tells it in both.
func TestAlertsAboutClientCertificates(t *testing.T) {
	ca, strangers := netservertest.NewCA(t, "client CA"), netservertest.NewCA(t, "strangers")
	revoked := ca.Issue(t, netservertest.Leaf{Name: "revoked", Client: true})
	now := time.Now()
	for _, tt := range []struct {
		name       string
		pair       netservertest.Pair
		alert, why string
		outcome    outcome.Class
	}{
		{"revoked", revoked, "revoked certificate", "revoked", outcome.Denied},
		{"expired", ca.Issue(t, netservertest.Leaf{Name: "old", Client: true, From: now.Add(-48 * time.Hour), Until: now.Add(-time.Hour)}), "expired certificate", "expired on", outcome.Denied},
		{"unknown authority", strangers.Issue(t, netservertest.Leaf{Name: "stranger", Client: true}), "unknown certificate authority", "is not signed by an authority", outcome.Denied},
		{"made for servers", ca.Issue(t, netservertest.Leaf{Name: "server"}), "unsupported certificate", "lacks clientAuth", outcome.Denied},
		{"on no allow list", ca.Issue(t, netservertest.Leaf{Name: "bob", Client: true}), "access denied", "is on no allow list", outcome.Denied},
		{"none", netservertest.Pair{}, "", "didn't provide a certificate", outcome.NoCertificate},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(tt.name+" "+tls.VersionName(version), func(t *testing.T) {
				s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
				s.Config.TLS.Client = tlsparams.Client{VerifyMode: tlsparams.VerifyRequired, CAFiles: []string{ca.File(t)}, AllowCN: []string{"ann"},
					CheckCRL: "1", CRLFiles: []string{listOf(t, ca, revoked)}}
				r := netservertest.Start(t, s, "ssl")
				cfg := r.ClientTLS()
				cfg.MinVersion, cfg.MaxVersion = version, version
				cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tt.pair.TLS, nil }
				c := tls.Client(r.DialRaw(t, "ssl"), cfg)
				err := c.Handshake()
				if err == nil {
					_, err = c.Read(make([]byte, 1))
				}
				want := tt.alert
				if version == tls.VersionTLS13 && want != "" {
					want = "bad certificate"
				}
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the client got %v, want %s", err, want)
				}
				rec := r.Records(t, 1)[0]
				if rec.Outcome != tt.outcome || !strings.Contains(rec.Err.Error(), tt.why) {
					t.Errorf("record: %v: %v", rec.Outcome, rec.Err)
				}
			})
		}
	}
}

// listOf writes a list of ca that revokes p.
func listOf(t *testing.T, ca *netservertest.Authority, p netservertest.Pair) string {
	t.Helper()
	leaf, err := x509.ParseCertificate(p.TLS.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: leaf.SerialNumber, RevocationTime: time.Now().Add(-time.Hour)}}}, ca.Cert, ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "list.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Behind a PROXY header a certificate is chosen by the address that stands in
// it: that is the one the client has connected to.
func TestCertificateByForwardedAddress(t *testing.T) {
	dir := t.TempDir()
	for _, ip := range []string{"127.0.0.1", "192.0.2.7"} {
		p := netservertest.CA(t).Issue(t, netservertest.Leaf{Name: ip, Hosts: []string{ip}})
		var pair []byte
		for _, f := range []string{p.CertFile, p.KeyFile} {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			pair = append(pair, b...)
		}
		if err := os.WriteFile(filepath.Join(dir, ip+".pem"), pair, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
		_, err := io.WriteString(c, c.LocalAddr().String()+" "+c.NetConn().LocalAddr().(*net.TCPAddr).IP.String())
		return err
	})}
	s.Config.Proxy = proxyFrom(netserver.ProxyAccept, "127.0.0.1")
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: "ssl", IPv: "4", Params: conf.Values{}}}
	s.Config.TLS.CertDir = dir
	r := netservertest.Start(t, s)
	for header, want := range map[string]string{"": "localhost", "PROXY TCP4 192.0.2.99 192.0.2.7 4711 443\r\n": "192.0.2.7"} {
		nc := r.DialRaw(t, "ssl")
		io.WriteString(nc, header)
		c := tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		if got := c.ConnectionState().PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("%q: certificate of %s, want %s", header, got, want)
		}
		if b, _ := io.ReadAll(c); strings.Contains(string(b), "192.0.2.7:443") == (header == "") || !strings.HasSuffix(string(b), " 127.0.0.1") {
			t.Errorf("%q: addresses %s", header, b)
		}
	}
}

// A TLS port whose clients begin in plain text is refused to a Handler that
// never starts TLS, at Transports and, for ports opened elsewhere, at Serve.
func TestPlainStartNeedsAHandlerThatStartsTLS(t *testing.T) {
	never := netserver.HandlerFunc(copyEcho)
	s := &netserver.Server{Handler: never}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: "ssl", IPv: "4"}}
	s.Config.TLS.StartPlain = true
	if _, err := bridge.Of(s.Monitor()).Transports(); err == nil || !strings.Contains(err.Error(), "port 127.0.0.1:0/ssl: SSL_startHandshake 0") {
		t.Errorf("Transports: %v", err)
	}
	if _, err := s.Listen(t.Context()); err == nil {
		t.Error("Listen opens it")
	}
	s.Handler = netserver.StartsTLS(never)
	ls, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Handler = never
	if err := s.Serve(t.Context(), ls...); err == nil || !strings.Contains(err.Error(), "SSL_startHandshake 0") {
		t.Errorf("Serve: %v", err)
	}
}

// VerifyMode 1, as SSL_verify_mode has it, asks; other numbers are refused.
func TestVerifyModeNumbers(t *testing.T) {
	for mode, want := range map[tlsparams.VerifyMode]string{1: "", 3: "", 0: "SSL_ca_file is given", -1: "SSL_ca_file is given", 2: "SSL_verify_mode 2", 4: "SSL_verify_mode 4"} {
		p := tlsparams.Params{Client: tlsparams.Client{VerifyMode: mode, CAFiles: []string{netservertest.CA(t).File(t)}}}
		src, err := p.Source("port 443/ssl", true)
		switch {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%d: %v", mode, err)
		case err == nil && src.Config().ClientAuth == tls.NoClientCert:
			t.Errorf("%d asks nobody", mode)
		}
	}
}

// A port without a protocol is a tcp one, as in text.
func TestPortWithoutProtocol(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "0"}}
	r := netservertest.Start(t, s)
	c := r.DialRaw(t, "tcp")
	c.Write([]byte("x"))
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Error(err)
	}
}
