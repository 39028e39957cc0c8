package netserver_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"netserver"
	"netserver/netservertest"
	"netserver/outcome"
)

// Pages of any size together hold each client once, in order.
func TestClientsInPages(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	l := listenTCP(t)
	start(t, s, l)
	const total = 150
	for range total {
		dial(t, l)
	}
	netservertest.Eventually(t, "all are served", func() bool {
		return len(slices.DeleteFunc(s.Monitor().Clients(0, 1000), func(c netserver.Record) bool { return c.Stage != netserver.StageHandler })) == total
	})
	for _, size := range []int{1, 7, 64, total, 1000} {
		var ids []uint64
		for after := uint64(0); ; {
			page := s.Monitor().Clients(after, size)
			if len(page) == 0 {
				break
			}
			if len(page) > size {
				t.Fatalf("%d clients on a page of %d", len(page), size)
			}
			for _, c := range page {
				ids = append(ids, c.ID)
			}
			after = ids[len(ids)-1]
		}
		if len(ids) != total || !slices.IsSorted(ids) || len(slices.Compact(ids)) != total {
			t.Errorf("pages of %d: %d clients", size, len(ids))
		}
	}
	if s.Monitor().Clients(0, 0) != nil {
		t.Error("a page of none has some")
	}
}

func TestClientRecord(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	s.Config.Limits.MaxServing = 1
	r := netservertest.Start(t, s, "ssl")
	c := r.DialTLS(t, &tls.Config{RootCAs: r.ClientTLS().RootCAs, ServerName: "localhost"})
	fmt.Fprintf(c, "hello\n")
	if line, err := bufio.NewReader(c).ReadString('\n'); line != "said hello\n" || err != nil {
		t.Fatal(line, err)
	}
	var list []netserver.Record
	netservertest.Eventually(t, "the client's bytes are counted", func() bool { // after they were written
		list = s.Monitor().Clients(0, 10)
		return len(list) != 1 || list[0].Out > 0
	})
	if len(list) != 1 {
		t.Fatalf("%+v", list)
	}
	i := list[0]
	if i.Stage != netserver.StageHandler || i.Waiting || i.TLS == nil || i.TLS.Version != tls.VersionTLS13 || i.TLS.ServerName != "localhost" ||
		i.In != 6 || i.Out != 11 || i.Peer.String() != c.LocalAddr().String() || i.Port.Proto != "ssl" || i.Begin.IsZero() || i.Time <= 0 {
		t.Errorf("%+v", i)
	}
	limits := make(map[string]netserver.LimitUse)
	for _, u := range s.Monitor().Limits() {
		limits[u.Key] = u
	}
	if u := limits["max_servers"]; u.Value != 1 || u.Use != 1 {
		t.Errorf("max_servers: %+v", u)
	}
	if u := limits["max_per_source"]; u.Use != 1 {
		t.Errorf("max_per_source: %+v", u)
	}
	if u := limits["timeout_handshake"]; u.Value != 10 || u.Use != -1 {
		t.Errorf("timeout_handshake: %+v", u)
	}
	if top := s.Monitor().TopSources(5); len(top) != 1 || top[0].Clients != 1 || top[0].Prefix.String() != "127.0.0.1/32" {
		t.Errorf("top sources: %+v", top)
	}
}

func TestKill(t *testing.T) {
	recs := make(chan netserver.Record, 2)
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	s.Hooks.Closed = func(_ *netserver.Conn, r netserver.Record) { recs <- r }
	l := listenTCP(t)
	start(t, s, l)
	c, other := dial(t, l), dial(t, l)
	fmt.Fprintf(c, "x\n")
	io.ReadFull(c, make([]byte, 7))
	var id uint64
	for _, i := range s.Monitor().Clients(0, 10) {
		if i.Peer.String() == c.LocalAddr().String() {
			id = i.ID
		}
	}
	if !s.Monitor().Kill(id) {
		t.Fatal("there was none")
	}
	if r := <-recs; r.ID != id || r.Outcome != outcome.Killed || !errors.Is(r.Err, netserver.ErrKilled) {
		t.Errorf("%+v", r)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("it is still connected")
	}
	netservertest.Eventually(t, "it is forgotten", func() bool { return !s.Monitor().Kill(id) })
	fmt.Fprintf(other, "y\n")
	if _, err := io.ReadFull(other, make([]byte, 7)); err != nil {
		t.Errorf("the other client: %v", err)
	}
}

// Looking at clients at any moment of their lives races with nothing.
func TestClientsWhileTheyComeAndGo(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	r := netservertest.Start(t, s, "ssl", "tcp", "unix")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					s.Monitor().Clients(0, 100)
					s.Monitor().Limits()
				}
			}
		})
	}
	for range 30 {
		for _, p := range []string{"ssl", "tcp", "unix"} {
			c := r.Dial(t, p)
			fmt.Fprintf(c, "x\n")
			io.ReadFull(c, make([]byte, 7))
			c.Close()
		}
	}
	close(stop)
	wg.Wait()
}

func BenchmarkClients(b *testing.B) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	r := netservertest.Start(b, s, "tcp")
	for range 500 {
		r.Dial(b, "tcp")
	}
	r.Accepted(b, 500)
	b.ReportAllocs()
	for b.Loop() {
		if len(s.Monitor().Clients(0, 100)) != 100 {
			b.Fatal("not all are there")
		}
	}
}
