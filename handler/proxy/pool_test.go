package proxy_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"netserver"
	"netserver/handler/proxy"
	"netserver/netservertest"
)

// A named is a target that sends its name to each connection, and ends it when
// the client does.
type named struct {
	name  string
	l     net.Listener
	conns atomic.Int64 // accepted
	hold  chan struct{}
}

// startNamed starts a target. With hold it ends no connection until the test
// does.
func startNamed(t testing.TB, name string, hold bool) *named {
	n := &named{name: name, l: listen(t, "tcp")}
	if hold {
		n.hold = make(chan struct{})
		t.Cleanup(n.letGo)
	}
	go n.run()
	return n
}

func (n *named) letGo() {
	select {
	case <-n.hold:
	default:
		close(n.hold)
	}
}

func (n *named) run() {
	for {
		c, err := n.l.Accept()
		if err != nil {
			return
		}
		n.conns.Add(1)
		go n.serve(c)
	}
}

func (n *named) serve(c net.Conn) {
	defer c.Close()
	io.WriteString(c, n.name)
	if n.hold != nil {
		<-n.hold
		return
	}
	io.Copy(io.Discard, c)
}

func (n *named) target() proxy.Target { return proxy.Target{Address: n.l.Addr().String()} }

// running starts b.Run, and ends it with the test.
func running(t testing.TB, b *proxy.Backend) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { b.Run(ctx) })
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return stop
}

// front puts a proxy in front of b.
func frontOf(t testing.TB, b *proxy.Backend) *front {
	return serve(t, "tcp", &proxy.Handler{Backend: b}, netserver.Config{})
}

// visit connects a client, which sends a byte, reads the name of its target, one
// byte, and ends.
// It returns "" if there is none.
func (f *front) visit(t testing.TB) string {
	t.Helper()
	nc, err := net.Dial("tcp", f.addr.String())
	must(t, err)
	defer nc.Close()
	must(t, nc.SetDeadline(time.Now().Add(patience)))
	_, err = nc.Write([]byte("?"))
	must(t, err)
	b := make([]byte, 1)
	n, _ := nc.Read(b)
	return string(b[:n])
}

// names is the targets of the next n clients, one after another.
func (f *front) names(t testing.TB, n int) string {
	t.Helper()
	var s strings.Builder
	for range n {
		s.WriteString(f.visit(t))
		f.record(t)
	}
	return s.String()
}

// stateOf returns what List says of the target with the address.
func stateOf(b *proxy.Backend, address string) proxy.TargetState {
	for _, s := range b.List() {
		if s.Address == address || s.Target == address {
			return s
		}
	}
	return proxy.TargetState{}
}

// awaitState waits until List says that the target is in the state.
func awaitState(t testing.TB, b *proxy.Backend, address, state string) {
	t.Helper()
	netservertest.Eventually(t, address+" is "+state, func() bool { return stateOf(b, address).State == state })
}

func targetsOf(list ...*named) (targets []proxy.Target) {
	for _, n := range list {
		targets = append(targets, n.target())
	}
	return targets
}

// deadAddress is one that refuses connections.
func deadAddress(t testing.TB) string {
	l := listen(t, "tcp")
	l.Close()
	return targetOf(l)
}
