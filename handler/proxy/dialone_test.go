package proxy_test

import (
	"errors"
	"io"
	"net"
	"testing"

	"netserver/handler/proxy"
	"netserver/proto"
)

// TestDial connects to a target for somebody who is no client, and holds its
// place until the connection is closed.
func TestDial(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "hello")
			c.Close()
		}
	}()
	for _, balance := range []proxy.Balance{proxy.RoundRobin, proxy.Source} {
		b := &proxy.Backend{Balance: balance, Targets: []proxy.Target{{Address: l.Addr().String(), Max: 1}}, Queue: -1}
		nc, err := b.Dial(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(nc); string(got) != "hello" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := b.Dial(t.Context(), nil); !errors.Is(err, proto.ErrNoTarget) {
			t.Errorf("the second while there is room for one: %v", err)
		}
		nc.Close()
		if err := nc.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed twice: %v", err)
		}
		if nc, err = b.Dial(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		nc.Close()
	}
	b := &proxy.Backend{Targets: []proxy.Target{{Address: "127.0.0.1:1"}}}
	if _, err := b.Dial(t.Context(), nil); !errors.Is(err, proto.ErrNoTarget) {
		t.Errorf("nobody there: %v", err)
	}
}
