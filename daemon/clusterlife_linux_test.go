package daemon_test

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"netserver/cluster"
	"netserver/internal/control"
	"netserver/netservertest"
)

// bans puts a source into the penalty box by the control socket.
func bans(t *testing.T, socket, source string) {
	t.Helper()
	if code, _, errs := ctl(socket, "penalties", "add", source, "300"); code != 0 {
		t.Fatal(errs)
	}
}

// A cluster process that is stopped keeps nothing up: clients are served, what it
// had told is in force, and it goes on where it was.
func TestClusterProcessStopped(t *testing.T) {
	t.Parallel()
	args, _ := sharedDir(t, "1")
	a, actl := startNode(t, "a", args...)
	b, bctl := startNode(t, "b", args...)
	clusterOf(t, bctl, "b knows a", func(c *control.Cluster) bool { return len(c.Nodes) == 2 && c.Epoch > 0 })
	bans(t, actl, "127.0.0.9")
	netservertest.Eventually(t, "a ban of a is one of b", func() bool { return !comes("127.0.0.9", b.addr(0)) })
	pid := b.clusterPID(1)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	bans(t, actl, "127.0.0.10")
	mustDial(t, b.addr(0)).mustAsk(t, "served")
	if comes("127.0.0.9", b.addr(0)) {
		t.Error("the ban is lost")
	}
	var o oneTicket
	o.come(t, a.addr(1), tls.VersionTLS13)
	if !o.come(t, b.addr(1), tls.VersionTLS13) {
		t.Error("a session of a does not go on at b")
	}
	clusterOf(t, bctl, "b tells of its cluster", func(c *control.Cluster) bool { return c.Name == "b" })
	syscall.Kill(pid, syscall.SIGCONT) // it was killed if this took half a minute
	netservertest.Eventually(t, "a ban of meanwhile is one of b", func() bool { return !comes("127.0.0.10", b.addr(0)) })
}

// sealedBy reports whether all ticket secrets of a store are sealed by the first
// of keys, of which the head of a value tells.
func sealedBy(t *testing.T, store, keys string) bool {
	t.Helper()
	k, err := cluster.ParseKeys([]byte(keys))
	if err != nil {
		t.Fatal(err)
	}
	id, _ := hex.DecodeString(k.IDs()[0])
	files := 0
	filepath.WalkDir(store, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, "tickets") {
			return nil // it was just written again
		}
		if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, id) {
			files++
		} else {
			files = -100
		}
		return nil
	})
	return files >= 2
}

// Keys are exchanged by reloads while the servers share. A file that is half
// written is refused, and by a process that has to be started then, not used.
func TestClusterKeysAreRenewed(t *testing.T) {
	t.Parallel()
	args, store := sharedDir(t, "1")
	key := args[3]
	a, actl := startNode(t, "a", args...)
	b, bctl := startNode(t, "b", args...)
	shares := func(c *control.Cluster) bool { return c.StoreUp && len(c.Nodes) == 2 && c.Epoch > 0 }
	clusterOf(t, bctl, "b knows a", shares)
	content, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	first, second := strings.TrimSpace(string(content)), hex.EncodeToString([]byte("9876543210abcdefghijklmnopqrstuv"))
	for i, keys := range []string{first + "\n" + second, second + "\n" + first, second} {
		if err := os.WriteFile(key, []byte(keys+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, r := range []*running{a, b} {
			r.signal(syscall.SIGHUP)
			r.wait("cluster: the keys have changed", i+1)
			r.clusterPID(i + 2)
		}
		for _, socket := range []string{actl, bctl} {
			clusterOf(t, socket, "they share", shares)
		}
		netservertest.Eventually(t, "ticket secrets are sealed by the first key", func() bool { return sealedBy(t, store, keys) })
	}
	bans(t, actl, "127.0.0.9")
	netservertest.Eventually(t, "a ban of a is one of b", func() bool { return !comes("127.0.0.9", b.addr(0)) })
	if err := os.WriteFile(key, []byte(second[:20]), 0o600); err != nil {
		t.Fatal(err)
	}
	b.signal(syscall.SIGHUP)
	b.wait("new configuration rejected", 1)
	syscall.Kill(b.clusterPID(4), syscall.SIGKILL)
	b.wait("cluster: the keys of before are used", 1)
	b.clusterPID(5)
	bans(t, actl, "127.0.0.10")
	netservertest.Eventually(t, "the next ban of a is one of b", func() bool { return !comes("127.0.0.10", b.addr(0)) })
	if strings.Contains(b.text(), second[:20]) {
		t.Error("the log shows a key")
	}
}
