package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver"
	"netserver/handler/proxy"
	"netserver/netservertest"
)

// A fakeDNS answers from tables, which tests change.
type fakeDNS struct {
	mu    sync.Mutex
	hosts map[string][]netip.Addr
	srv   map[string][]*net.SRV
	err   error
	block chan struct{} // if set, answers wait for it
	asked int
}

func (d *fakeDNS) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *fakeDNS) questions() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

func (d *fakeDNS) wait(ctx context.Context) error {
	d.mu.Lock()
	block := d.block
	d.asked++
	d.mu.Unlock()
	if block == nil {
		return nil
	}
	select {
	case <-block:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *fakeDNS) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	if err := d.wait(ctx); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return nil, d.err
	}
	if list := d.hosts[host]; list != nil {
		return slices.Clone(list), nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (d *fakeDNS) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if err := d.wait(ctx); err != nil {
		return "", nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return "", nil, d.err
	}
	if service != "" || proto != "" {
		return "", nil, errors.New("asked for a service of a name that has it already")
	}
	if list := d.srv[name]; list != nil {
		return name, list, nil
	}
	return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func addrs(list ...string) (ips []netip.Addr) {
	for _, s := range list {
		ips = append(ips, netip.MustParseAddr(s))
	}
	return ips
}

// portOf returns the port of a target.
func portOf(n *named) string {
	_, p, _ := net.SplitHostPort(targetOf(n.l))
	return p
}

// on starts a target on an address of this machine.
func on(t testing.TB, name, address string) *named {
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { l.Close() })
	n := &named{name: name, l: l}
	go n.run()
	return n
}

// addressesOf returns the addresses that List tells, sorted.
func addressesOf(b *proxy.Backend) (list []string) {
	for _, s := range b.List() {
		list = append(list, s.Address)
	}
	slices.Sort(list)
	return list
}

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
	on   func(line string) // is called with each; nil is not
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.on != nil {
		l.on(string(b))
	}
	return l.text.Write(b)
}

func (l *lines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

func (l *lines) log() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// runOrNot puts a proxy in front of b, whose Run the server calls or not.
func runOrNot(t testing.TB, b *proxy.Backend, run bool) *front {
	var h netserver.Handler = &proxy.Handler{Backend: b}
	if !run {
		h = noRunner{h.(*proxy.Handler)}
	}
	return serve(t, "tcp", h, netserver.Config{})
}

// A name is looked up by the interval, each of its addresses is a target, and
// the last good ones stay while look-ups fail, which is said once.
func TestNamesChange(t *testing.T) {
	for _, run := range []bool{true, false} {
		t.Run(fmt.Sprint("Run ", run), func(t *testing.T) {
			a := on(t, "a", "127.0.0.1:0")
			p := portOf(a)
			b := on(t, "b", "127.0.0.2:"+p)
			dns := &fakeDNS{hosts: map[string][]netip.Addr{"imap.example": addrs("127.0.0.1")}}
			var log lines
			be := &proxy.Backend{Name: "x", Targets: []proxy.Target{{Address: "imap.example:" + p}}, Resolver: dns, Resolve: 10 * time.Millisecond, Log: log.log()}
			f := runOrNot(t, be, run)
			if got := f.names(t, 3); got != "aaa" {
				t.Errorf("got %s", got)
			}
			dns.set(func() { dns.hosts["imap.example"] = addrs("127.0.0.2", "127.0.0.1") })
			netservertest.Eventually(t, "both addresses", func() bool {
				f.names(t, 1) // without Run, clients have it looked up
				return len(be.List()) == 2
			})
			if got := f.names(t, 4); strings.Count(got, "b") != 2 {
				t.Errorf("with two addresses: %s", got)
			}
			dns.set(func() { dns.err = errors.New("DNS is down") })
			netservertest.Eventually(t, "the failure is said", func() bool {
				f.names(t, 1)
				return log.count("look-up of a target failed") == 1
			})
			if got := f.names(t, 4); strings.Count(got, "b") != 2 {
				t.Errorf("while DNS is down: %s", got)
			}
			dns.set(func() { dns.err, dns.hosts["imap.example"] = nil, addrs("127.0.0.2") })
			netservertest.Eventually(t, "the new address", func() bool {
				f.names(t, 1)
				return slices.Equal(addressesOf(be), []string{"127.0.0.2:" + p})
			})
			if got := f.names(t, 3); got != "bbb" {
				t.Errorf("after it: %s", got)
			}
			if n := log.count("look-up of a target failed"); n != 1 {
				t.Errorf("the failure was said %d times", n)
			}
			if log.count("succeeds again") != 1 {
				t.Error("its end was not said once")
			}
			if err := a.l.Close(); err != nil {
				t.Error(err)
			}
			_ = b
		})
	}
}

// A name that cannot be looked up at first is an error for clients, and works
// once it can.
func TestNameUnknownAtFirst(t *testing.T) {
	a := startNamed(t, "a", false)
	p := portOf(a)
	dns := &fakeDNS{hosts: map[string][]netip.Addr{}}
	be := &proxy.Backend{Name: "x", Targets: []proxy.Target{{Address: "imap.example:" + p}}, Resolver: dns, Resolve: 10 * time.Millisecond}
	running(t, be)
	f := frontOf(t, be)
	if got := f.visit(t); got != "" {
		t.Errorf("got %s", got)
	}
	wantRecord(t, f, "no target of backend x is up: imap.example:"+p+": lookup imap.example: no such host")
	if s := stateOf(be, "imap.example:"+p); s.State != "unknown" || s.Reason != "lookup imap.example: no such host" {
		t.Errorf("state: %+v", s)
	}
	dns.set(func() { dns.hosts["imap.example"] = addrs("127.0.0.1") })
	awaitState(t, be, "imap.example:"+p, "up")
	if got := f.names(t, 1); got != "a" {
		t.Errorf("got %q", got)
	}
}

// Clients that come before the first answer wait for it, for a time.
func TestFirstLookupIsSlow(t *testing.T) {
	for _, run := range []bool{true, false} {
		t.Run(fmt.Sprint("Run ", run), func(t *testing.T) {
			a := startNamed(t, "a", false)
			p := portOf(a)
			block := make(chan struct{})
			dns := &fakeDNS{hosts: map[string][]netip.Addr{"imap.example": addrs("127.0.0.1")}, block: block}
			be := &proxy.Backend{Name: "x", Targets: []proxy.Target{{Address: "imap.example:" + p}}, Resolver: dns, QueueTime: patience}
			f := runOrNot(t, be, run)
			one, two := f.dial(t), f.dial(t)
			netservertest.Eventually(t, "both wait", func() bool { return proxy.Waiting(be) == 2 })
			close(block)
			want(t, one, "a")
			want(t, two, "a")
			if n := dns.questions(); n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

func TestServiceRecords(t *testing.T) {
	a := on(t, "a", "127.0.0.1:0")
	b, c, d := startNamed(t, "b", false), startNamed(t, "c", false), startNamed(t, "d", false)
	srv := func(n *named, host string, priority, weight uint16) *net.SRV {
		return &net.SRV{Target: host, Port: uint16(n.l.Addr().(*net.TCPAddr).Port), Priority: priority, Weight: weight}
	}
	dns := &fakeDNS{
		hosts: map[string][]netip.Addr{"h": addrs("127.0.0.1")},
		srv: map[string][]*net.SRV{"_imap._tcp.example.com": {
			srv(a, "h.", 10, 1), srv(b, "h.", 10, 3), srv(c, "h.", 20, 0),
			srv(d, "_imap._tcp.example.com.", 5, 9), // a loop: the name has no addresses
		}},
	}
	be := &proxy.Backend{Name: "x", Targets: []proxy.Target{{Address: "srv:_imap._tcp.example.com"}}, Resolver: dns, Resolve: time.Hour}
	running(t, be)
	f := frontOf(t, be)
	if got := f.names(t, 8); strings.Count(got, "a") != 2 || strings.Count(got, "b") != 6 {
		t.Errorf("got %s", got)
	}
	a.l.Close()
	b.l.Close()
	if got := f.names(t, 2); got != "cc" {
		t.Errorf("without those of the first priority: %s", got)
	}
	if n := dns.questions(); n > 3 {
		t.Errorf("%d questions", n)
	}
}

// A domain may say that it has no such service.
func TestServiceNotThere(t *testing.T) {
	dns := &fakeDNS{srv: map[string][]*net.SRV{"_imap._tcp.example.com": {{Target: "."}}}}
	be := &proxy.Backend{Name: "x", Targets: []proxy.Target{{Address: "srv:_imap._tcp.example.com"}}, Resolver: dns}
	f := frontOf(t, be)
	f.visit(t)
	wantRecord(t, f, "no target of backend x is up: srv:_imap._tcp.example.com: its SRV records name no host")
}

// A Handler's Target may be an SRV name too.
func TestTargetOfServiceRecords(t *testing.T) {
	if err := (&proxy.Handler{Target: "srv:_imap._tcp.example.com"}).Check(); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"srv:": "is not a name with SRV records", "srv:a:80": "tell the port", "srv:a b": "is not a name"} {
		if err := (&proxy.Handler{Target: name}).Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A name with 500 addresses is bounded, and the same ones are used whatever the
// order of the answer.
func TestManyAddresses(t *testing.T) {
	var list []netip.Addr
	for i := range 500 {
		list = append(list, netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}))
	}
	dns := &fakeDNS{hosts: map[string][]netip.Addr{"many.example": list}}
	var log lines
	be := &proxy.Backend{Targets: []proxy.Target{{Address: "many.example:1"}}, Resolver: dns, Resolve: 5 * time.Millisecond, Log: log.log()}
	running(t, be)
	netservertest.Eventually(t, "looked up", func() bool { return len(addressesOf(be)) > 1 })
	first := addressesOf(be)
	if len(first) != 256 {
		t.Errorf("%d addresses are used", len(first))
	}
	dns.set(func() { slices.Reverse(list) })
	dns.set(func() { dns.asked = 0 })
	netservertest.Eventually(t, "looked up again", func() bool { return dns.questions() >= 3 })
	if again := addressesOf(be); !slices.Equal(first, again) {
		t.Error("another order has another result")
	}
	if n := log.count("more addresses"); n != 1 {
		t.Errorf("it was said %d times", n)
	}
}

// A host with an address of each family is one target, which is reached by
// whichever address works.
func TestBothFamilies(t *testing.T) {
	a := on(t, "a", "127.0.0.1:0")
	p := portOf(a)
	dns := &fakeDNS{hosts: map[string][]netip.Addr{"both.example": addrs("::1", "127.0.0.1")}}
	be := &proxy.Backend{Targets: []proxy.Target{{Address: "both.example:" + p}}, Resolver: dns}
	f := frontOf(t, be)
	if got := f.names(t, 3); got != "aaa" {
		t.Errorf("got %s", got)
	}
	list := be.List()
	if len(list) != 1 || list[0].State != "up" || list[0].Failed != 0 || list[0].Total != 3 {
		t.Errorf("state: %+v", list)
	}
	a.l.Close()
	if got := f.visit(t); got != "" {
		t.Errorf("got %s", got)
	}
}

// Both addresses of a host may be dead in different ways.
func TestBothFamiliesDead(t *testing.T) {
	hole := blackHole(t, "tcp")
	_, p, _ := net.SplitHostPort(targetOf(hole))
	dns := &fakeDNS{hosts: map[string][]netip.Addr{"both.example": addrs("127.0.0.1", "::1")}}
	be := &proxy.Backend{Name: "x", Targets: []proxy.Target{{Address: "both.example:" + p}}, Resolver: dns, ConnectTimeout: 500 * time.Millisecond}
	f := frontOf(t, be)
	f.visit(t)
	if r := f.record(t); r.Err == nil || !strings.Contains(r.Err.Error(), "backend x: both.example:"+p+" (127.0.0.1): ") {
		t.Errorf("record: %v", r.Err)
	}
}

// Of several hosts of SRV records one cannot be looked up any more: its last
// good address stays, and the others are as they are now.
func TestOneHostOfARecordFails(t *testing.T) {
	a, b := startNamed(t, "a", false), startNamed(t, "b", false)
	srv := func(n *named, host string) *net.SRV {
		return &net.SRV{Target: host, Port: uint16(n.l.Addr().(*net.TCPAddr).Port), Weight: 1}
	}
	name := "_imap._tcp.example.com"
	dns := &fakeDNS{
		hosts: map[string][]netip.Addr{"one": addrs("127.0.0.1"), "two": addrs("127.0.0.1")},
		srv:   map[string][]*net.SRV{name: {srv(a, "one"), srv(b, "two")}},
	}
	be := &proxy.Backend{Name: "x", Targets: []proxy.Target{{Address: "srv:" + name}}, Resolver: dns, Resolve: 10 * time.Millisecond}
	f := frontOf(t, be)
	f.names(t, 2)
	dns.set(func() {
		delete(dns.hosts, "one")
		dns.hosts["two"] = addrs("127.0.0.2")
	})
	netservertest.Eventually(t, "the other host's new address", func() bool {
		return slices.Contains(addressesOf(be), "127.0.0.2:"+portOf(b))
	})
	if got := addressesOf(be); len(got) != 2 || got[0] != targetOf(a.l) {
		t.Errorf("the addresses are %v", got)
	}
	if s := stateOf(be, targetOf(a.l)); s.State != "up" || s.Total != 1 {
		t.Errorf("the one whose host is not found: %+v", s)
	}
}

// A name is drained with all its addresses.
func TestDrainAName(t *testing.T) {
	a := on(t, "a", "127.0.0.1:0")
	dns := &fakeDNS{hosts: map[string][]netip.Addr{"n.example": addrs("127.0.0.1", "127.0.0.2")}}
	be := &proxy.Backend{Name: "x", Targets: []proxy.Target{{Address: "n.example:" + portOf(a)}}, Resolver: dns}
	f := frontOf(t, be)
	if got := f.names(t, 1); got != "a" {
		t.Errorf("got %q", got)
	}
	must(t, be.Drain("n.example:"+portOf(a)))
	for _, s := range be.List() {
		if s.State != "drained" {
			t.Errorf("state: %+v", s)
		}
	}
	must(t, be.Add(proxy.Target{Address: "n.example:" + portOf(a)}))
	must(t, be.Drain("127.0.0.2:"+portOf(a)))
	if got := f.names(t, 3); got != "aaa" {
		t.Errorf("got %q", got)
	}
}

// The second address of a host is tried beside the first when that does not
// answer.
func TestFirstFamilyDoesNotAnswer(t *testing.T) {
	hole := blackHole(t, "tcp")
	_, p, _ := net.SplitHostPort(targetOf(hole))
	on(t, "a", "[::1]:"+p)
	dns := &fakeDNS{hosts: map[string][]netip.Addr{"both.example": addrs("127.0.0.1", "::1")}}
	be := &proxy.Backend{Targets: []proxy.Target{{Address: "both.example:" + p}}, Resolver: dns, ConnectTimeout: patience}
	f := frontOf(t, be)
	if got := f.names(t, 2); got != "aa" {
		t.Errorf("got %q", got)
	}
}
