//go:build unix

package daemon_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver"
	"netserver/daemon"
	"netserver/netservertest"
	"netserver/port"
)

// selfMade makes a certificate in code, whose common name is name.
func selfMade(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(100 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// tlsConfigProgram is a program of a library's user whose certificates are made
// in code: by each process for itself, with its number as the common name. For
// names that begin with "get" GetCertificate makes them, and while the file in
// DAEMON_TEST_BAD exists, TLSConfig is one that no process can serve with.
func tlsConfigProgram() int {
	cert, err := selfMade(fmt.Sprint(os.Getpid()))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cfg := &tls.Config{
		Certificates: []tls.Certificate{cert},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if !strings.HasPrefix(hello.ServerName, "get") {
				return nil, nil // that is one of Certificates
			}
			c, err := selfMade(fmt.Sprintf("%s by %d", hello.ServerName, os.Getpid()))
			return &c, err
		},
		ClientAuth:       tls.RequireAnyClientCert,
		VerifyConnection: func(cs tls.ConnectionState) error { return refuseBob(cs.PeerCertificates) },
	}
	if _, err := os.Stat(os.Getenv("DAEMON_TEST_BAD")); err == nil {
		cfg.Certificates = []tls.Certificate{{}}
	}
	s := &netserver.Server{TLSConfig: cfg, Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
		for {
			line, err := c.ReadLine()
			if err != nil {
				return err
			}
			fmt.Fprintf(c, "%d said %s\n", os.Getpid(), line)
		}
	})}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: "ssl", IPv: "4"}}
	h := daemon.Hooks{Serving: func() { fmt.Fprintln(os.Stderr, "hook serving") }}
	if err := daemon.Run(context.Background(), s, daemon.Config{}, h, daemon.Layers(os.Args[1:], os.Environ())...); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	return 0
}

func refuseBob(chain []*x509.Certificate) error {
	if chain[0].Subject.CommonName == "bob" {
		return errors.New("not bob")
	}
	return nil
}

// A tlsClient is connected to tlsConfigProgram.
type tlsClient struct {
	*tls.Conn
	t testing.TB
	r *bufio.Reader
}

// dialAs connects as name and asks for the server's name sni.
func dialAs(t testing.TB, addr, name, sni string) (*tlsClient, error) {
	t.Helper()
	cert, err := selfMade(name)
	if err != nil {
		t.Fatal(err)
	}
	d := &net.Dialer{Timeout: 20 * time.Second}
	c, err := tls.DialWithDialer(d, "tcp", addr, &tls.Config{InsecureSkipVerify: true, ServerName: sni, Certificates: []tls.Certificate{cert}})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(60 * time.Second))
	return &tlsClient{c, t, bufio.NewReader(c)}, nil
}

// shows returns the common name of the server's certificate.
func (c *tlsClient) shows() string {
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// process asks which process serves c.
func (c *tlsClient) process() int {
	c.t.Helper()
	fmt.Fprint(c, "hello\n")
	line, err := c.r.ReadString('\n')
	var pid int
	if _, bad := fmt.Sscanf(line, "%d said hello\n", &pid); err != nil || bad != nil {
		c.t.Fatalf("got %q, %v", line, err)
	}
	return pid
}

// servedByTLSConfig lets ann come in twice and returns the process that served her: it has
// shown the certificates that its own main has made. Bob is refused.
func servedByTLSConfig(t testing.TB, addr string) int {
	t.Helper()
	c, err := dialAs(t, addr, "ann", "")
	if err != nil {
		t.Fatal(err)
	}
	pid := c.process()
	if got := c.shows(); got != fmt.Sprint(pid) {
		t.Errorf("process %d shows the certificate of %s", pid, got)
	}
	c.Close()
	if c, err = dialAs(t, addr, "ann", "get.example"); err != nil {
		t.Fatal(err)
	}
	if got, want := c.shows(), fmt.Sprintf("get.example by %d", c.process()); got != want {
		t.Errorf("GetCertificate: %q is shown, want %q", got, want)
	}
	c.Close()
	if c, err = dialAs(t, addr, "bob", ""); err == nil { // TLS 1.3 tells him by the first read
		if _, err = c.r.ReadByte(); err == nil {
			t.Error("bob came in")
		}
	}
	return pid
}

// TestTLSConfigUnderASupervisor: certificates from code are served by workers,
// after a reload by those of the new generation, while a client of the old one
// stays, and by the one that replaces a worker that was killed.
func TestTLSConfigUnderASupervisor(t *testing.T) {
	for _, args := range [][]string{nil, {"PreForkSimple", "--max_servers", "1"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			bad := t.TempDir() + "/bad"
			t.Setenv("DAEMON_TEST_BAD", bad)
			r := startProgram(t, os.Args[0], "tlsconfig", append(args, "--log_level", "3")...)
			addr := r.addr(0)
			r.wait("hook serving", 1)
			if os.Geteuid() == 0 {
				r.wait("key_isolation: certificates that the program's own code gives have their keys in every process", 1)
			}
			if strings.Contains(r.text(), "Port Not Defined") {
				t.Error("the program gives a port")
			}
			first := servedByTLSConfig(t, addr)
			if first == r.pid() {
				t.Fatal("the supervisor itself serves")
			}
			stays, err := dialAs(t, addr, "ann", "")
			if err != nil {
				t.Fatal(err)
			}
			stays.process()

			r.signal(syscall.SIGHUP)
			r.wait("hook serving", 2)
			second := first
			netservertest.Eventually(t, "another process serves after the reload", func() bool { // for a moment both take clients
				second = servedByTLSConfig(t, addr)
				return second != first
			})
			if got := stays.process(); got != first {
				t.Errorf("the client from before the reload is served by %d, not %d", got, first)
			}
			stays.Close()
			r.only(first)

			writeFile(t, bad, "")
			r.signal(syscall.SIGHUP)
			r.wait("TLSConfig.Certificates", 1)
			if got := servedByTLSConfig(t, addr); got != second {
				t.Errorf("after a refused reload process %d serves, not %d", got, second)
			}
			if err := os.Remove(bad); err != nil {
				t.Fatal(err)
			}

			syscall.Kill(second, syscall.SIGKILL)
			r.only(first, second)
			if third := servedByTLSConfig(t, addr); third == second {
				t.Errorf("process %d serves after it was killed", third)
			}
			if code := r.end(syscall.SIGTERM); code != 0 {
				t.Errorf("exit status %d", code)
			}
		})
	}
}

// TestParametersBesideTLSConfig: what both would say stops the start, and so
// does a key that would be kept from workers, who have it in their own code.
func TestParametersBesideTLSConfig(t *testing.T) {
	pair := netservertest.CA(t).Issue(t, netservertest.Leaf{Name: "localhost"})
	for want, args := range map[string][]string{
		"SSL_cert_file":          {"--SSL_cert_file", pair.CertFile, "--SSL_key_file", pair.KeyFile},
		"RequireAnyClientCert":   {"--SSL_allow_cn", "ann"},
		"the program's own code": {"--key_isolation", "1"},
	} {
		r := startProgram(t, os.Args[0], "tlsconfig", args...)
		if code := r.status(); code == 0 || !strings.Contains(r.text(), want) {
			t.Errorf("%v: status %d, and no %q", args, code, want)
		}
	}
}

// TestBlocksGoBeforePortsFromCode: an operator's [[listen]] is not passed over
// for the ports that the program gives, as --port is not.
func TestBlocksGoBeforePortsFromCode(t *testing.T) {
	file := writeFile(t, t.TempDir()+"/server.toml", "[[listen]]\nport = \"127.0.0.1:0\"\n[[listen]]\nport = \"127.0.0.1:0/udp\"\n")
	r := startProgram(t, os.Args[0], "library", "--conf_file", file)
	r.wait("hook bound 2", 1)
}
