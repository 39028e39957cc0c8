package main_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"netserver/netservertest"
)

// sharedNATS starts a nats-server with TLS that wants client certificates, and
// returns what servers need that share by it.
func sharedNATS(t *testing.T) (args []string) {
	t.Helper()
	dir, ca := t.TempDir(), netservertest.CA(t)
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	own, client := ca.Issue(t, netservertest.Leaf{}), ca.Issue(t, netservertest.Leaf{Client: true})
	conf := file("conf", fmt.Sprintf("listen: \"127.0.0.1:-1\"\nports_file_dir: %q\njetstream { store_dir: %q }\nauthorization { user: ours, password: geheim }\ntls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }\n",
		dir, dir, own.CertFile, own.KeyFile, ca.File(t)))
	nats := launch(t, "nats-server", exec.Command(netservertest.Peer(t, "nats-server"), "-c", conf))
	addr := ""
	netservertest.Eventually(t, "nats-server listens", func() bool {
		var l struct{ Nats []string }
		b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("nats-server_%d.ports", nats.cmd.Process.Pid)))
		if err != nil || json.Unmarshal(b, &l) != nil || len(l.Nats) == 0 {
			return false
		}
		u, err := url.Parse(l.Nats[0])
		if err == nil {
			addr = u.Host
		}
		return err == nil
	})
	return []string{"--cluster", "tls://ours@" + addr, "--cluster_key_file", file("key", hex.EncodeToString([]byte("0123456789ABCDEFGHIJKLMNOPQRSTUV"))+"\n"),
		"--cluster_password_file", file("password", "geheim\n"), "--cluster_cert_file", file("pair", read(client.CertFile)+read(client.KeyFile))}
}

// Two servers share bans by a real nats-server with TLS that knows them by their
// certificates; one that does not trust its authority says so and serves alone,
// until a reload has it trust it.
func TestClusterByNATS(t *testing.T) {
	args := sharedNATS(t)
	var sockets [2]string
	hosts, port := [3]string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}, netservertest.FreePort(t)
	node := func(i int, more ...string) *server {
		return start(t, append(append(more, args...), "--cluster_name", string(rune('a'+i)), "--port", net.JoinHostPort(hosts[i], port))...)
	}
	for i := range sockets {
		sockets[i] = filepath.Join(t.TempDir(), "ctl")
		node(i, "--control_socket", sockets[i], "--cluster_ca_file", netservertest.CA(t).File(t))
	}
	for _, s := range sockets {
		netservertest.Eventually(t, "they know each other", func() bool {
			out := run(t, binary, "ctl", "--socket", s, "cluster").all()
			return strings.Count(out, " ready ") == 2 && strings.Contains(out, "the store answers")
		})
	}
	if out, err := exec.Command(binary, "ctl", "--socket", sockets[0], "penalties", "add", "127.0.0.9", "300").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	netservertest.Eventually(t, "a ban of a is one of b", func() bool { return !greets(t, "127.0.0.9", net.JoinHostPort(hosts[1], port)) })
	ca := netservertest.NewCA(t, "other").File(t)
	stranger := node(2, "--cluster_ca_file", ca)
	stranger.awaitLog("certificate signed by unknown authority")
	if !greets(t, "127.0.0.9", net.JoinHostPort(hosts[2], port)) {
		t.Error("a server that is alone knows of the ban")
	}
	right, err := os.ReadFile(netservertest.CA(t).File(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ca, right, 0o600); err != nil {
		t.Fatal(err)
	}
	stranger.signal(syscall.SIGHUP)
	netservertest.Eventually(t, "it shares", func() bool { return !greets(t, "127.0.0.9", net.JoinHostPort(hosts[2], port)) })
}
