//go:build unix

package redisstore

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"netserver/cluster"
	"netserver/netservertest"
)

// TLS to a server whose certificate our authority has signed, and to one that
// nobody trusts. redis-server cannot choose a free port, so that TLS ends before
// it.
func TestTLS(t *testing.T) {
	ctx, s := context.Background(), start(t)
	pair := netservertest.CA(t).Issue(t, netservertest.Leaf{})
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair.TLS}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { forward(&wg, l, s.socket) })
	t.Cleanup(wg.Wait)
	t.Cleanup(func() { l.Close() })
	for trusted, cfg := range map[bool]*tls.Config{true: {RootCAs: netservertest.CA(t).Pool()}, false: nil} {
		st, err := Open(ctx, "rediss://"+l.Addr().String(), cluster.StoreOptions{TLS: cfg, Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		if _, err := st.Set(ctx, "x", nil, 0); (err == nil) != trusted {
			t.Errorf("trusted %v: %v", trusted, err)
		}
	}
}

// forward copies between the clients of l and a socket, until l is closed.
func forward(wg *sync.WaitGroup, l net.Listener, socket string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("unix", socket)
		if err != nil {
			c.Close()
			continue
		}
		copyTo := func(a, b net.Conn) { io.Copy(a, b); a.Close() }
		wg.Go(func() { copyTo(c, to) })
		wg.Go(func() { copyTo(to, c) })
	}
}
