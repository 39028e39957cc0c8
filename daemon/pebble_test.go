//go:build unix

package daemon_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// A pebble is a certificate authority on loopback, Let's Encrypt's own for
// tests. It rejects nonces at random, as it does by default.
type pebble struct {
	directory string
	caFile    string // that its own certificate is verified against
	port      string // that it connects to
	control   string
	client    *http.Client

	mu  sync.Mutex
	log bytes.Buffer
}

func (p *pebble) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *pebble) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// startPebble starts a pebble whose certificates are good for that time. more
// goes into its configuration.
func startPebble(t *testing.T, life time.Duration, more map[string]any, environ ...string) *pebble {
	t.Helper()
	program := netservertest.Peer(t, "pebble")
	ca := netservertest.NewCA(t, "pebble's own")
	own := ca.Issue(t, netservertest.Leaf{Name: "localhost", Hosts: []string{"localhost", "127.0.0.1"}})
	p := &pebble{caFile: ca.File(t), port: freePort(t)}
	api, control := "127.0.0.1:"+freePort(t), "127.0.0.1:"+freePort(t)
	p.directory, p.control = "https://"+api+"/dir", "https://"+control
	p.client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}}
	tlsPort, _ := strconv.Atoi(p.port)
	c := map[string]any{
		"listenAddress": api, "managementListenAddress": control, "certificate": own.CertFile, "privateKey": own.KeyFile,
		"httpPort": 1, "tlsPort": tlsPort, "domainBlocklist": []string{"blocked.example"}, "retryAfter": map[string]int{"authz": 1, "order": 1},
		"keyAlgorithm": "ecdsa",
		"profiles":     map[string]any{"default": map[string]any{"description": "the default", "validityPeriod": int(life / time.Second)}},
	}
	for key, val := range more {
		c[key] = val
	}
	text, err := json.Marshal(map[string]any{"pebble": c})
	if err != nil {
		t.Fatal(err)
	}
	file := writeFile(t, filepath.Join(t.TempDir(), "pebble.json"), string(text))
	cmd := exec.Command(program, "-config", file, "-dnsserver", startDNS(t))
	cmd.Env = append(append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=15", "PEBBLE_AUTHZREUSE=0"), environ...)
	cmd.Stdout, cmd.Stderr = p, p
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if t.Failed() {
			t.Logf("pebble:\n%s", p.text())
		}
	})
	netservertest.Eventually(t, "pebble answers", func() bool {
		resp, err := p.client.Get(p.directory)
		if err == nil {
			resp.Body.Close()
		}
		return err == nil && p.roots(t) != nil
	})
	return p
}

// keys are what a server is started with that gets its certificates here.
func (p *pebble) keys(storage string, more ...string) []string {
	return append([]string{"--port", "127.0.0.1:" + p.port + "/ssl", "--acme_agree", "1", "--acme_directory", p.directory,
		"--acme_ca_file", p.caFile, "--acme_storage", storage, "--log_level", "3"}, more...)
}

// roots returns what verifies the certificates; nil if it cannot be had.
func (p *pebble) roots(t *testing.T) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if b := p.rootPEM(); b == nil || !pool.AppendCertsFromPEM(b) {
		return nil
	}
	return pool
}

func (p *pebble) rootPEM() []byte {
	resp, err := p.client.Get(p.control + "/roots/0")
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil
	}
	return b
}

// startDNS starts a name server for which every name is 127.0.0.1. Pebble asks
// by TCP.
func startDNS(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serveDNS(nc) })
		}
	})
	return l.Addr().String()
}

// serveDNS answers the questions of one client.
func serveDNS(nc net.Conn) {
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(30 * time.Second))
	for {
		var size [2]byte
		if _, err := io.ReadFull(nc, size[:]); err != nil {
			return
		}
		q := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(nc, q); err != nil {
			return
		}
		a := answerDNS(q)
		nc.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...))
	}
}

// answerDNS answers the question of q: an address for A, nothing for others.
func answerDNS(q []byte) []byte {
	end := 12
	for end < len(q) && q[end] != 0 {
		end += int(q[end]) + 1
	}
	if end += 5; end > len(q) {
		return nil
	}
	a := bytes.Clone(q[:end])
	copy(a[2:], []byte{0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	if q[end-4] == 0 && q[end-3] == 1 {
		a[7] = 1
		a = append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1)
	}
	return a
}

// shown returns the certificate that the server shows who asks for a name.
func (p *pebble) shown(name string, protocols ...string) (*x509.Certificate, error) {
	d := &net.Dialer{Timeout: 30 * time.Second}
	c, err := tls.DialWithDialer(d, "tcp", "127.0.0.1:"+p.port, &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: protocols})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0], nil
}

// awaitIssued waits until the server shows one of our certificates for a name,
// other than before.
func (p *pebble) awaitIssued(t *testing.T, name string, before *x509.Certificate) *x509.Certificate {
	t.Helper()
	roots := p.roots(t)
	var c *x509.Certificate
	var err error
	deadline := time.Now().Add(3 * time.Minute) // an order is several turns of a second, and another follows one that fails after a minute
	for {
		c, err = p.shown(name)
		if err == nil && (before == nil || !c.Equal(before)) {
			pool := x509.NewCertPool()
			for _, i := range p.intermediates() {
				pool.AddCert(i)
			}
			if _, err = c.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: pool}); err == nil {
				return c
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("no certificate for %s: %v", name, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (p *pebble) intermediates() []*x509.Certificate {
	resp, err := p.client.Get(p.control + "/intermediates/0")
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return parsePEM(b)
}

// byHTTP is a conf file of a server that gets its certificates here by HTTP-01, with
// a port for that, and TLS beside it. at is where its clients come by HTTP.
func (p *pebble) byHTTP(t *testing.T, dir, name, at, more string) []string {
	t.Helper()
	file := writeFile(t, filepath.Join(dir, name+".toml"), more+`
[[listen]]
port = "`+at+`"
http_redirect = `+p.port+`
[[listen]]
port = "127.0.0.1:`+p.port+`/ssl"
echo = "lines"
`)
	return []string{"--conf_file", file, "--acme_agree", "1", "--acme_directory", p.directory, "--acme_challenge", "http-01",
		"--acme_ca_file", p.caFile, "--acme_storage", filepath.Join(dir, name), "--log_level", "3"}
}

// webPort returns a free port, and what has pebble look there by HTTP.
func webPort(t *testing.T) (port string, conf map[string]any) {
	t.Helper()
	port = freePort(t)
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return port, map[string]any{"httpPort": n}
}
