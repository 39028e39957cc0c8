package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"netserver/netservertest"
)

// A network is three name spaces: of a client (c), of netserver (s), through
// which all goes, and of a server behind it (b).
type network struct {
	t    *testing.T
	ip   string
	name string
}

// newNetwork makes one, with the routes of docs/BACKENDS.md.
func newNetwork(t *testing.T) *network {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can make networks")
	}
	n := &network{t: t, ip: netservertest.Peer(t, "ip"), name: fmt.Sprintf("ns%d", os.Getpid())}
	if out, err := exec.Command(n.ip, "netns", "add", n.space("c")).CombinedOutput(); err != nil {
		t.Skipf("no network name spaces here: %v, %s", err, out)
	}
	t.Cleanup(func() {
		for _, x := range []string{"c", "s", "b"} {
			exec.Command(n.ip, "netns", "del", n.space(x)).Run()
		}
	})
	n.do("netns add " + n.space("s"))
	n.do("netns add " + n.space("b"))
	n.do(fmt.Sprintf("link add vc netns %s type veth peer name vs1 netns %s", n.space("c"), n.space("s")))
	n.do(fmt.Sprintf("link add vb netns %s type veth peer name vs2 netns %s", n.space("b"), n.space("s")))
	for _, line := range []string{
		"c link set lo up", "s link set lo up", "b link set lo up",
		"c addr add 10.9.1.2/24 dev vc", "c addr add fd00:9:1::2/64 dev vc nodad", "c link set vc up",
		"s addr add 10.9.1.1/24 dev vs1", "s addr add fd00:9:1::1/64 dev vs1 nodad", "s link set vs1 up",
		"s addr add 10.9.2.1/24 dev vs2", "s addr add fd00:9:2::1/64 dev vs2 nodad", "s link set vs2 up",
		"b addr add 10.9.2.2/24 dev vb", "b addr add fd00:9:2::2/64 dev vb nodad", "b link set vb up",
		"c route add default via 10.9.1.1", "b route add default via 10.9.2.1",
		"c -6 route add default via fd00:9:1::1", "b -6 route add default via fd00:9:2::1",
		// What comes from the server behind is for this machine, whatever its
		// address is.
		"s rule add iif vs2 ipproto tcp lookup 100", "s route add local default dev lo table 100",
		"s -6 rule add iif vs2 ipproto tcp lookup 100", "s -6 route add local default dev lo table 100",
	} {
		x, command, _ := strings.Cut(line, " ")
		n.do("-n " + n.space(x) + " " + command)
	}
	return n
}

func (n *network) space(x string) string { return n.name + x }

func (n *network) do(command string) {
	n.t.Helper()
	if out, err := exec.Command(n.ip, strings.Fields(command)...).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %s: %v, %s", command, err, out)
	}
}

// command is a command in one of the name spaces.
func (n *network) command(x, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(n.ip, append([]string{"netns", "exec", n.space(x), name}, args...)...)
	cmd.Env = serverEnvironment()
	return cmd
}

// TestTransparent has a server behind netserver see the clients' own addresses,
// though the processes that serve them are nobody's and have no capability.
func TestTransparent(t *testing.T) {
	n := newNetwork(t)
	socat := netservertest.Peer(t, "socat")
	for _, listen := range []string{"TCP4-LISTEN:7000,fork,reuseaddr", "TCP6-LISTEN:7000,fork,reuseaddr,ipv6only=1"} {
		launch(t, "socat", n.command("b", socat, listen, "SYSTEM:echo $SOCAT_PEERADDR"))
	}
	s := startCmd(t, n.command("s", binary, "--port", "10.9.1.1:8000", "--port", "[fd00:9:1::1]:8000", "--proxy_to", "10.9.2.2:7000", "--proxy_to", "[fd00:9:2::2]:7000",
		"--transparent", "1", "--user", "nobody", "--group", "nogroup", "--log_level", "3"))
	s.awaitLog(`identity of the serving processes: user nobody.*no capabilities`)
	ask := func(to string) string {
		out, _ := n.command("c", socat, "-t5", "-", to).Output()
		return strings.TrimSpace(string(out))
	}
	for to, want := range map[string]string{"TCP4:10.9.1.1:8000": "10.9.1.2", "TCP6:[fd00:9:1::1]:8000": "fd00:0009:0001"} {
		netservertest.Eventually(t, "the client's address at the server, by "+to, func() bool { return strings.Contains(ask(to), want) })
	}
	// After a reload the new processes have sockets too.
	s.signal(syscall.SIGHUP)
	s.awaitLog(`Received a SIG HUP`)
	for range 3 {
		if got := ask("TCP4:10.9.1.1:8000"); got != "10.9.1.2" {
			t.Errorf("after HUP the server sees %q", got)
		}
	}
	s.stop()
}

// TestTransparentNeedsCapability refuses the start of a server that could not do
// it, with the reason.
func TestTransparentNeedsCapability(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	cmd := exec.Command(binary, "--port", "127.0.0.1:0", "--proxy_to", "127.0.0.1:9", "--transparent", "1")
	cmd.Env, cmd.Dir = environment(), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "transparent: the system lets only a process with CAP_NET_RAW or CAP_NET_ADMIN") {
		t.Errorf("%v, %s", err, out)
	}
	for _, c := range []struct{ args, want string }{
		{"--port 127.0.0.1:0/udp --proxy_to 127.0.0.1:9 --transparent 1", "transparent has no effect on ports for datagrams"},
		{"--port 127.0.0.1:0 --transparent 1", "transparent has no effect without a target"},
		{"--port 127.0.0.1:0 --proxy_to /run/x.sock --transparent 1", "sees no address of a client"},
		{"--port 127.0.0.1:0 --port 127.0.0.1:0/udp --proxy_to 127.0.0.1:9 --transparent 1", "transparent is for ports with connections"},
	} {
		if _, stderr, status := both(t, append(strings.Fields(c.args), "--check", "--user", me(t))...); status == 0 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: status %d, %s", c.args, status, stderr)
		}
	}
}
