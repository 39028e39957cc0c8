package netserver_test

import (
	"bytes"
	"context"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"netserver"
	"netserver/netservertest"
)

// Goroutines that have served a datagram serve others, those that panic or end
// among them.
func TestDatagramsUseGoroutinesAgain(t *testing.T) {
	var mu sync.Mutex
	seen := make(map[string]bool)
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
		b := make([]byte, 100)
		name, _, _ := bytes.Cut(b[:runtime.Stack(b, false)], []byte("["))
		mu.Lock()
		seen[string(name)] = true
		mu.Unlock()
		n, err := c.Read(b)
		if err != nil {
			return err
		}
		c.Write(b[:n])
		switch b[0] {
		case 'p':
			panic("a datagram's")
		case 'e':
			runtime.Goexit()
		}
		return nil
	})}
	r := netservertest.Start(t, s, "udp")
	c, err := net.Dial("udp", r.Addr(t, "udp").String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const datagrams = 300
	c.SetDeadline(time.Now().Add(time.Minute))
	for i := range datagrams {
		kind := []byte{'o'}
		switch i % 10 {
		case 3:
			kind[0] = 'p'
		case 7:
			kind[0] = 'e'
		}
		if _, err := c.Write(kind); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(kind); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if n := len(seen); n == datagrams {
		t.Errorf("%d goroutines for as many datagrams", n)
	}
}
