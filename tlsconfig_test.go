package netserver_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/conf"
	"netserver/internal/bridge"
	"netserver/netservertest"
	"netserver/port"
	"netserver/tlsparams"
)

func issue(t *testing.T, ca *netservertest.Authority, l netservertest.Leaf) tls.Certificate {
	return ca.Issue(t, l).TLS
}

// TestTLSConfigServes a tls port and StartTLS on plain ports, with client
// certificates that its own authorities have signed.
func TestTLSConfigServes(t *testing.T) {
	ca := netservertest.NewCA(t, "client CA")
	cert := issue(t, netservertest.CA(t), netservertest.Leaf{Name: "localhost", Hosts: []string{"localhost", "127.0.0.1"}})
	asked := make(chan string, 9)
	s := &netserver.Server{
		Handler: netserver.StartsTLS(netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
			if c.TLS() == nil {
				if _, err := c.ReadLine(); err != nil {
					return err
				}
				fmt.Fprint(c, "go ahead\r\n")
				if err := c.StartTLS(ctx); err != nil {
					return err
				}
			}
			st := c.TLS()
			_, err := fmt.Fprintf(c, "%s %d %s", st.PeerCertificates[0].Subject.CommonName, len(st.VerifiedChains), st.NegotiatedProtocol)
			return err
		})),
		TLSConfig: &tls.Config{
			GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				asked <- hello.ServerName
				return &cert, nil
			},
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(), NextProtos: []string{"x"},
		},
	}
	protos := []string{"ssl", "tcp", "unix"}
	r := netservertest.Start(t, s, protos...)
	for _, name := range protos {
		for who, by := range map[string]*netservertest.Authority{"ann": ca, "eve": netservertest.NewCA(t, "another CA")} {
			pair := issue(t, by, netservertest.Leaf{Name: who, Client: true})
			cfg := r.ClientTLS()
			cfg.NextProtos, cfg.ServerName = []string{"x"}, "localhost"
			cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
			nc := r.DialRaw(t, name)
			nc.SetDeadline(time.Now().Add(20 * time.Second))
			if name != "ssl" {
				ask(t, nc, "STARTTLS", "go ahead")
			}
			b, err := io.ReadAll(tls.Client(nc, cfg))
			if who == "ann" && (string(b) != "ann 1 x" || err != nil) || who == "eve" && err == nil {
				t.Errorf("%s, %s: %q, %v", name, who, b, err)
			}
			if got := <-asked; got != "localhost" {
				t.Errorf("asked for %q", got)
			}
		}
	}
	denied := 0
	for _, rec := range r.Records(t, 2*len(protos)) {
		if d := (*tlsparams.Denied)(nil); errors.As(rec.Err, &d) {
			denied++
		}
	}
	if denied != len(protos) {
		t.Errorf("%d clients were denied by their certificates, want %d", denied, len(protos))
	}
}

// TestTLSConfigAtListen: what TLSConfig brings is enough on any address, and
// what it says against a port's parameters is an error that names the port and
// both. A port can be without it.
func TestTLSConfigAtListen(t *testing.T) {
	pair := netservertest.CA(t).Issue(t, netservertest.Leaf{})
	p := port.Spec{Host: "192.0.2.1", Port: "443", Proto: "ssl", IPv: "4"}
	s := &netserver.Server{TLSConfig: &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair.TLS, nil }}}
	s.Config.Ports = []port.Spec{p}
	if _, err := bridge.Of(s.Monitor()).Transports(); err != nil {
		t.Errorf("GetCertificate alone: %v", err)
	}
	own := p
	own.Port, own.Params = "444", conf.Values{}
	own.Params.Set("SSL_cert_file", pair.CertFile)
	own.Params.Set("SSL_key_file", pair.KeyFile)
	s.Config.Ports = append(s.Config.Ports, own)
	_, err := s.Listen(t.Context())
	for _, want := range []string{"192.0.2.1:444", "SSL_cert_file " + pair.CertFile, "TLSConfig.GetCertificate"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	s.TLS.ForPort = func(p port.Spec, env *tlsparams.Env) {
		if p.Port == "444" {
			env.TLSConfig = nil
		}
	}
	if ts, err := bridge.Of(s.Monitor()).Transports(); err != nil || len(ts) != 2 {
		t.Errorf("with TLS.ForPort: %v", err)
	}
}
