package netserver_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/netservertest"
	"netserver/proto"
)

// tellHeader is tellPeer that says also what stands in the header.
func tellHeader(ctx context.Context, c *netserver.Conn) error {
	h := c.ProxyHeader()
	_, sum := h.TLV(proto.ProxyTLVCRC32C)
	fmt.Fprintf(c, "v%d sum=%t id=%q authority=%q ", h.Version, sum, h.UniqueID(), h.Authority())
	if s := h.SSL(); s != nil {
		fmt.Fprintf(c, "tls=%t certificate=%t verified=%t cn=%q %s %s ", s.TLS, s.Certificate, s.Verified, s.CN, s.Version, s.Cipher)
	}
	return tellPeer(ctx, c)
}

// startBehind serves tellHeader to proxies at 127.0.0.1 and in UNIX sockets.
func startBehind(t *testing.T) *netservertest.Running {
	return startProxied(t, func(s *netserver.Server) {
		s.Handler = netserver.HandlerFunc(tellHeader)
		s.Config.Proxy = proxyFrom(s.Config.Proxy.Mode, "127.0.0.1", "unix")
	})
}

// freePorts returns addresses where nobody listens.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	addrs := make([]string, n)
	for i := range addrs {
		addrs[i] = "127.0.0.1:" + netservertest.FreePort(t)
	}
	return addrs
}

// startPeer runs a program until the test ends, and waits until it listens. If
// one of its ports has been taken meanwhile it is started again with others.
func startPeer(t *testing.T, ports int, command func(addrs []string) *exec.Cmd) (addrs []string) {
	t.Helper()
	for range 5 {
		addrs = freePorts(t, ports)
		cmd := command(addrs)
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { defer close(ended); cmd.Wait() }()
		t.Cleanup(func() { cmd.Process.Kill(); <-ended })
		up := false
		netservertest.Eventually(t, cmd.Path+" listens, or ends", func() bool {
			select {
			case <-ended:
				return true
			default:
			}
			nc, err := net.Dial("tcp", addrs[len(addrs)-1])
			if err == nil {
				nc.Close()
			}
			up = err == nil
			return up
		})
		if up {
			return addrs
		}
		t.Logf("%s ended: %s", cmd.Path, said.String())
	}
	t.Fatal("it does not start")
	return nil
}

// askThrough sends a line to a proxy from 127.0.0.9 and compares the answer,
// in which REMOTE and LOCAL stand for the client's and the proxy's address.
func askThrough(t *testing.T, addr string, cfg *tls.Config, want string) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}, Timeout: 20 * time.Second}
	nc, err := d.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	want = strings.NewReplacer("REMOTE", nc.LocalAddr().String(), "LOCAL", addr).Replace(want)
	if cfg != nil {
		nc = tls.Client(nc, cfg)
	}
	io.WriteString(nc, "hello\n")
	if got, err := bufio.NewReader(nc).ReadString('\n'); !strings.Contains(got, want) || err != nil {
		t.Errorf("%s: %q, %v; want %q", addr, got, err, want)
	}
}

func TestBehindHAProxy(t *testing.T) {
	haproxy := netservertest.Peer(t, "haproxy")
	r := startBehind(t)
	dir := t.TempDir()
	front := netservertest.NewCA(t, "front").Issue(t, netservertest.Leaf{})
	pem := filepath.Join(dir, "front.pem")
	joinFiles(t, pem, front.CertFile, front.KeyFile)
	tcp, ssl, unix := r.Addr(t, "tcp").String(), r.Addr(t, "ssl").String(), r.Addr(t, "unix").String()
	servers := []struct{ bind, server string }{
		{"", tcp + " send-proxy"},
		{"", tcp + " send-proxy-v2"},
		{"", ssl + " send-proxy"},
		{"", ssl + " send-proxy-v2"},
		{"", "unix@" + unix + " send-proxy-v2"},
		{" ssl crt " + pem, tcp + " send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,unique-id,authority,crc32c"},
	}
	addrs := startPeer(t, len(servers), func(addrs []string) *exec.Cmd {
		var conf strings.Builder
		conf.WriteString("global\n maxconn 100\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n")
		for i, s := range servers {
			fmt.Fprintf(&conf, "listen l%d\n bind %s%s\n unique-id-format name\n server s %s\n", i, addrs[i], s.bind, s.server)
		}
		file := filepath.Join(dir, "haproxy.cfg")
		if err := os.WriteFile(file, []byte(conf.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return exec.Command(haproxy, "-q", "-db", "-f", file)
	})
	const is = "hello remote=REMOTE local=LOCAL "
	askThrough(t, addrs[0], nil, is)
	askThrough(t, addrs[1], nil, is)
	askThrough(t, addrs[2], r.ClientTLS(), is)
	askThrough(t, addrs[3], r.ClientTLS(), is)
	askThrough(t, addrs[4], nil, is)
	askThrough(t, addrs[5], &tls.Config{InsecureSkipVerify: true, ServerName: "front.example"},
		`v2 sum=true id="name" authority="front.example" tls=true certificate=false verified=false cn="" TLSv1.3 TLS_AES_`)
	askThrough(t, addrs[5], &tls.Config{InsecureSkipVerify: true}, is)
}

func joinFiles(t *testing.T, to string, from ...string) {
	t.Helper()
	var all []byte
	for _, f := range from {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	if err := os.WriteFile(to, all, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestBehindNginx(t *testing.T) {
	nginx := netservertest.Peer(t, "nginx")
	r := startBehind(t)
	dir := t.TempDir()
	load := ""
	if m := "/usr/lib/nginx/modules/ngx_stream_module.so"; exists(m) {
		load = "load_module " + m + ";\n"
	}
	targets := []string{r.Addr(t, "tcp").String(), r.Addr(t, "ssl").String(), "unix:" + r.Addr(t, "unix").String()}
	addrs := startPeer(t, len(targets), func(addrs []string) *exec.Cmd {
		conf := load + "daemon off; master_process off; pid " + dir + "/pid; error_log stderr;\nevents {}\nstream {\n"
		for i, target := range targets {
			conf += fmt.Sprintf("server { listen %s; proxy_pass %s; proxy_protocol on; }\n", addrs[i], target)
		}
		file := filepath.Join(dir, "nginx.conf")
		if err := os.WriteFile(file, []byte(conf+"}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return exec.Command(nginx, "-p", dir, "-e", "stderr", "-c", file)
	})
	const is = "v1 sum=false id=\"\" authority=\"\" hello remote=REMOTE local=LOCAL "
	askThrough(t, addrs[0], nil, is)
	askThrough(t, addrs[1], r.ClientTLS(), is)
	askThrough(t, addrs[2], nil, is)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func TestBehindCurl(t *testing.T) {
	curl := netservertest.Peer(t, "curl")
	r := startProxied(t, nil)
	for name, scheme := range map[string]string{"tcp": "http", "ssl": "https"} {
		addr := r.Addr(t, name).String()
		out, err := exec.Command(curl, "-sSk", "--max-time", "20", "--noproxy", "*", "--http0.9", "--http1.1", "--haproxy-protocol", scheme+"://"+addr+"/").CombinedOutput()
		if want := "local=" + addr; err != nil || !strings.HasPrefix(string(out), "GET / HTTP/1.1 remote=127.0.0.1:") || !strings.Contains(string(out), want) || !strings.Contains(string(out), "header=true") {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}
