package proxy_test

import (
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver"
	"netserver/handler/proxy"
	"netserver/netservertest"
)

// dnsmasq behind sessions, asked by dig: short and long answers, one after the
// other and many at once.
func TestDNSServerBehindSessions(t *testing.T) {
	dig := netservertest.Peer(t, "dig")
	target := deadAddress(t)
	_, port, err := net.SplitHostPort(target)
	must(t, err)
	long := strings.Repeat("x", 200)
	args := []string{"--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file", "--user=", "--group=",
		"--listen-address=127.0.0.1", "--bind-interfaces", "--port=" + port, "--edns-packet-max=4096",
		"--address=/example.test/10.1.2.3"}
	for range 8 {
		args = append(args, "--txt-record=long.test,"+long)
	}
	peer(t, target, "dnsmasq", args...)
	f := serve(t, "udp", &proxy.Handler{Target: target, SessionTimeout: time.Second}, netserver.Config{})
	host, at, err := net.SplitHostPort(f.addr.String())
	must(t, err)
	ask := func(words ...string) string {
		out, err := exec.Command(dig, append([]string{"@" + host, "-p", at, "+short", "+ignore", "+tries=2", "+time=10"}, words...)...).CombinedOutput()
		if err != nil {
			t.Errorf("dig %v: %v: %s", words, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if got := ask("www.example.test"); got != "10.1.2.3" {
		t.Errorf("the answer is %q", got)
	}
	if got := ask("+bufsize=4096", "long.test", "TXT"); strings.Count(got, long) != 8 {
		t.Errorf("a long answer is %q", got)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if got := ask("a.example.test", "b.example.test", "c.example.test"); got != "10.1.2.3\n10.1.2.3\n10.1.2.3" {
				t.Errorf("the answers are %q", got)
			}
		})
	}
	all.Wait()
	for range 2 + 8 { // dig may ask its three questions from one port or from three
		if r := f.record(t); r.Err != nil || r.Out == 0 {
			t.Errorf("record: %v, out %d", r.Err, r.Out)
		}
	}
}
