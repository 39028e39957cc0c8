package proxy_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver/handler/proxy"
	"netserver/netservertest"
)

// dnsmasq starts a DNS server, and returns a resolver that asks it and a
// function that kills it. All its answers are valid for no time at all (TTL 0).
func dnsmasq(t *testing.T, args ...string) (*net.Resolver, func()) {
	t.Helper()
	program := netservertest.Peer(t, "dnsmasq")
	address := deadAddress(t)
	_, p, _ := net.SplitHostPort(address)
	cmd := exec.Command(program, append([]string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=", "--user=", "--local=/test/",
		"--listen-address=127.0.0.1", "--bind-interfaces", "--port=" + p, "--local-ttl=0", "--log-facility=-",
	}, args...)...)
	var out lines
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	kill := sync.OnceFunc(func() { cmd.Process.Kill(); cmd.Wait() })
	t.Cleanup(kill)
	up := func() bool {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		c.Close()
		return true
	}
	if !settles(up) {
		t.Fatalf("dnsmasq does not come up: %s", out.text.String())
	}
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}
	return &net.Resolver{PreferGo: true, Dial: dial}, kill
}

// A real DNS server: SRV records with priorities and one that leads back to
// itself, a chain of names, 500 addresses, and all of it gone later.
func TestDNSServer(t *testing.T) {
	a, b, c := startNamed(t, "a", false), startNamed(t, "b", false), startNamed(t, "c", false)
	many := filepath.Join(t.TempDir(), "hosts")
	var text strings.Builder
	for i := range 500 {
		fmt.Fprintf(&text, "127.2.%d.%d many.test\n", i>>8, i&255)
	}
	must(t, os.WriteFile(many, []byte(text.String()), 0o644))
	resolver, kill := dnsmasq(t,
		"--host-record=h.test,127.0.0.1", "--cname=alias.test,h.test", "--addn-hosts="+many,
		"--srv-host=_imap._tcp.example.test,h.test,"+portOf(a)+",10,1",
		"--srv-host=_imap._tcp.example.test,alias.test,"+portOf(b)+",10,3",
		"--srv-host=_imap._tcp.example.test,h.test,"+portOf(c)+",20,0",
		"--srv-host=_imap._tcp.example.test,_imap._tcp.example.test,1,5,9",
	)
	var log lines
	be := &proxy.Backend{
		Name: "x", Targets: []proxy.Target{{Address: "srv:_imap._tcp.example.test"}},
		Resolver: resolver, Resolve: 20 * time.Millisecond, Log: log.log(),
	}
	f := frontOf(t, be)
	share := func() {
		t.Helper()
		if got := f.names(t, 8); strings.Count(got, "a") != 2 || strings.Count(got, "b") != 6 {
			t.Errorf("got %s", got)
		}
	}
	share()
	if s := stateOf(be, "127.0.0.1:"+portOf(c)); s.State != "up" || s.Total != 0 {
		t.Errorf("the target of the second priority: %+v", s)
	}
	wide := &proxy.Backend{Targets: []proxy.Target{{Address: "many.test:1"}}, Resolver: resolver, Resolve: 20 * time.Millisecond, Log: log.log()}
	running(t, wide)
	netservertest.Eventually(t, "256 of 500 addresses", func() bool { return len(wide.List()) == 256 })
	kill()
	netservertest.Eventually(t, "the failure is said", func() bool {
		return log.count("the last good addresses stay\" target=many.test:1 addresses=256") == 1
	})
	share()
	a.l.Close()
	b.l.Close()
	if got := f.names(t, 3); got != "ccc" {
		t.Errorf("without those of the first priority: %s", got)
	}
}
