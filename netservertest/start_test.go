package netservertest_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/netservertest"
	"netserver/port"
)

func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "16") // those that are parallel wait, and do not work
	os.Exit(netservertest.Main(m))
}

func echo(_ context.Context, c *netserver.Conn) error {
	_, err := io.Copy(c, c)
	return err
}

func TestStartEveryProtocol(t *testing.T) {
	netservertest.CheckLeaks(t)
	r := netservertest.Start(t, &netserver.Server{Handler: netserver.HandlerFunc(echo)})
	for _, proto := range netservertest.Protos() {
		c := r.Dial(t, proto)
		fmt.Fprint(c, "hello "+proto)
		b := make([]byte, 100)
		n, err := c.Read(b)
		if got := string(b[:n]); got != "hello "+proto || err != nil {
			t.Errorf("%s: got %q, %v", proto, got, err)
		}
		c.Close()
	}
	recs := r.Records(t, len(netservertest.Protos()))
	for _, rec := range recs {
		if rec.Err != nil || rec.In == 0 || rec.In != rec.Out {
			t.Errorf("record: %+v", rec)
		}
	}
	if err := r.Stop(t); err != nil {
		t.Error(err)
	}
	if !strings.Contains(r.Log(), "served") {
		t.Errorf("log: %s", r.Log())
	}
}

func TestStartKeepsHooksAndPorts(t *testing.T) {
	closed := make(chan uint64, 1)
	s := &netserver.Server{Handler: netserver.HandlerFunc(echo)}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: "ssl", IPv: "4"}}
	s.Hooks.Closed = func(_ *netserver.Conn, r netserver.Record) { closed <- r.ID }
	r := netservertest.Start(t, s)
	cert := netservertest.CA(t).Issue(t, netservertest.Leaf{Name: "someone", Client: true})
	cfg := r.ClientTLS()
	cfg.Certificates = []tls.Certificate{cert.TLS}
	c := r.DialTLS(t, cfg)
	if got := c.ConnectionState().PeerCertificates[0].Subject.CommonName; got != "localhost" {
		t.Errorf("the server is %q", got)
	}
	c.Close()
	if id := <-closed; id != 1 {
		t.Errorf("client %d", id)
	}
}

func TestDialRefusesAnotherAuthority(t *testing.T) {
	r := netservertest.Start(t, &netserver.Server{Handler: netserver.HandlerFunc(echo)}, "ssl")
	cfg := r.ClientTLS()
	cfg.RootCAs = netservertest.NewCA(t, "stranger").Pool()
	if err := tls.Client(r.DialRaw(t, "ssl"), cfg).Handshake(); err == nil {
		t.Error("the certificate came from another authority")
	}
}

func TestStopDrains(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echo)}
	r := netservertest.Start(t, s, "tcp")
	c := r.Dial(t, "tcp")
	fmt.Fprintln(c, "one")
	in := bufio.NewReader(c)
	in.ReadString('\n')
	r.Drain()
	netservertest.Eventually(t, "the port is closed", func() bool {
		nc, err := net.DialTimeout("tcp", r.Addr(t, "tcp").String(), time.Second)
		if err == nil {
			nc.Close()
		}
		return err != nil
	})
	fmt.Fprintln(c, "two")
	if got, err := in.ReadString('\n'); got != "two\n" || err != nil {
		t.Errorf("while draining: %q, %v", got, err)
	}
	c.Close()
	if err := r.Stop(t); err != nil && !errors.Is(err, netserver.ErrCut) {
		t.Error(err)
	}
}

func TestPairWorksForOtherPrograms(t *testing.T) {
	openssl := netservertest.Peer(t, "openssl")
	ca := netservertest.CA(t)
	for _, l := range []netservertest.Leaf{{}, {Name: "a client", Client: true}} {
		p := ca.Issue(t, l)
		purpose := "sslserver"
		if l.Client {
			purpose = "sslclient"
		}
		out, err := exec.Command(openssl, "verify", "-purpose", purpose, "-CAfile", ca.File(t), p.CertFile).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
		if out, err := exec.Command(openssl, "pkey", "-in", p.KeyFile, "-noout").CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}
