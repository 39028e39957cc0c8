package daemon_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netserver/daemon"
	"netserver/internal/control"
	"netserver/netservertest"
)

// targetAt is a target at a path that says text, until it is closed.
func targetAt(t *testing.T, path, text string) net.Listener {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(nc, text)
			nc.Close()
		}
	}()
	return l
}

// checkedNode starts a server of a cluster whose backend has the targets 1, 2 and
// 3 in dir, checked every so many seconds. Its clients come by the socket that is
// named as it.
func checkedNode(t *testing.T, dir, name, interval string, args ...string) (*running, string) {
	t.Helper()
	return checkedWorkers(t, dir, name, interval, 1, args...)
}

// checkedWorkers is checkedNode with so many processes that check, each of which
// has found all targets up.
func checkedWorkers(t *testing.T, dir, name, interval string, workers int, args ...string) (*running, string) {
	t.Helper()
	file := writeFile(t, filepath.Join(dir, name+".toml"), fmt.Sprintf(`
[[backend]]
name = "b"
targets = ["%[1]s/1", "%[1]s/2", "%[1]s/3"]
check = "tcp"
check_fall = 1
check_rise = 1
check_timeout = 20
check_interval = %[2]s
[[listen]]
port = "%[1]s/%[3]s|unix"
backend = "b"
`, dir, interval, name))
	r, socket := startCtl(t, append(args, "--conf_file", file, "--cluster_name", name)...)
	netservertest.Eventually(t, name+" has checked its targets", func() bool {
		up := 0
		for _, x := range targetsBy(t, socket) {
			if x.Check == "ok" && x.State == "up" && x.Up == workers && int(x.Checks) >= workers {
				up++
			}
		}
		return up == 3
	})
	return r, socket
}

// What two servers find of a target the third hears, whose own check is long ago;
// but never so much that it goes without most of its targets.
func TestClusterHealth(t *testing.T) {
	both(t, func(t *testing.T, supervisor string) {
		t.Parallel()
		dir := openDir(t)
		args, _ := sharedDir(t, supervisor)
		args = append(args, "--cluster_health_quorum", "2")
		one := targetAt(t, dir+"/1", "1")
		two, _ := targetAt(t, dir+"/2", "2"), targetAt(t, dir+"/3", "3")
		late, checking := args, 1
		if supervisor == "1" { // two processes that check, as each server has
			late, checking = append([]string{"PreFork", "--min_servers", "2", "--max_servers", "2"}, args...), 2
		}
		a, _ := checkedNode(t, dir, "a", "0.05", args...)
		_, bctl := checkedNode(t, dir, "b", "0.05", args...)
		c, cctl := checkedWorkers(t, dir, "c", "3600", checking, late...)
		clusterOf(t, cctl, "c knows the others", func(c *control.Cluster) bool { return c.StoreUp && len(c.Nodes) == 3 })
		targets := func() (list []string) {
			all := targetsBy(t, cctl)
			for _, name := range []string{"1", "2", "3"} {
				x := all["b "+dir+"/"+name]
				if x.Up != 0 && x.Up != x.Processes {
					return nil // on the way
				}
				list = append(list, x.State)
			}
			return list
		}
		wants := func(what string, states string) {
			t.Helper()
			netservertest.Eventually(t, what, func() bool { return strings.Join(targets(), " ") == states })
		}
		one.Close()
		wants("c hears of the first", "down up up")
		if x := targetsBy(t, cctl)["b "+dir+"/1"]; x.Reason != "2 of 2 other servers find it down" || x.Check != "ok" {
			t.Errorf("%+v", x)
		}
		if code, out, _ := ctl(cctl, "targets"); code != 0 || !strings.Contains(out, "2 of 2 other servers find it down") {
			t.Errorf("%s", out)
		}
		for range 6 {
			if got := said(t, dir+"/c", ""); got != "2" && got != "3" {
				t.Errorf("a client of c gets %q", got)
			}
		}
		clusterOf(t, cctl, "it is counted", func(c *control.Cluster) bool { return c.Targets == 1 })
		two.Close()
		wants("c goes by its own checks when more than half are down at others", "up up up")
		c.wait("other servers find more than half of the targets down", 1)
		netservertest.Eventually(t, "b finds both down itself", func() bool {
			all := targetsBy(t, bctl)
			return all["b "+dir+"/1"].State == "down" && all["b "+dir+"/2"].State == "down"
		})
		if got := said(t, dir+"/b", ""); got != "3" {
			t.Errorf("a client of b gets %q", got)
		}
		targetAt(t, dir+"/2", "2")
		wants("the second is back", "down up up")
		// Who leaves counts no more.
		a.end(os.Interrupt)
		wants("one other is no quorum", "up up up")
		clusterOf(t, cctl, "nor in the status", func(c *control.Cluster) bool { return c.Targets == 0 })
	})
}

// Without the key nothing of targets is shared, and it is refused where it has no
// effect.
func TestClusterHealthIsAsked(t *testing.T) {
	dir := openDir(t)
	args, store := sharedDir(t, "0")
	targetAt(t, dir+"/1", "1")
	targetAt(t, dir+"/2", "2")
	targetAt(t, dir+"/3", "3")
	_, socket := checkedNode(t, dir, "a", "0.05", args...)
	names := func() string {
		list, err := filepath.Glob(store + "/*/*")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(list, " ")
	}
	clusterOf(t, socket, "it has written", func(c *control.Cluster) bool { return c.StoreUp && c.Epoch > 0 })
	netservertest.Eventually(t, "the file of a node is there", func() bool { return strings.Contains(names(), "nodes") })
	if strings.Contains(names(), "target") {
		t.Errorf("%s", names())
	}
	for _, c := range []struct{ args, want string }{
		{"--cluster_health_quorum 2", "cluster_health_quorum has no effect without cluster"},
		{strings.Join(args, " ") + " --cluster_health_quorum 2", "cluster_health_quorum has no effect without a [[backend]] whose targets are checked"},
		{strings.Join(args, " ") + " --cluster_health_quorum 128", "127"},
		{strings.Join(args, " ") + " --cluster_health_quorum -1", "cluster_health_quorum"},
	} {
		var out, errs bytes.Buffer
		code := daemon.Command(append([]string{"--check", "--port", "127.0.0.1:0"}, strings.Fields(c.args)...), nil, &out, &errs)
		if code != 2 || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%s: exit status %d: %s", c.args, code, &errs)
		}
	}
}
