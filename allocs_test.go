package netserver_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"math"
	"net"
	"testing"
	"time"

	"netserver"
	"netserver/netservertest"
	"netserver/port"
)

// What a client allocates beyond what a loop written by hand does: its Conn and
// what hangs on it, its context, its record and its goroutine. A change that
// needs more must say why here; one that needs less lowers the number.
func TestAllocsOfClients(t *testing.T) {
	if raceOn {
		t.Skip("the race detector allocates too")
	}
	for proto, most := range map[string]float64{"tcp": 9, "unix": 8, "ssl": 33} {
		t.Run(proto, func(t *testing.T) {
			ended := make(chan struct{}, 1)
			s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho), Log: slog.New(slog.DiscardHandler)}
			s.Hooks.Closed = func(*netserver.Conn, netserver.Record) { ended <- struct{}{} }
			r := netservertest.Start(t, s, proto)
			bare := bareEcho(t, proto, ended)
			// A busy machine has clients wait where others do not, and pools
			// emptied: what they need is the least of some attempts.
			engine, loop := math.Inf(1), math.Inf(1)
			for range 10 {
				engine = min(engine, allocsOfClients(t, r.Addr(t, proto), proto, ended))
				loop = min(loop, allocsOfClients(t, bare, proto, ended))
				if engine-loop <= most {
					break
				}
			}
			t.Logf("engine %v, loop %v", engine, loop)
			if engine-loop > most {
				t.Errorf("%v allocations a client, with a loop %v: %v more, want %v", engine, loop, engine-loop, most)
			}
		})
	}
}

// bareEcho serves clients by a loop written by hand.
func bareEcho(t *testing.T, proto string, ended chan<- struct{}) net.Addr {
	var l net.Listener
	var err error
	if proto == "unix" {
		l, err = net.Listen("unix", t.TempDir()+"/s")
	} else {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	addr := l.Addr()
	if proto == "ssl" {
		pair := netservertest.CA(t).Issue(t, netservertest.Leaf{})
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair.TLS}})
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(c, c)
				c.Close()
				ended <- struct{}{}
			}()
		}
	}()
	return addr
}

// allocsOfClients counts what a client allocates on both sides.
func allocsOfClients(t *testing.T, addr net.Addr, proto string, ended <-chan struct{}) float64 {
	cfg := &tls.Config{InsecureSkipVerify: true}
	one := make([]byte, 1)
	client := func() {
		c, err := net.Dial(addr.Network(), addr.String())
		if err != nil {
			t.Fatal(err)
		}
		if proto == "ssl" {
			c = tls.Client(c, cfg)
		}
		if _, err := c.Write(one); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, one); err != nil {
			t.Fatal(err)
		}
		c.Close()
		<-ended
	}
	for range 20 {
		client()
	}
	return testing.AllocsPerRun(100, client)
}

// Lines are read without an allocation, over TCP and TLS.
func TestAllocsOfLines(t *testing.T) {
	if raceOn {
		t.Skip("the race detector allocates too")
	}
	for _, proto := range []string{"tcp", "ssl"} {
		t.Run(proto, func(t *testing.T) {
			found := make(chan float64, 1)
			s := &netserver.Server{Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
				for range 10 { // what is allocated once
					if _, err := c.ReadLine(); err != nil {
						return err
					}
				}
				found <- testing.AllocsPerRun(1000, func() {
					if _, err := c.ReadLine(); err != nil {
						t.Error(err)
					}
				})
				return nil
			})}
			c := netservertest.Start(t, s, proto).Dial(t, proto)
			if _, err := c.Write([]byte(manyLines(1100))); err != nil {
				t.Fatal(err)
			}
			if n := <-found; n >= 1 {
				t.Errorf("%v allocations a line", n)
			}
		})
	}
}

func manyLines(n int) string {
	b := make([]byte, 0, 41*n)
	for range n {
		b = append(b, "a line of some forty bytes, as many have\n"...)
	}
	return string(b)
}

// A record as it is at a client's end.
func sampleRecord() netserver.Record {
	return netserver.Record{
		ID: 7, Port: port.Spec{Host: "127.0.0.1", Port: "443", Proto: "ssl", IPv: "4"},
		Peer: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 50000}, Stage: netserver.StageHandler,
		Begin: time.Now(), Time: time.Second, In: 100, Out: 200,
		TLS: &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, CipherSuite: tls.TLS_AES_128_GCM_SHA256, ServerName: "example.com"},
	}
}

// What a record allocates when somebody reads it: its attributes, and the
// texts of the port and the peer.
func TestAllocsOfRecords(t *testing.T) {
	r := sampleRecord()
	const most = 23
	if n := testing.AllocsPerRun(1000, func() { r.Attrs() }); n > most {
		t.Errorf("%v allocations, want %d", n, most)
	}
}

func BenchmarkRecord(b *testing.B) {
	r := sampleRecord()
	b.ReportAllocs()
	for b.Loop() {
		r.Attrs()
	}
}
