package netserver_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"

	"netserver"
	"netserver/netservertest"
	"netserver/outcome"
	"netserver/tlsparams"
)

// Each way in which a handshake fails has its class. crypto/tls tells most of
// them only by words, so this test fails when they change.
func TestHandshakeOutcomes(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(c *netserver.Config)
		talk func(t *testing.T, r *netservertest.Running, c net.Conn)
		want outcome.Class
	}{
		{"probe", nil, func(*testing.T, *netservertest.Running, net.Conn) {}, outcome.Probe},
		{"not TLS", nil, func(_ *testing.T, _ *netservertest.Running, c net.Conn) { c.Write([]byte("HELO there\r\n")) }, outcome.NotTLS},
		{"version", func(c *netserver.Config) { c.TLS.Version = "TLSv1_3" },
			client(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), outcome.NoVersion},
		{"suite", nil, client(func(c *tls.Config) {
			c.MaxVersion = tls.VersionTLS12
			c.CipherSuites = []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}
		}), outcome.NoSuite},
		{"protocol", func(c *netserver.Config) { c.TLS.ALPN = []string{"imap"} },
			client(func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }), outcome.NoProtocol},
		{"unknown name", func(c *netserver.Config) { c.TLS.UnknownSNI = "refuse" },
			client(func(c *tls.Config) { c.ServerName = "other.example" }), outcome.UnknownName},
		{"the client refuses the certificate", nil, client(func(c *tls.Config) { c.RootCAs, c.InsecureSkipVerify = nil, false }), outcome.Alert},
		{"reset", nil, func(t *testing.T, _ *netservertest.Running, c net.Conn) {
			c.Write(hello(t))
			io.ReadFull(c, make([]byte, 10))
			c.(*net.TCPConn).SetLinger(0)
		}, outcome.Reset},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
			if tt.set != nil {
				tt.set(&s.Config)
			}
			r := netservertest.Start(t, s, "ssl")
			c := r.DialRaw(t, "ssl")
			tt.talk(t, r, c)
			c.Close()
			rec := r.Records(t, 1)[0]
			if rec.Outcome != tt.want {
				t.Errorf("%v: %v", rec.Outcome, rec.Err)
			}
			if e := new(netserver.Error); !errors.As(rec.Err, &e) || e.Outcome() != tt.want {
				t.Errorf("the error's outcome: %v, %v", e.Outcome(), rec.Err)
			}
		})
	}
}

func client(set func(c *tls.Config)) func(*testing.T, *netservertest.Running, net.Conn) {
	return func(_ *testing.T, r *netservertest.Running, c net.Conn) {
		cfg := r.ClientTLS().Clone()
		set(cfg)
		tls.Client(c, cfg).Handshake()
	}
}

func TestEveryOutcomeHasAName(t *testing.T) {
	seen := map[string]bool{}
	for o := range outcome.Count {
		if s := o.String(); s == "" || s == "unknown" || seen[s] {
			t.Errorf("outcome %d is called %q", o, s)
		} else {
			seen[s] = true
		}
	}
}

// A handshake that fails in StartTLS is counted as at a TLS port, whether the
// client's certificate is refused by the rules or is none at all.
func TestStartTLSOutcomes(t *testing.T) {
	ca, other := netservertest.NewCA(t, "clients"), netservertest.NewCA(t, "others")
	show := func(a *netservertest.Authority, name string) func(*testing.T, *netservertest.Running, net.Conn) {
		return client(func(c *tls.Config) {
			cert := a.Issue(t, netservertest.Leaf{Name: name, Client: true}).TLS
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
			c.MaxVersion = tls.VersionTLS12 // the client hears of it in its handshake
		})
	}
	for _, tt := range []struct {
		name   string
		talk   func(t *testing.T, r *netservertest.Running, c net.Conn)
		want   outcome.Class
		denied bool
	}{
		{"a name that is not allowed", show(ca, "bob"), outcome.Denied, true},
		{"another authority", show(other, "ann"), outcome.Denied, true},
		{"no certificate", client(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), outcome.NoCertificate, false},
		{"the client refuses ours", client(func(c *tls.Config) { c.RootCAs, c.InsecureSkipVerify = nil, false }), outcome.Alert, false},
		{"not TLS", func(_ *testing.T, _ *netservertest.Running, c net.Conn) { io.WriteString(c, "HELO there\r\n") }, outcome.NotTLS, false},
		{"the client leaves", func(*testing.T, *netservertest.Running, net.Conn) {}, outcome.Left, false},
	} {
		for _, begins := range []string{"ssl", "starttls"} {
			if begins == "ssl" && tt.want == outcome.Left {
				continue // which is a probe there
			}
			t.Run(tt.name+" "+begins, func(t *testing.T) {
				s := &netserver.Server{Handler: netserver.StartsTLS(netserver.HandlerFunc(startTLSHandler))}
				s.Config.TLS.StartPlain = begins == "starttls"
				s.Config.TLS.Client = tlsparams.Client{CAFiles: []string{ca.File(t)}, VerifyMode: tlsparams.VerifyRequired, AllowCN: []string{"ann"}}
				r := netservertest.Start(t, s, "ssl")
				c := r.DialRaw(t, "ssl")
				if s.Config.TLS.StartPlain {
					ask(t, c, "STARTTLS", "go ahead")
				}
				tt.talk(t, r, c)
				c.Close()
				rec := r.Records(t, 1)[0]
				if rec.Outcome != tt.want || errors.Is(rec.Err, netserver.ErrDenied) != tt.denied {
					t.Errorf("%v: %v", rec.Outcome, rec.Err)
				}
			})
		}
	}
}
