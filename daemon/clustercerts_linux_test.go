package daemon_test

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// delayed makes a storage whose names have failed just now, so that another node
// orders for them.
func delayed(t *testing.T, storage string, names ...string) {
	t.Helper()
	past := make(map[string]any)
	for _, name := range names {
		past[name] = map[string]any{"failures": 1, "last": time.Now(), "next": time.Now().Add(time.Hour), "told": true}
	}
	text, err := json.Marshal(past)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(storage, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, storage, "state.json", text)
	os.Chmod(filepath.Join(storage, "state.json"), 0o600)
}

// A node orders; the authority comes to another one, which answers. Both serve
// the certificate, of one order; a third has it from its start on, without one.
// The cluster process can have neither key.
func TestClusterSharesCertificates(t *testing.T) {
	both(t, func(t *testing.T, supervisor string) {
		t.Parallel()
		p := startPebble(t, quarter, nil)
		shared, store := sharedDir(t, supervisor)
		key := make([]byte, 32) // that no program has in it
		rand.Read(key)
		writeFile(t, shared[3], hex.EncodeToString(key)+"\n")
		dir := openDir(t)
		node := func(name, port string) (*running, *pebble, string) {
			own := &pebble{directory: p.directory, caFile: p.caFile, control: p.control, client: p.client, port: port}
			storage := filepath.Join(dir, name)
			if name == "b" {
				delayed(t, storage, "a.example")
			}
			r := start(t, own.keys(storage, append(shared, "--acme_domains", "a.example", "--cluster_name", name)...)...)
			r.wait("acme: there is no certificate for a.example yet", 1)
			return r, own, storage
		}
		b, atB, inB := node("b", p.port)
		netservertest.Eventually(t, "b is a node", func() bool {
			list, err := filepath.Glob(store + "/*/*")
			return err == nil && strings.Contains(fmt.Sprint(list), "acme")
		})
		a, atA, inA := node("a", freePort(t))
		issued := atA.awaitIssued(t, "a.example", nil)
		a.wait(obtained, 1)
		b.wait("acme: certificate for a.example taken from node a", 1)
		netservertest.Eventually(t, "b serves it", func() bool { c, err := atB.shown("a.example"); return err == nil && c.Equal(issued) })
		if n := strings.Count(b.text(), "challenge answered"); n == 0 {
			t.Error("b has not answered the authority")
		}
		c, atC, _ := node("c", freePort(t))
		netservertest.Eventually(t, "c serves it", func() bool { k, err := atC.shown("a.example"); return err == nil && k.Equal(issued) })
		c.wait("acme: certificate for a.example taken from node a", 1)
		if n := strings.Count(p.text(), "Added order"); n != 1 {
			t.Errorf("%d orders", n)
		}
		if string(fileOf(t, filepath.Join(inA, "certificates", "a.example.pem"))) != string(fileOf(t, filepath.Join(inB, "certificates", "a.example.pem"))) {
			t.Error("the files differ")
		}
		checkModes(t, inB)
		if supervisor != "0" && os.Geteuid() == 0 {
			secrets := append(keyOf(t, inA+"/account-*.key").secrets(t)[:2], keyOf(t, inA+"/certificates/a.example.pem").secrets(t)[:2]...)
			secrets = append(secrets, key, []byte(hex.EncodeToString(key)))
			for _, r := range []*running{a, b, c} {
				if found := memoryHas(t, r.clusterPID(1), secrets); len(found) > 0 {
					t.Errorf("the cluster process has secrets %v in its memory", found)
				}
			}
		}
		for _, r := range []*running{a, b, c} {
			if status := r.end(syscall.SIGTERM); status != 0 {
				t.Errorf("status %d", status)
			}
		}
	})
}
