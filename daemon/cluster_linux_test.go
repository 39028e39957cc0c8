package daemon_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"netserver/cluster"
	"netserver/cluster/storetest"
	"netserver/daemon"
	"netserver/internal/control"
	"netserver/netservertest"
)

// nobodyID is the user that serves when root starts a server.
const nobodyID = 65534

// sharedDir makes a store's directory for who shares, and a key file.
func sharedDir(t *testing.T, supervisor string) (args []string, store string) {
	t.Helper()
	dir := openDir(t)
	store, key := filepath.Join(dir, "store"), filepath.Join(dir, "key")
	if err := os.Mkdir(store, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 && supervisor != "0" {
		if err := os.Chown(store, nobodyID, nobodyID); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(key, []byte(hex.EncodeToString([]byte("0123456789ABCDEFGHIJKLMNOPQRSTUV"))+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--cluster", "dir:" + store, "--cluster_key_file", key, "--supervisor", supervisor}, store
}

// startNode starts a server of a cluster.
func startNode(t *testing.T, name string, args ...string) (*running, string) {
	t.Helper()
	return startCtl(t, append(args, "--cluster_name", name, "--port", "127.0.0.1:0", "--port", "127.0.0.1:0/ssl", "--SSL_cert_file", "self-signed", "--SSL_session_id_context", "shared", "--log_level", "3")...)
}

// clusterOf asks for the cluster until ok.
func clusterOf(t *testing.T, socket, what string, ok func(*control.Cluster) bool) {
	t.Helper()
	netservertest.Eventually(t, what, func() bool {
		var c control.Cluster
		mustCtl(t, socket, &c, "cluster")
		return ok(&c)
	})
}

// clientFrom returns a client with a source address, nil if it is not served.
func clientFrom(source, addr string) net.Conn {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	nc, err := d.Dial("tcp", addr)
	if err != nil {
		return nil
	}
	if n, _ := nc.Read(make([]byte, 1)); n == 0 {
		nc.Close()
		return nil
	}
	return nc
}

// comes reports whether a client with a source address is served.
func comes(source, addr string) bool {
	c := clientFrom(source, addr)
	if c == nil {
		return false
	}
	c.Close()
	return true
}

// Two servers on one machine share tickets, bans, counts and how they are.
func TestCluster(t *testing.T) {
	both(t, func(t *testing.T, supervisor string) {
		t.Parallel()
		args, _ := sharedDir(t, supervisor)
		args = append(args, "--max_per_source", "4")
		a, actl := startNode(t, "a", args...)
		b, bctl := startNode(t, "b", args...)
		two := func(c *control.Cluster) bool {
			return c.StoreUp && c.Epoch > 0 && len(c.Nodes) == 2 && c.Nodes[0].State == control.NodeReady && c.Nodes[1].State == control.NodeReady && len(c.Nodes[1].Ports) == 2
		}
		clusterOf(t, actl, "a knows b", two)
		clusterOf(t, bctl, "b knows a", two)
		netservertest.Eventually(t, "a session of a goes on at b", func() bool {
			var o oneTicket
			o.come(t, a.addr(1), tls.VersionTLS13)
			return o.come(t, b.addr(1), tls.VersionTLS13)
		})
		if code, _, errs := ctl(actl, "penalties", "add", "127.0.0.9", "300"); code != 0 {
			t.Fatal(errs)
		}
		netservertest.Eventually(t, "a ban of a is one of b", func() bool { return !comes("127.0.0.9", b.addr(0)) })
		if code, _, errs := ctl(bctl, "penalties", "lift", "127.0.0.9"); code != 0 {
			t.Fatal(errs)
		}
		for _, r := range []*running{a, b} {
			netservertest.Eventually(t, "b has lifted it", func() bool { return comes("127.0.0.9", r.addr(0)) })
		}
		// Each may have a part of what is left, and more as they hear of each other.
		held := 0
		netservertest.Eventually(t, "four clients at a", func() bool {
			if c := clientFrom("127.0.0.7", a.addr(0)); c != nil {
				t.Cleanup(func() { c.Close() })
				held++
			}
			return held == 4
		})
		netservertest.Eventually(t, "clients of a count at b", func() bool { return !comes("127.0.0.7", b.addr(0)) })
		a.end(syscall.SIGTERM)
		clusterOf(t, bctl, "a has left", func(c *control.Cluster) bool { return len(c.Nodes) == 1 })
		netservertest.Eventually(t, "its clients count no more", func() bool { return comes("127.0.0.7", b.addr(0)) })
	})
}

var clusterPIDs = regexp.MustCompile(`the cluster process serves, pid (\d+)`)

// clusterPID waits for the n-th cluster process.
func (r *running) clusterPID(n int) int {
	r.t.Helper()
	r.wait("the cluster process serves, pid", n)
	pid, _ := strconv.Atoi(clusterPIDs.FindAllStringSubmatch(r.text(), -1)[n-1][1])
	return pid
}

// A cluster process that is killed is replaced, and nothing is lost that was
// shared; nor is it when the store is gone.
func TestClusterProcessKilledAndStoreGone(t *testing.T) {
	t.Parallel()
	args, store := sharedDir(t, "1")
	a, actl := startNode(t, "a", args...)
	b, bctl := startNode(t, "b", args...)
	clusterOf(t, bctl, "b knows a", func(c *control.Cluster) bool { return len(c.Nodes) == 2 && c.Epoch > 0 })
	if code, _, errs := ctl(actl, "penalties", "add", "127.0.0.9", "300"); code != 0 {
		t.Fatal(errs)
	}
	netservertest.Eventually(t, "a ban of a is one of b", func() bool { return !comes("127.0.0.9", b.addr(0)) })
	stays := mustDial(t, b.addr(0))
	syscall.Kill(b.clusterPID(1), syscall.SIGKILL)
	b.clusterPID(2)
	if comes("127.0.0.9", b.addr(0)) {
		t.Error("the ban is lost")
	}
	clusterOf(t, bctl, "it shares again", func(c *control.Cluster) bool { return c.StoreUp && len(c.Nodes) == 2 })
	netservertest.Eventually(t, "a session of a goes on at b", func() bool {
		var o oneTicket
		o.come(t, a.addr(1), tls.VersionTLS13)
		return o.come(t, b.addr(1), tls.VersionTLS13)
	})
	if err := os.Rename(store, store+".gone"); err != nil {
		t.Fatal(err)
	}
	clusterOf(t, bctl, "the loss is seen", func(c *control.Cluster) bool { return !c.StoreUp })
	stays.mustAsk(t, "still here")
	mustDial(t, b.addr(0)).mustAsk(t, "served")
	if comes("127.0.0.9", b.addr(0)) {
		t.Error("the ban is lost with the store")
	}
	var o oneTicket
	o.come(t, a.addr(1), tls.VersionTLS13)
	if !o.come(t, b.addr(1), tls.VersionTLS13) {
		t.Error("a session of a does not go on at b without the store")
	}
	if err := os.Rename(store+".gone", store); err != nil {
		t.Fatal(err)
	}
	clusterOf(t, bctl, "the return is seen", func(c *control.Cluster) bool { return c.StoreUp })
}

// With cluster_start refuse a server is not ready before the store has answered.
func TestClusterStartRefuse(t *testing.T) {
	both(t, func(t *testing.T, supervisor string) {
		args, store := sharedDir(t, supervisor)
		if err := os.Chmod(store, 0); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() == 0 && supervisor == "0" {
			return // root reaches every directory
		}
		_, socket := startCtl(t, append(args, "--cluster_start", "refuse", "--port", "127.0.0.1:0")...)
		if code, out, _ := ctl(socket, "health"); code != 1 || !strings.Contains(out, control.ReasonCluster) {
			t.Errorf("%d %s", code, out)
		}
		if err := os.Chmod(store, 0o700); err != nil {
			t.Fatal(err)
		}
		netservertest.Eventually(t, "it is ready", func() bool { code, _, _ := ctl(socket, "health"); return code == 0 })
	})
}

// Each key is checked before anything is opened, and all are reported at once.
func TestClusterKeysAreChecked(t *testing.T) {
	args, store := sharedDir(t, "1")
	key := args[3]
	dir := filepath.Dir(store)
	short := writeFile(t, filepath.Join(dir, "short"), "abcd\n")
	open := filepath.Join(dir, "open")
	if err := os.WriteFile(open, []byte(strings.Repeat("5a", 32)), 0o644); err != nil {
		t.Fatal(err)
	}
	os.Chmod(open, 0o644)
	os.Chmod(short, 0o600)
	pair := netservertest.CA(t).Issue(t, netservertest.Leaf{})
	stores := daemon.WithStores(map[string]cluster.Opener{"tls": func(context.Context, string, cluster.StoreOptions) (cluster.Store, error) {
		return new(storetest.Memory).Client(), nil
	}})
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"--cluster", "dir:" + store}, []string{"cluster_key_file: it is missing"}},
		{[]string{"--cluster", "etcd://x", "--cluster_key_file", short, "--cluster_name", "A B", "--cluster_namespace", "/", "--cluster_password_file", "/no/such"},
			[]string{"begins with none of dir:", "cluster_key_file: ", "cluster_name: ", "cluster_namespace: ", "cluster_password_file: "}},
		{[]string{"--cluster", "dir:store", "--cluster_key_file", key}, []string{"absolute path"}},
		{[]string{"--cluster", "dir:/no/such", "--cluster_key_file", key}, []string{"no such file"}},
		{[]string{"--cluster", "dir:" + store, "--cluster_key_file", open}, []string{"cluster_key_file"}},
		{[]string{"--cluster_name", "a"}, []string{"cluster_name"}},
		{[]string{"--cluster_ca_file", key}, []string{"cluster_ca_file"}},
		{[]string{"--cluster", "dir:" + store, "--cluster_key_file", key, "--cluster_ca_file", pair.CertFile, "--cluster_cert_file", pair.CertFile},
			[]string{"cluster_ca_file: has no effect", "cluster_cert_file: has no effect"}},
		{[]string{"--cluster", "tls://127.0.0.1", "--cluster_key_file", key, "--cluster_ca_file", key, "--cluster_cert_file", pair.CertFile},
			[]string{"cluster_ca_file: " + key + " holds no certificate", "cluster_cert_file: "}},
		{[]string{"--cluster", "tls://127.0.0.1", "--cluster_key_file", key, "--cluster_ca_file", "/no/such", "--cluster_cert_file", "/no/such"},
			[]string{"cluster_ca_file: /no/such", "cluster_cert_file: "}},
		{[]string{"INET", "--cluster", "dir:" + store, "--cluster_key_file", key}, []string{"INET"}},
	} {
		var out, errs bytes.Buffer
		code := daemon.Command(append(tt.args, "--check", "--port", "127.0.0.1:0"), nil, &out, &errs, stores)
		text := errs.String()
		if code != 2 || strings.Count(text, "\n") != len(tt.want) {
			t.Errorf("%q: exit status %d, %q, want %d lines", tt.args, code, text, len(tt.want))
		}
		for _, want := range tt.want {
			if !strings.Contains(text, want) {
				t.Errorf("%q: %q does not have %q", tt.args, text, want)
			}
		}
	}
}

// A password in the URL is refused, and printed nowhere.
func TestClusterPasswordsAreNotShown(t *testing.T) {
	args, _ := sharedDir(t, "1")
	stores := daemon.WithStores(map[string]cluster.Opener{"redis": func(context.Context, string, cluster.StoreOptions) (cluster.Store, error) {
		return nil, errors.New("not a good URL")
	}})
	for _, url := range []string{"redis://user:geheim@127.0.0.1", "redis://:geheim@/%zz", "redis://127.0.0.1?password=geheim", "other://user:geheim@127.0.0.1"} {
		for _, check := range []string{"--check", "--log_level=4"} {
			var out, errs bytes.Buffer
			code := daemon.Command([]string{check, "--port", "127.0.0.1:0", "--cluster", url, "--cluster_key_file", args[3]}, nil, &out, &errs, stores)
			if text := out.String() + errs.String(); code != 2 || !strings.Contains(text, "cluster: ") || strings.Contains(text, "geheim") {
				t.Errorf("%s %s: exit status %d: %s", check, url, code, text)
			}
		}
	}
}

// A compromised cluster process can say nothing but what it is there for: all
// else ends it, and another is started.
func TestAttackFromCluster(t *testing.T) {
	rooted(t)
	args, _ := sharedDir(t, "1")
	r := start(t, append(args, "--port", "127.0.0.1:0", "--worker_timeout", "0", "--log_level", "3")...)
	for i, m := range []object{
		{"Op": "exit"}, {"Op": "share", "Shared": object{}}, {"Op": "news", "News": object{"bans": []object{{"prefix": "0.0.0.0/0", "left": 1}}}},
		{"Op": "kept", "ID": 1 << 40, "Kept": object{}},
	} {
		seize(t, r.clusterPID(i+1)).link().try(m)
		r.wait("violates the supervisor's protocol; killing it", i+1)
	}
	r.clusterPID(5)
	mustDial(t, r.addr(0)).mustAsk(t, "served")
}

// It has the workers' user, no capability, no way to gain any, and the sandbox;
// neither its arguments nor its environment have a secret.
func TestClusterProcessIsConfined(t *testing.T) {
	rooted(t)
	args, _ := sharedDir(t, "1")
	r := start(t, append(args, "--port", "127.0.0.1:0", "--log_level", "3")...)
	pid := r.clusterPID(1)
	status := statusOf(t, pid)
	for _, want := range []string{"Uid:\t65534\t65534", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(status, want) {
			t.Errorf("%s is not so:\n%s", want, status)
		}
	}
	r.wait(`sandbox="Landlock`, 1)
	for _, name := range []string{"cmdline", "environ"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte("3031323334")) {
			t.Errorf("%s has the key", name)
		}
	}
}
