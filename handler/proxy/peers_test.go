package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"netserver"
	"netserver/handler/proxy"
	"netserver/netservertest"
)

// Two redis-servers, checked by a dialog; one is killed, and no client after
// that is without an answer.
func TestRedisServersWithChecks(t *testing.T) {
	one, _, kill := redisProcess(t)
	_, two, _ := redisProcess(t)
	be := &proxy.Backend{Name: "redis", Targets: []proxy.Target{{Address: one}, {Address: two}}, Check: parsed(t, `send "INFO replication\r\n" expect role:master`)}
	f := frontOf(t, be)
	for _, target := range []string{one, two} {
		netservertest.Eventually(t, target+" is checked", func() bool { return stateOf(be, target).Checked == "ok" })
	}
	ask := func() {
		t.Helper()
		c := f.dial(t)
		send(t, c, "PING\r\n")
		want(t, c, "+PONG\r\n")
		c.Close()
		if r := f.record(t); r.Err != nil {
			t.Errorf("record: %v", r.Err)
		}
	}
	for range 10 {
		ask()
	}
	if a, b := stateOf(be, one).Total, stateOf(be, two).Total; a != 5 || b != 5 {
		t.Errorf("%d and %d clients", a, b)
	}
	kill()
	for range 20 {
		ask()
	}
	awaitState(t, be, one, "down")
}

// peer starts a program, and ends it with the test or before. It has to listen at
// address.
func peer(t *testing.T, address, name string, args ...string) (end func()) {
	t.Helper()
	end, taken := tryPeer(t, address, name, args...)
	if taken {
		t.Fatalf("%s: %s is in use", name, address)
	}
	return end
}

// peerAnywhere is peer for a program that listens on a port of all addresses,
// which may not be free where that of one is.
func peerAnywhere(t *testing.T, name string, args func(port string) []string) (address string) {
	t.Helper()
	for range 20 {
		address = deadAddress(t)
		_, number, _ := net.SplitHostPort(address)
		end, taken := tryPeer(t, address, name, args(number)...)
		if !taken {
			return address
		}
		end()
	}
	t.Fatalf("%s finds no free port", name)
	return ""
}

// tryPeer is peer, and reports whether the program says that the port is in use.
func tryPeer(t *testing.T, address, name string, args ...string) (end func(), taken bool) {
	t.Helper()
	cmd := exec.Command(netservertest.Peer(t, name), args...)
	var out lines
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	end = sync.OnceFunc(func() { cmd.Process.Kill(); cmd.Wait() })
	t.Cleanup(end)
	up := func() bool {
		if taken = out.count("in use") > 0; taken {
			return true
		}
		c, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		c.Close()
		return true
	}
	if !settles(up) {
		out.mu.Lock()
		defer out.mu.Unlock()
		t.Fatalf("%s does not come up: %s", name, out.text.String())
	}
	return end, taken
}

// nginx and haproxy as targets of one backend: nginx with an HTTP check, and
// haproxy as one that insists on a PROXY header, from checks too.
func TestNginxAndHAProxyAsTargets(t *testing.T) {
	dir := t.TempDir()
	web, plain := deadAddress(t), deadAddress(t)
	nginx := filepath.Join(dir, "nginx.conf")
	must(t, os.WriteFile(nginx, fmt.Appendf(nil, `
daemon off; master_process off; pid %[1]s/nginx.pid; error_log /dev/null;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  server { listen %[2]s proxy_protocol; location / { return 200 "from $proxy_protocol_addr\n"; } location /health { return 204; } }
}
`, dir, web), 0o644))
	haproxy := filepath.Join(dir, "haproxy.cfg")
	must(t, os.WriteFile(haproxy, fmt.Appendf(nil, `
defaults
  mode http
  timeout client 20s
  timeout server 20s
  timeout connect 5s
frontend f
  bind %s accept-proxy
  http-request return status 204 if { path /health }
  http-request return status 200 content-type text/plain lf-string "from %%[src]\n"
`, plain), 0o644))
	peer(t, web, "nginx", "-c", nginx, "-p", dir)
	peer(t, plain, "haproxy", "-db", "-f", haproxy)
	be := &proxy.Backend{
		Name: "web", Targets: []proxy.Target{{Address: web}, {Address: plain}},
		Check: parsed(t, "http GET /health 204"),
		Header: func(b []byte, c *netserver.Conn) ([]byte, error) {
			if c == nil {
				return append(b, "PROXY UNKNOWN\r\n"...), nil
			}
			return append(b, "PROXY TCP4 192.0.2.7 192.0.2.8 1000 80\r\n"...), nil
		},
	}
	f := frontOf(t, be)
	for _, target := range []string{web, plain} {
		netservertest.Eventually(t, target+" is checked", func() bool { return stateOf(be, target).Checked == "ok" })
	}
	for range 10 {
		// A new connection each time.
		c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		r, err := c.Get("http://" + f.addr.String() + "/")
		must(t, err)
		b, err := io.ReadAll(r.Body)
		r.Body.Close()
		must(t, err)
		if got := strings.TrimSpace(string(b)); got != "from 192.0.2.7" {
			t.Errorf("answer %q", got)
		}
		if r := f.record(t); r.Err != nil {
			t.Errorf("record: %v", r.Err)
		}
	}
	if a, b := stateOf(be, web).Total, stateOf(be, plain).Total; a != 5 || b != 5 {
		t.Errorf("%d and %d clients", a, b)
	}
}
