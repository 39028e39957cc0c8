package proxy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"netserver"
	"netserver/handler/proxy"
	"netserver/internal/foreign"
	"netserver/netservertest"
	"netserver/outcome"
)

// sees starts a target that tells each client where it comes from.
func sees(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(nc, nc.RemoteAddr().(*net.TCPAddr).IP.String())
			nc.Close()
		}
	}()
	return l
}

// comesFrom lets a client come from an address, and returns what it reads.
func comesFrom(t *testing.T, r *netservertest.Running, from string) string {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	nc, err := d.DialContext(t.Context(), "tcp", r.Addr(t, "tcp").String())
	must(t, err)
	defer nc.Close()
	b, _ := io.ReadAll(nc)
	return string(b)
}

func TestTransparent(t *testing.T) {
	if why := foreign.Why(); why != nil {
		t.Skip(why)
	}
	l := sees(t, "127.0.0.1:0")
	r := netservertest.Start(t, &netserver.Server{Handler: &proxy.Handler{Target: targetOf(l), Bind: proxy.BindTransparent}}, "tcp")
	for _, from := range []string{"127.0.0.5", "127.0.0.6", "127.0.0.5"} {
		if got := comesFrom(t, r, from); got != from {
			t.Errorf("the target sees %q of a client from %s", got, from)
		}
	}
}

// A target of another family is no client's fault nor the target's: another one
// serves the client, and it stays up.
func TestTransparentOtherFamily(t *testing.T) {
	six, four := sees(t, "[::1]:0"), sees(t, "127.0.0.1:0")
	bound := 0
	b := &proxy.Backend{Targets: []proxy.Target{{Address: targetOf(six)}, {Address: targetOf(four)}}, Balance: proxy.Priority,
		Bind: func(netip.Addr, syscall.RawConn) error { bound++; return nil }}
	r := netservertest.Start(t, &netserver.Server{Handler: &proxy.Handler{Backend: b}}, "tcp")
	for range 3 {
		if got := comesFrom(t, r, "127.0.0.5"); got != "127.0.0.1" {
			t.Errorf("%q", got)
		}
	}
	for _, s := range b.List() {
		if s.State != "up" {
			t.Errorf("%+v", s)
		}
	}
	if bound != 3 {
		t.Error("bound", bound)
	}
	only := &proxy.Handler{Target: targetOf(six), Bind: b.Bind}
	r = netservertest.Start(t, &netserver.Server{Handler: only}, "tcp")
	if got := comesFrom(t, r, "127.0.0.5"); got != "" {
		t.Errorf("%q", got)
	}
	rec := r.Records(t, 1)[0]
	if rec.Outcome != outcome.NoTarget || !strings.Contains(rec.Err.Error(), "transparent: the client's address 127.0.0.5 is of another family than the target's") {
		t.Error(rec.Outcome, rec.Err)
	}
}

// What cannot come from a client's address is refused, and a Bind that fails is
// the operator's to see.
func TestTransparentRefused(t *testing.T) {
	none := func(netip.Addr, syscall.RawConn) error { return errors.New("no capability") }
	if err := (&proxy.Handler{Target: "/run/x.sock", Bind: none}).Check(); err == nil || !strings.Contains(err.Error(), "sees no address of a client") {
		t.Error("a UNIX socket:", err)
	}
	if err := (&proxy.Handler{Target: "127.0.0.1:9", Bind: none}).Check(&net.UDPAddr{Port: 53}); err == nil || !strings.Contains(err.Error(), "cannot be sent from the client's address") {
		t.Error("datagrams:", err)
	}
	l := sees(t, "127.0.0.1:0")
	b := &proxy.Backend{Targets: []proxy.Target{{Address: targetOf(l)}}, Bind: none}
	if _, err := b.Dial(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "nobody's address") {
		t.Error("for nobody:", err)
	}
	r := netservertest.Start(t, &netserver.Server{Handler: &proxy.Handler{Backend: b}}, "tcp", "unix")
	if got := comesFrom(t, r, "127.0.0.5"); got != "" {
		t.Errorf("%q", got)
	}
	nc := r.DialRaw(t, "unix")
	io.ReadAll(nc)
	for _, rec := range r.Records(t, 2) {
		want := "transparent: no capability"
		if rec.Port.IsUnix() {
			want = "transparent: a client of a UNIX socket has no address"
		}
		if rec.Err == nil || !strings.Contains(rec.Err.Error(), want) {
			t.Errorf("%v, want %s", rec.Err, want)
		}
	}
	for _, s := range b.List() {
		if s.State != "up" {
			t.Errorf("%+v", s)
		}
	}
}
