package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"netserver/netservertest"
)

// examples/cluster shows what it says, with real programs in network namespaces,
// and leaves nothing behind.
func TestClusterExample(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make networks")
	}
	ip := netservertest.Peer(t, "ip")
	for _, program := range []string{"haproxy", "redis-server", "openssl"} {
		netservertest.Peer(t, program)
	}
	space := fmt.Sprintf("nctest%d", os.Getpid())
	if out, err := exec.Command(ip, "netns", "add", space).CombinedOutput(); err != nil {
		t.Skipf("no network namespaces here: %v, %s", err, out)
	}
	if err := exec.Command(ip, "netns", "del", space).Run(); err != nil {
		t.Error(err)
	}
	place := filepath.Join(t.TempDir(), "cluster")
	cmd := exec.Command("../../examples/cluster/cluster")
	cmd.Env = append(serverEnvironment(), "NETSERVER="+binary, "CLUSTER_DIR="+place)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for what, times := range map[string]int{
		"the store answers":                      1,
		"this is node a: the session is resumed": 3,
		"this is node b: the session is resumed": 3,
		"this is node c: the session is resumed": 3,
		"all nodes refuse it":                    1,
		"of 150 clients from one address":        1,
		"the store does not answer":              1,
		"the ban stands":                         1,
		"all nodes serve 198.51.100.66":          1,
	} {
		if n := strings.Count(string(out), what); n < times {
			t.Errorf("%q is there %d times, want %d", what, n, times)
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
	if _, err := os.Stat(place); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
}
