package main_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"netserver/internal/control"
	"netserver/netservertest"
)

// A misbehaver is a client that is not served, at a port of its own, and the
// outcome that it must be found by.
type misbehaver struct {
	outcome string
	keys    string // of its [[listen]] block, beside the port; CERT and CA are files
	do      func(o *misbehaving, c net.Conn)
}

// misbehaving is the server with all of them, and what a client may need.
type misbehaving struct {
	*server
	bed     *tlsBed
	control string
	hello   []byte // of a client of TLS
}

const (
	overTLS  = "SSL_cert_file = \"CERT\"\n"
	soonIdle = "timeout_idle = 0.3\n"
)

// misbehavers are kept connected until all are found, unless they leave.
var misbehavers = []misbehaver{
	{"not tls", overTLS, func(_ *misbehaving, c net.Conn) { fmt.Fprint(c, "GET / HTTP/1.0\r\n\r\n") }},
	{"first byte timeout", overTLS + "timeout_first_byte = 0.3\n", func(*misbehaving, net.Conn) {}},
	{"hello timeout", overTLS + "timeout_hello = 0.3\n", func(o *misbehaving, c net.Conn) { c.Write(o.hello[:9]) }},
	{"handshake timeout", overTLS + "timeout_handshake = 0.5\n", func(o *misbehaving, c net.Conn) { c.Write(o.hello) }},
	{"no certificate", overTLS + "SSL_verify_mode = 3\nSSL_ca_file = \"CA\"\n", func(o *misbehaving, c net.Conn) { o.shake(c, func(*tls.Config) {}) }},
	{"denied", overTLS + "SSL_verify_mode = 3\nSSL_ca_file = \"CA\"\n", func(o *misbehaving, c net.Conn) {
		o.shake(c, func(cfg *tls.Config) {
			cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &o.bed.bob.tls, nil }
		})
	}},
	{"unknown name", overTLS + "SSL_unknown_sni = \"refuse\"\n", func(o *misbehaving, c net.Conn) {
		o.shake(c, func(cfg *tls.Config) { cfg.ServerName = "other.example" })
	}},
	{"no common version", overTLS + "SSL_version = \"TLSv1_3\"\n", func(o *misbehaving, c net.Conn) {
		o.shake(c, func(cfg *tls.Config) { cfg.MaxVersion = tls.VersionTLS12 })
	}},
	{"alert", overTLS, func(o *misbehaving, c net.Conn) {
		o.shake(c, func(cfg *tls.Config) { cfg.RootCAs, cfg.InsecureSkipVerify = o.bed.ca.Pool(), false })
	}},
	{"reset", overTLS, func(o *misbehaving, c net.Conn) {
		c.Write(o.hello)
		c.(*net.TCPConn).SetLinger(0)
		io.ReadFull(c, make([]byte, 1)) // its handshake is under way
		c.Close()
	}},
	{"over limit", "max_per_source = 1\n", func(o *misbehaving, c net.Conn) {
		fmt.Fprint(c, "x")
		io.ReadFull(c, make([]byte, 1)) // it is the one that may be there
		second, err := net.Dial("tcp", c.RemoteAddr().String())
		if err != nil {
			o.t.Error(err)
			return
		}
		io.Copy(io.Discard, second)
		second.Close()
	}},
	{"denied", "cidr_deny = \"127.0.0.0/8\"\n", func(*misbehaving, net.Conn) {}},
	{"proxy header", "proxy_protocol = \"require\"\nproxy_protocol_from = \"127.0.0.0/8\"\n", func(_ *misbehaving, c net.Conn) { fmt.Fprint(c, "PROXY to nowhere\r\n") }},
	{"probe", overTLS, func(_ *misbehaving, c net.Conn) { c.Close() }},
	{"idle timeout", soonIdle, func(*misbehaving, net.Conn) {}},
	{"write timeout", "timeout_write = 0.5\n", func(_ *misbehaving, c net.Conn) { go pour(c, 1<<30) }},
	{"too slow", "min_read_rate = 1000\nmin_rate_window = 0.3\n", func(_ *misbehaving, c net.Conn) { fmt.Fprint(c, "x") }},
	{"no target", "proxy_to = \"127.0.0.1:1\"\n", func(*misbehaving, net.Conn) {}},
	{"killed", "", func(o *misbehaving, c net.Conn) {
		var list control.Conns
		netservertest.Eventually(o.t, "the client to kill is there", func() bool {
			json.Unmarshal([]byte(o.ctl("--json", "conns")), &list)
			for _, one := range list.Clients {
				if one.Peer == c.LocalAddr().String() {
					return strings.Contains(o.ctl("kill", one.ID), one.ID)
				}
			}
			return false
		})
	}},
}

// ctl asks the server, and returns what that prints.
func (o *misbehaving) ctl(args ...string) string {
	out, err := exec.Command(binary, append([]string{"ctl", "--socket", o.control}, args...)...).CombinedOutput()
	if err != nil {
		o.t.Errorf("netserver ctl %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// shake is a handshake that fails, on one side or the other.
func (o *misbehaving) shake(c net.Conn, change func(*tls.Config)) {
	cfg := &tls.Config{InsecureSkipVerify: true, ServerName: "one.example.com"}
	change(cfg)
	if nc := tls.Client(c, cfg); nc.Handshake() == nil {
		nc.Read(make([]byte, 1)) // by which a client of TLS 1.3 learns of it
	}
	c.Close()
}

// ownLoopback is the address of the i-th port.
func ownLoopback(i int) string { return fmt.Sprintf("127.0.0.%d", i+2) }

func startMisbehaving(t *testing.T) (o *misbehaving, admin, access string) {
	t.Helper()
	dir, bed := openDir(t), newTLSBed(t)
	o = &misbehaving{bed: bed, control: filepath.Join(t.TempDir(), "ctl"), hello: clientHello(t)}
	admin, access = filepath.Join(dir, "admin"), filepath.Join(dir, "access.log")
	text := fmt.Sprintf("echo = \"raw\"\nlog_level = 4\nadmin = %q\ncontrol_socket = %q\naccess_log_file = %q\naccess_log_limit = \"probe=all\"\n", admin, o.control, access)
	for i, m := range misbehavers { // port 0 of each is told apart by its address
		text += "[[listen]]\nport = \"" + ownLoopback(i) + ":0" + map[bool]string{true: "/ssl"}[strings.Contains(m.keys, "SSL_cert_file")] + "\"\n" + m.keys
	}
	file := filepath.Join(dir, "misbehaving.toml")
	write(t, file, strings.NewReplacer("CERT", bed.one.file, "CA", bed.caFile).Replace(text))
	o.server = start(t, "--conf_file", file)
	return o, admin, access
}

// Whoever is not served is found by the name of its outcome in the log, the
// access log, netserver ctl status and metrics, the admin listener's /status and
// /metrics, and the events of the live page.
func TestMisbehaversAreFoundByTheirOutcome(t *testing.T) {
	o, admin, access := startMisbehaving(t)
	at := make([]string, len(misbehavers))
	for i := range misbehavers {
		at[i] = ownLoopback(i) + ":" + o.port(i)
	}
	for i, m := range misbehavers {
		c, err := net.Dial("tcp", at[i])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
		m.do(o, c)
	}
	for i, m := range misbehavers {
		port := regexp.QuoteMeta(at[i]) + `(?:/\w+)?`
		name := `"?` + m.outcome + `"?`
		awaitFile(t, access, `port=`+port+` .*outcome=`+name+` stage=`)
		if m.outcome != "over limit" { // of whom the log has one line for many
			o.awaitLog(`port=` + port + ` .*outcome=` + name)
		}
	}

	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", admin)
	}}}
	get := func(path string, read func(io.Reader) string) string {
		resp, err := client.Get("http://localhost" + path)
		if err != nil {
			t.Logf("%s: %v", path, err)
			return ""
		}
		defer resp.Body.Close()
		return read(resp.Body)
	}
	whole := func(r io.Reader) string { b, _ := io.ReadAll(r); return string(b) }
	tick := func(r io.Reader) string { // the first event
		for lines := bufio.NewReaderSize(r, 1<<20); ; {
			line, err := lines.ReadString('\n')
			if err != nil || strings.HasPrefix(line, "data:") {
				return line
			}
		}
	}
	inMetrics := func(port, name string) string {
		return `netserver_connections_total\{outcome="` + name + `",port="` + port + `"\} [1-9]`
	}
	inJSON := func(port, name string) string {
		return `"port": ?"` + port + `",\s*"open": ?true,\s*"outcomes": ?\{[^}]*"` + name + `": ?[1-9]`
	}
	for _, view := range []struct {
		name    string
		see     func() string
		pattern func(port, name string) string
	}{
		{"ctl status", func() string { return o.ctl("status") }, func(port, name string) string { return `(?m)^` + port + `\s.*` + name + `.?[= ][1-9]` }},
		{"ctl --json status", func() string { return o.ctl("--json", "status") }, inJSON},
		{"ctl metrics", func() string { return o.ctl("metrics") }, inMetrics},
		{"/metrics", func() string { return get("/metrics", whole) }, inMetrics},
		{"/api/status", func() string { return get("/api/status", whole) }, inJSON},
		{"/events", func() string { return get("/events", tick) }, inJSON},
	} {
		t.Run(view.name, func(t *testing.T) {
			text, missing := "", ""
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("no%s in:\n%s", missing, text)
				}
			})
			netservertest.Eventually(t, "all are in it", func() bool { // an answer may be half a second old
				text, missing = view.see(), ""
				for i, m := range misbehavers {
					if !regexp.MustCompile(view.pattern(regexp.QuoteMeta(at[i])+`(?:/\w+)?`, m.outcome)).MatchString(text) {
						missing += " " + m.outcome
					}
				}
				return missing == ""
			})
		})
	}
	o.stop()
	if b, err := os.ReadFile(access); err != nil || strings.Count(string(b), "outcome=") < len(misbehavers) {
		t.Errorf("the access log: %v\n%s", err, b)
	}
}
