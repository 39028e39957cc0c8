//go:build unix

package redisstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver/cluster"
	"netserver/netservertest"
)

// TLS to a server whose certificate our authority has signed, and to those whose
// certificate is not good: the error says what is wrong with which. redis-server
// cannot choose a free port, so that TLS ends before it.
func TestTLS(t *testing.T) {
	ctx, s, ca := context.Background(), start(t), netservertest.CA(t)
	past := time.Now().Add(-time.Hour)
	for _, tt := range []struct {
		leaf  netservertest.Leaf
		roots *x509.CertPool
		want  string
	}{
		{netservertest.Leaf{}, ca.Pool(), ""},
		{netservertest.Leaf{}, nil, "unknown authority"},
		{netservertest.Leaf{}, netservertest.NewCA(t, "other").Pool(), "unknown authority"},
		{netservertest.Leaf{Until: past, From: past.Add(-time.Hour)}, ca.Pool(), "has expired"},
		{netservertest.Leaf{Hosts: []string{"127.0.0.2"}}, ca.Pool(), "valid for 127.0.0.2, not 127.0.0.1"},
	} {
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, tt.leaf).TLS}})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() { forward(&wg, l, s.socket) })
		t.Cleanup(wg.Wait)
		t.Cleanup(func() { l.Close() })
		st, err := Open(ctx, "rediss://"+l.Addr().String(), cluster.StoreOptions{TLS: &tls.Config{RootCAs: tt.roots}, Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		_, err = st.Set(ctx, "x", nil, 0)
		text := fmt.Sprint(err)
		if (err == nil) != (tt.want == "") || tt.want != "" && (!strings.HasPrefix(text, "TLS to "+l.Addr().String()+": ") || !strings.Contains(text, tt.want) || strings.Contains(text, "\n")) {
			t.Errorf("%v, want %q", err, tt.want)
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
