//go:build unix

package daemon_test

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netserver/proto"
)

// headerTeller answers with what stands in the PROXY header of each connection.
func headerTeller(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			nc.SetDeadline(time.Now().Add(30 * time.Second))
			h, err := proto.ReadProxyHeader(nc)
			if err != nil {
				fmt.Fprint(nc, "none")
			} else {
				_, sum := h.TLV(proto.ProxyTLVCRC32C)
				fmt.Fprintf(nc, "v%d %v crc32c=%v id=%v", h.Version, h.Destination, sum, len(h.UniqueID()) > 0)
			}
			nc.Close()
		}
	}()
	return l.Addr().String()
}

// The server's keys hold for all targets, unless a port or a [[backend]] has its
// own.
func TestBackendHeaders(t *testing.T) {
	dir := openDir(t)
	to := headerTeller(t)
	file := writeFile(t, filepath.Join(dir, "server.toml"), fmt.Sprintf(`
proxy_to = %q
backend_proxy_protocol = "v2"
backend_proxy_tlvs = "crc32c, unique_id"

[[backend]]
name = "as all"
targets = %[1]q

[[backend]]
name = "own"
targets = %[1]q
backend_proxy_tlvs = []

[[backend]]
name = "old"
targets = %[1]q
backend_proxy_protocol = "v1"
backend_proxy_tlvs = []

[[listen]]
port = "%[2]s/all|unix"
[[listen]]
port = "%[2]s/off|unix"
backend_proxy_protocol = "off"
backend_proxy_tlvs = []
[[listen]]
port = "%[2]s/as all|unix"
backend = "as all"
[[listen]]
port = "%[2]s/own|unix"
backend = "own"
[[listen]]
port = "%[2]s/old|unix"
backend = "old"
`, to, dir))
	r := start(t, "--conf_file", file, "--user", "root", "--unix_mode", "666")
	r.serving()
	for name, want := range map[string]string{
		"all": "v2 " + dir + "/all crc32c=true id=true", "off": "none", "as all": "v2 " + dir + "/as all crc32c=true id=true",
		"own": "v2 " + dir + "/own crc32c=false id=false", "old": "v1 <nil> crc32c=false id=false",
	} {
		if got := said(t, filepath.Join(dir, name), ""); got != want {
			t.Errorf("port %s: %q, want %q", name, got, want)
		}
	}
}

// PROXY headers that targets cannot get are refused, with the place.
func TestBackendHeaderProblems(t *testing.T) {
	const table = "[[backend]]\nname = 'a'\ntargets = '127.0.0.1:9'\n%s[[listen]]\nport = %s\nbackend = 'a'\n"
	for _, c := range []struct {
		name, text string
		args       []string
		want       string
	}{
		{"TLVs without a header", "", []string{"--port=1", "--proxy_to=127.0.0.1:9", "--backend_proxy_tlvs=ssl"},
			"backend_proxy_tlvs has no effect without backend_proxy_protocol (argument 7); give backend_proxy_protocol too, or leave backend_proxy_tlvs out"},
		{"header without a target", "", []string{"--port=1", "--backend_proxy_protocol=v2"},
			"backend_proxy_protocol has no effect without a target (argument 6); give proxy_to, or leave backend_proxy_protocol out"},
		{"unknown", "", []string{"--port=1", "--proxy_to=127.0.0.1:9", "--backend_proxy_protocol=v3"},
			"backend_proxy_protocol: \"v3\" is not one of off, v1, v2 (argument 7); did you mean v1?"},
		{"unknown TLV", "[[listen]]\nport = 1\nproxy_to = '127.0.0.1:9'\nbackend_proxy_protocol = 'v2'\nbackend_proxy_tlvs = ['ssl', 'sni']\n", nil,
			"backend_proxy_tlvs: sni is not known: write alpn, authority, unique_id, crc32c, ssl, cn, group, cert (f.toml:5)"},
		{"TLVs in version 1", "", []string{"--port=1", "--proxy_to=127.0.0.1:9", "--backend_proxy_protocol=v1", "--backend_proxy_tlvs=ssl"},
			"backend_proxy_tlvs has no effect with backend_proxy_protocol v1, which tells of addresses only: give v2 (argument 6)"},
		{"received in version 1", strings.NewReplacer("%s[", "backend_proxy_protocol = 'v1'\nbackend_proxy_received = 'pass'\n[", "%s", "1").Replace(table), nil,
			"the [[backend]] a: backend_proxy_received has no effect with backend_proxy_protocol v1, which tells of addresses only: give v2 (f.toml:1)"},
		{"unknown received", strings.NewReplacer("%s[", "backend_proxy_protocol = 'v2'\nbackend_proxy_received = 'drop'\n[", "%s", "1").Replace(table), nil,
			"backend_proxy_received: drop is not known: write merge, pass, replace (f.toml:5)"},
		{"datagrams in version 1", strings.NewReplacer("%s[", "backend_proxy_protocol = 'v1'\n[", "%s", "'1/udp'").Replace(table), nil,
			"port 1/udp: backend_proxy_protocol v1 has no form for datagrams: give v2 (f.toml:7)"},
		{"beside backend", strings.NewReplacer("%s[", "[", "%s", "1").Replace(table) + "backend_proxy_protocol = 'v1'\n", nil,
			"backend_proxy_protocol: has no effect beside backend (f.toml:7); write it into the [[backend]]"},
		{"beside backend in a route", strings.NewReplacer("%s[", "[", "%s", "1\n[[listen.route]]").Replace(table) + "proxy_connect_timeout = 3\n", nil,
			"proxy_connect_timeout: has no effect beside backend (f.toml:8); write it into the [[backend]]"},
		{"datagrams among ports", "", []string{"--port=1", "--port=1/udp", "--proxy_to=127.0.0.1:9", "--backend_proxy_protocol=v1"},
			"port 1/udp: backend_proxy_protocol v1 has no form for datagrams: give v2 (argument 7)"},
	} {
		code, _, stderr, _ := checkFile(t, c.text, c.args...)
		if got := strings.TrimSpace(strings.ReplaceAll(stderr, "netserver: ", "")); code != 2 || got != c.want {
			t.Errorf("%s: status %d\n got %s\nwant %s", c.name, code, got, c.want)
		}
	}
}
