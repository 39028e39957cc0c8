package daemon_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netserver/cluster"
	"netserver/cluster/dirstore"
	"netserver/internal/control"
	"netserver/netservertest"
)

// A drainNode is a server of a cluster that is drained and started again.
type drainNode struct {
	*running
	t      *testing.T
	addr   string
	args   []string
	socket string
}

func (n *drainNode) start() { n.running, n.socket = startCtl(n.t, n.args...) }

// drain drains it when others are ready, and returns how that ended.
func (n *drainNode) drain(args ...string) <-chan drained {
	end, socket := make(chan drained, 1), n.socket
	go func() {
		code, out, errs := ctl(socket, append([]string{"drain", "--when-others-ready"}, args...)...)
		end <- drained{code, out + errs}
	}()
	return end
}

type drained struct {
	code int
	text string
}

// wants checks how a drain has ended.
func (d drained) wants(t *testing.T, code int, text ...string) {
	t.Helper()
	for _, s := range text {
		if d.code != code || !strings.Contains(d.text, s) {
			t.Errorf("exit status %d, want %d and %q:\n%s", d.code, code, s, d.text)
		}
	}
}

// serves has a client come and go.
func serves(t *testing.T, addr string) {
	t.Helper()
	c := mustDial(t, addr)
	c.mustAsk(t, "served")
	c.Close()
}

// Servers that are told at the same moment to drain when others are ready do so
// one after the other; one that has no other waits, and goes on serving.
func TestDrainWhenOthersReady(t *testing.T) {
	both(t, func(t *testing.T, supervisor string) {
		t.Parallel()
		args, store := sharedDir(t, supervisor)
		port := netservertest.FreePort(t)
		var nodes [2]*drainNode
		for i, host := range []string{"127.0.0.1", "127.0.0.2"} { // as machines have their own
			addr := net.JoinHostPort(host, port)
			nodes[i] = &drainNode{t: t, addr: addr, args: append(args[:len(args):len(args)], "--cluster_name", string(rune('a'+i)), "--port", addr, "--log_level", "3")}
		}
		a, b := nodes[0], nodes[1]
		a.start()
		clusterOf(t, a.socket, "a shares", func(c *control.Cluster) bool { return c.StoreUp })
		netservertest.Eventually(t, "it says what it waits for", func() bool {
			d := <-a.drain("--timeout", "1")
			d.wants(t, 1, "not drained: after 1s ")
			return strings.Contains(d.text, "waiting: no other node is there")
		})
		serves(t, a.addr)
		b.start()
		ready := func(c *control.Cluster) bool {
			return len(c.Nodes) == 2 && c.Nodes[0].State == control.NodeReady && c.Nodes[1].State == control.NodeReady
		}
		for _, n := range nodes {
			clusterOf(t, n.socket, "they know each other", ready)
		}
		ends := [2]<-chan drained{a.drain(), b.drain()}
		first, second := 0, 1
		var d drained
		select {
		case d = <-ends[0]:
		case d = <-ends[1]:
			first, second = 1, 0
		}
		d.wants(t, 0, "others are ready; draining", "ended after")
		nodes[first].status()
		serves(t, nodes[second].addr) // it waits
		select {
		case d := <-ends[second]:
			t.Fatalf("both were drained: %+v", d)
		default:
		}
		nodes[first].start()
		(<-ends[second]).wants(t, 0, "waiting: ", "others are ready; draining", "ended after")
		nodes[second].status()
		serves(t, nodes[first].addr)

		netservertest.Eventually(t, "the store is gone", func() bool { // root makes a directory again
			return os.RemoveAll(store) == nil && os.WriteFile(store, nil, 0o600) == nil
		})
		clusterOf(t, nodes[first].socket, "the loss is seen", func(c *control.Cluster) bool { return !c.StoreUp })
		(<-nodes[first].drain()).wants(t, 1, "not drained: the store of the cluster does not answer")
		serves(t, nodes[first].addr)
		if code, out, errs := ctl(nodes[first].socket, "drain"); code != 0 {
			t.Errorf("a drain that does not ask: exit status %d: %s%s", code, out, errs)
		}
	})
}

// Whatever the store holds, who asks waits no longer than was said, hears what was
// in the way, and how to drain without it.
func TestDrainIsNotHeldUpForEver(t *testing.T) {
	args, _ := sharedDir(t, "0")
	key, err := os.ReadFile(args[3])
	if err != nil {
		t.Fatal(err)
	}
	keys, err := cluster.ParseKeys(key)
	if err != nil {
		t.Fatal(err)
	}
	store, err := dirstore.Open(t.Context(), args[1], cluster.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	z, err := cluster.New(cluster.Config{Store: store, Keys: keys, Name: "z", Tell: func(cluster.News) {}})
	if err != nil {
		t.Fatal(err)
	}
	z.Report(cluster.Report{Ready: true, Draining: true})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- z.Run(ctx) }()
	r, socket := startNode(t, "a", args...)
	a := &drainNode{t: t, running: r, socket: socket}
	clusterOf(t, socket, "it knows the other", func(c *control.Cluster) bool { return c.StoreUp && len(c.Nodes) == 2 })
	(<-a.drain("--timeout", "1")).wants(t, 1, "not drained: after 1s node z drains; drain without --when-others-ready does not ask")
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	store.Close()
	if code, out, errs := ctl(socket, "drain"); code != 0 {
		t.Errorf("a drain that does not ask: exit status %d: %s%s", code, out, errs)
	}
}

// Where it has no effect it is refused.
func TestDrainWhenOthersReadyIsRefused(t *testing.T) {
	_, socket := startCtl(t, "--port", "127.0.0.1:0")
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"drain", "--when-others-ready"}, 1, "this server is in no cluster"},
		{[]string{"stop", "--when-others-ready"}, 2, "stop has no when_others_ready"},
		{[]string{"drain", "--timeout", "5"}, 2, "timeout goes with when_others_ready"},
		{[]string{"drain", "--when-others-ready", "--timeout", "0"}, 2, "not a number of seconds"},
		{[]string{"drain", "--when-others-ready", "--timeout", "86401"}, 2, "not between 1 and 86400"},
	} {
		if code, out, errs := ctl(socket, tt.args...); code != tt.code || !strings.Contains(errs, tt.want) {
			t.Errorf("%q: exit status %d: %s%s", tt.args, code, out, errs)
		}
	}
	if _, err := os.Stat(filepath.Clean(socket)); err != nil {
		t.Error("the server has ended")
	}
}
