//go:build unix

package daemon_test

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver/netservertest"
)

// certTeller is a TLS target that answers with the serial number of the
// certificate that it is shown, and with the name it is asked for.
func certTeller(t *testing.T, change func(*tls.Config)) string {
	t.Helper()
	conf := &tls.Config{Certificates: []tls.Certificate{netservertest.CA(t).Issue(t, netservertest.Leaf{}).TLS}, ClientAuth: tls.RequestClientCert}
	if change != nil {
		change(conf)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				c := tls.Server(nc, conf)
				defer c.Close()
				c.SetDeadline(time.Now().Add(30 * time.Second))
				if c.Handshake() != nil {
					return
				}
				cs := c.ConnectionState()
				shown := "none"
				if len(cs.PeerCertificates) > 0 {
					shown = cs.PeerCertificates[0].SerialNumber.String()
				}
				fmt.Fprintf(c, "%s %s", shown, cs.ServerName)
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().String()
}

func caFile(t *testing.T, dir string) string {
	return put(t, dir, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: netservertest.CA(t).Cert.Raw}))
}

// heard is all that a client of addr is told.
func heard(addr string) string {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	b, _ := io.ReadAll(c)
	return string(b)
}

// Root's client key, which workers cannot read, proves who they are to the
// target, also after a renewal; with key_isolation it is in no worker's memory.
func TestClientMode(t *testing.T) {
	rooted(t)
	for _, isolation := range []string{"0", "1"} {
		t.Run("key_isolation "+isolation, func(t *testing.T) {
			to, dir := certTeller(t, nil), openDir(t)
			first, second := newKeyed(t, "P-256"), newKeyed(t, "P-256")
			write := func(k keyed) (cert, key string) {
				return put(t, dir, "cert.pem", k.certPEM()), put(t, dir, "key.pem", k.pem)
			}
			cert, key := write(first)
			r := start(t, "--port", "127.0.0.1:0", "--proxy_to", to, "--backend_tls", "--backend_ca_file", caFile(t, dir), "--backend_servername", "localhost",
				"--backend_cert_file", cert, "--backend_key_file", key, "--key_isolation", isolation)
			addr := r.addr(0)
			r.serving()
			if got, want := heard(addr), first.cert.SerialNumber.String()+" localhost"; got != want {
				t.Errorf("%q, want %q", got, want)
			}
			write(second)
			netservertest.Eventually(t, "the renewed certificate", func() bool {
				return heard(addr) == second.cert.SerialNumber.String()+" localhost"
			})
			if got := memoryHas(t, r.only(), second.secrets(t)); (len(got) > 0) != (isolation == "0") {
				t.Errorf("the worker has %d secrets", len(got))
			}
		})
	}
}

// A target of TLS 1.2 that asks for the certificate of a key that stays with the
// supervisor cannot have it, and the log says why.
func TestClientKeySignsTLS13Only(t *testing.T) {
	rooted(t)
	to, dir := certTeller(t, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), openDir(t)
	k := newKeyed(t, "RSA")
	r := start(t, "--port", "127.0.0.1:0", "--proxy_to", to, "--backend_tls", "--backend_ca_file", caFile(t, dir), "--backend_cert_file", put(t, dir, "both.pem", k.certPEM(), k.pem))
	if got := heard(r.addr(0)); got != "" {
		t.Errorf("%q", got)
	}
	r.wait("proxy_to "+to+": TLS: it asks for a certificate with a version of TLS before 1.3, for which a key that stays with the supervisor cannot sign: set key_isolation 0", 1)
}

// Without a supervisor the process follows the files itself, and [[backend]]
// tables and ports have what they say beside what is said for all.
func TestBackendTLSAlone(t *testing.T) {
	to, dir := certTeller(t, nil), openDir(t)
	first, second := newKeyed(t, "P-256"), newKeyed(t, "P-256")
	both := put(t, dir, "both.pem", first.certPEM(), first.pem)
	file := writeFile(t, filepath.Join(dir, "server.toml"), fmt.Sprintf(`
proxy_to = %q
backend_tls = true
backend_ca_file = %q
backend_cert_file = %q

[[backend]]
name = "as all"
targets = %[1]q

[[backend]]
name = "named"
targets = %[1]q
backend_servername = "localhost"

[[listen]]
port = "%[4]s/all|unix"
[[listen]]
port = "%[4]s/named|unix"
backend = "named"
[[listen]]
port = "%[4]s/as all|unix"
backend = "as all"
[[listen]]
port = "%[4]s/unverified|unix"
backend_ca_file = []
backend_verify = false
`, to, caFile(t, dir), both, dir))
	start(t, "--conf_file", file, "--supervisor", "0")
	netservertest.Eventually(t, "the last port is there", func() bool {
		c, err := net.Dial("unix", filepath.Join(dir, "unverified"))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	number := first.cert.SerialNumber.String()
	for name, want := range map[string]string{"all": number + " ", "named": number + " localhost", "as all": number + " ", "unverified": number + " "} {
		if got := said(t, filepath.Join(dir, name), ""); got != want {
			t.Errorf("port %s: %q, want %q", name, got, want)
		}
	}
	put(t, dir, "both.pem", second.certPEM(), second.pem)
	netservertest.Eventually(t, "the renewed certificate", func() bool {
		return said(t, filepath.Join(dir, "named"), "") == second.cert.SerialNumber.String()+" localhost"
	})
}

func TestBackendTLSProblems(t *testing.T) {
	dir := openDir(t)
	ca := caFile(t, dir)
	for _, c := range []struct {
		name, text string
		args       []string
		want       string
	}{
		{"no TLS", "", []string{"--port=1", "--proxy_to=127.0.0.1:9", "--backend_ca_file=" + ca},
			"backend_ca_file has no effect without backend_tls (argument 7); give backend_tls too, or leave backend_ca_file out"},
		{"datagrams", "", []string{"--port=1/udp", "--proxy_to=127.0.0.1:9", "--backend_tls"},
			"backend_tls has no effect on ports for datagrams (argument 7); leave it out"},
		{"datagrams among ports", "", []string{"--port=1", "--port=2/udp", "--proxy_to=127.0.0.1:9", "--backend_tls", "--backend_ca_file=" + ca},
			"port 2/udp: datagrams cannot go over TLS: backend_tls is for ports with connections (argument 7)"},
		{"a socket", "", []string{"--port=1", "--proxy_to=/run/x", "--backend_tls", "--backend_ca_file=" + ca},
			"backend_tls: /run/x has no host, so the name that its certificate has to be for is not known: give backend_verify_name, or backend_pin, or backend_verify 0 (argument 6)"},
		{"a missing file", "[[backend]]\nname = 'a'\ntargets = '127.0.0.1:9'\nbackend_tls = true\nbackend_ca_file = '/missing/ca.pem'\n[[listen]]\nport = 1\nbackend = 'a'\n", nil,
			"the [[backend]] a: backend_ca_file: /missing/ca.pem does not exist; give the path of a file (f.toml:1)"},
		{"versions", "[[backend]]\nname = 'a'\ntargets = '127.0.0.1:9'\nbackend_tls = true\nbackend_version = 'SSLv3'\n[[listen]]\nport = 1\nbackend = 'a'\n", nil,
			"(f.toml:5)"},
	} {
		code, _, stderr, _ := checkFile(t, c.text, c.args...)
		if got := strings.TrimSpace(strings.ReplaceAll(stderr, "netserver: ", "")); code != 2 || !strings.HasSuffix(got, c.want) {
			t.Errorf("%s: status %d\n got %s\nwant %s", c.name, code, got, c.want)
		}
	}
	code, _, stderr, _ := checkFile(t, "", "--port=1", "--proxy_to=127.0.0.1:9", "--backend_tls", "--backend_verify=0")
	if code != 0 || !strings.Contains(stderr, "proxy_to 127.0.0.1:9: backend_verify 0: whoever answers in a target's place is believed") {
		t.Errorf("status %d, %s", code, stderr)
	}
}
