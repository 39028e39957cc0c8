package protocol

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"netserver"
	"netserver/conf"
	"netserver/netservertest"
	"netserver/outcome"
	"netserver/port"
	"netserver/proto"
)

func TestMain(m *testing.M) { os.Exit(netservertest.Main(m)) }

// protocols are all that is tested, with what a client sends first.
var protocols = map[string]struct {
	make  proto.Protocol
	first string
}{
	"greeted": {Greeted, password},
	"bare":    {Bare, ""},
}

// A server has files that a test can replace.
type server struct {
	*netservertest.Running
	name, first     string
	dir, cert, list string
	clients         *netservertest.Authority
}

func start(t *testing.T, name string, set func(*netserver.Config), params map[string]string) *server {
	t.Helper()
	dir := t.TempDir()
	s := &server{name: name, first: protocols[name].first, dir: dir, cert: filepath.Join(dir, "cert.pem"), list: filepath.Join(dir, "crl.pem"),
		clients: netservertest.NewCA(t, "client CA")}
	s.replace(t, s.cert, s.pair(t))
	s.revoke(t)
	p := port.Spec{Host: "127.0.0.1", Port: "0", Proto: name, IPv: "4", Params: conf.Values{}}
	for k, v := range map[string]string{"SSL_cert_file": s.cert, "SSL_verify_mode": "1", "SSL_ca_file": s.clients.File(t),
		"SSL_check_crl": "1", "SSL_crl_file": s.list} {
		p.Params.Set(k, v)
	}
	for k, v := range params {
		p.Params.Set(k, v)
	}
	srv := &netserver.Server{Protocols: map[string]proto.Protocol{name: protocols[name].make}, Handler: netserver.HandlerFunc(echoLines)}
	srv.Config.Ports = []port.Spec{p}
	if set != nil {
		set(&srv.Config)
	}
	s.Running = netservertest.Start(t, srv)
	return s
}

func echoLines(_ context.Context, c *netserver.Conn) error {
	for {
		line, err := c.ReadLine()
		if err != nil {
			return err
		}
		fmt.Fprintf(c, "%s\n", line)
	}
}

func (s *server) replace(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// pair makes a certificate with its key.
func (s *server) pair(t *testing.T) []byte {
	pair := netservertest.CA(t).Issue(t, netservertest.Leaf{})
	var all []byte
	for _, f := range []string{pair.CertFile, pair.KeyFile} {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

func (s *server) revoke(t *testing.T, certs ...*x509.Certificate) {
	list := &x509.RevocationList{Number: big.NewInt(time.Now().UnixNano()), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}
	for _, c := range certs {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: list.ThisUpdate})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, s.clients.Cert, s.clients.Key)
	if err != nil {
		t.Fatal(err)
	}
	s.replace(t, s.list, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}

// dial returns a client that has said what comes first, and its TLS.
func (s *server) dial(t *testing.T, who *tls.Certificate) (*tls.Conn, error) {
	cfg := s.ClientTLS()
	if who != nil {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return who, nil }
	}
	c, err := tls.Dial("tcp", s.Addr(t, s.name).String(), cfg)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprint(c, s.first+"hello\n")
	line, err := bufio.NewReader(c).ReadString('\n')
	if line != "hello\n" {
		return nil, fmt.Errorf("got %q, %w", line, err)
	}
	return c, nil
}

func each(t *testing.T, f func(t *testing.T, name string)) {
	for name := range protocols {
		t.Run(name, func(t *testing.T) { f(t, name) })
	}
}

// TestHelloWait: clients wait for their hello as those of our TLS do, in its
// phases.
func TestHelloWait(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		t.Parallel()
		s := start(t, name, func(c *netserver.Config) {
			c.Timeouts.FirstByte, c.Timeouts.Hello = time.Second, time.Second
		}, nil)
		if c, err := s.dial(t, nil); err != nil {
			t.Error(err)
		} else {
			c.Close()
		}
		s.Records(t, 1)
		for sent, want := range map[string]outcome.Class{"": outcome.FirstByte, "\x16\x03\x01\x02\x00\x01": outcome.Hello} {
			nc, err := net.Dial("tcp", s.Addr(t, name).String())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			io.WriteString(nc, sent)
		wait:
			for n := 2; ; n++ {
				for _, r := range s.Records(t, n) {
					if r.Outcome == want && r.Stage == netserver.StageHandshake {
						break wait
					}
				}
			}
		}
	})
}

// TestLineLimit: SSL_max_getline_length bounds lines.
func TestLineLimit(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		s := start(t, name, nil, map[string]string{"SSL_max_getline_length": "10"})
		c, err := s.dial(t, nil)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, "more than ten bytes\n")
		if r := s.Records(t, 1)[0]; !errors.Is(r.Err, netserver.ErrLineTooLong) {
			t.Error(r.Err)
		}
	})
}

// TestReload: a certificate that is replaced is served while the server runs.
func TestReload(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		s := start(t, name, nil, nil)
		c, err := s.dial(t, nil)
		if err != nil {
			t.Fatal(err)
		}
		old := c.ConnectionState().PeerCertificates[0]
		s.replace(t, s.cert, s.pair(t))
		netservertest.Eventually(t, "the new certificate is served", func() bool {
			c, err := s.dial(t, nil)
			if err != nil {
				t.Fatal(err)
			}
			return !c.ConnectionState().PeerCertificates[0].Equal(old)
		})
	})
}

// TestRevocation: a client on a revocation list does not come in, and one that
// is here when it gets there is cut; others stay.
func TestRevocation(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		s := start(t, name, nil, nil)
		ann := s.clients.Issue(t, netservertest.Leaf{Name: "ann", Client: true}).TLS
		bob := s.clients.Issue(t, netservertest.Leaf{Name: "bob", Client: true}).TLS
		a, err := s.dial(t, &ann)
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.dial(t, &bob)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(ann.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		s.revoke(t, leaf)
		io.Copy(io.Discard, a)
		if r := s.Records(t, 1)[0]; r.Outcome != outcome.Denied {
			t.Error(r.Err)
		}
		if _, err := s.dial(t, &ann); err == nil {
			t.Error("a revoked client came in")
		}
		fmt.Fprint(b, "still here\n")
		if line, err := bufio.NewReader(b).ReadString('\n'); line != "still here\n" {
			t.Errorf("the other client: %q, %v", line, err)
		}
	})
}

// TestCases runs what every Transport has to pass.
func TestCases(t *testing.T) {
	pair := netservertest.CA(t).Issue(t, netservertest.Leaf{})
	for name, p := range protocols {
		spec := port.Spec{Proto: name, Params: conf.Values{}}
		spec.Params.Set("SSL_cert_file", pair.CertFile)
		spec.Params.Set("SSL_key_file", pair.KeyFile)
		t.Run(name, func(t *testing.T) {
			netservertest.TestTransport(t, netservertest.TransportTest{Protocol: p.make, Port: spec,
				Client: func(ctx context.Context, nc net.Conn) (net.Conn, error) {
					c := tls.Client(nc, &tls.Config{RootCAs: netservertest.CA(t).Pool(), ServerName: "localhost"})
					if err := c.HandshakeContext(ctx); err != nil {
						return nil, err
					}
					_, err := io.WriteString(c, p.first)
					return c, err
				}})
		})
	}
}
