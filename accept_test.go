package netserver_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"netserver"
	"netserver/netservertest"
)

// A client that has sent what nobody reads, and stays, keeps its connection
// lingering for two seconds. It does not keep its place in the Handler.
func TestLingeringClientLeavesItsPlace(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
		line, err := c.ReadLine()
		if err == nil {
			fmt.Fprintf(c, "%s\n", line)
		}
		return err
	})}
	s.Config.Limits.MaxServing = 1
	r := netservertest.Start(t, s, "tcp")
	const n = 20
	begin := time.Now()
	for range n {
		c, err := net.Dial("tcp", r.Addr(t, "tcp").String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "quit\nunread")
		if line, err := bufio.NewReader(c).ReadString('\n'); line != "quit\n" {
			t.Fatal(line, err)
		}
	}
	if took := time.Since(begin); took > (n-1)*2*time.Second/2 {
		t.Errorf("%d clients that linger for two seconds took %v", n, took)
	}
}

// nothing is a listener that returns neither a connection nor an error, until
// it is closed.
type nothing struct {
	net.Listener
	asked chan struct{}
	done  chan struct{}
	once  sync.Once
}

func (l *nothing) Accept() (net.Conn, error) {
	select {
	case l.asked <- struct{}{}:
		return nil, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *nothing) Close() error { l.once.Do(func() { close(l.done) }); return nil }

func (l *nothing) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// It is an error like another, after which the port is tried again.
func TestListenerThatReturnsNothing(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(context.Context, *netserver.Conn) error { return nil }), Log: slog.New(slog.DiscardHandler)}
	l := &nothing{asked: make(chan struct{}), done: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- s.Serve(ctx, l) }()
	<-l.asked
	<-l.asked
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// With one processor, too, a process that is full leaves clients that wait to
// others that share its port.
func TestFullAtOnce(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	stay := make(chan struct{})
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(context.Context, *netserver.Conn) error { <-stay; return nil })}
	s.Config.Limits.MaxServing = 1
	l := listenTCP(t)
	for range 20 {
		dial(t, l)
	}
	start(t, s, l)
	defer close(stay)
	netservertest.Eventually(t, "a client in the handler", func() bool { return s.Monitor().Stats().Serving > 0 })
	// The loop looks at the scheduler's queue first now and then.
	if n := len(s.Monitor().Clients(0, 100)); n > 3 {
		t.Errorf("%d clients were taken for one place", n)
	}
}
