package netserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"netserver"
	"netserver/conf"
	"netserver/netservertest"
	"netserver/outcome"
	"netserver/port"
)

// withHealth returns a tcp port that serves clients, and ones with Health.
func withHealth(own map[string]string, protos ...string) []port.Spec {
	params := make(conf.Values)
	for key, text := range own {
		params[key] = []conf.Value{{Text: text}}
	}
	list := []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: "tcp", IPv: "4"}}
	for _, p := range protos {
		list = append(list, port.Spec{Host: "127.0.0.1", Port: "0", Proto: p, IPv: "4", Params: params})
	}
	return list
}

// answerOf returns what a port says to who connects, sends something and reads.
func answerOf(t *testing.T, from, addr, sends string) (string, error) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: time.Minute}
	nc, err := d.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(nc, sends) // which may come too late
	b, err := io.ReadAll(nc)
	return string(b), err
}

// healthServer starts a server with an echo on its first port and Health on the
// second one, and returns the addresses and its end.
func healthServer(t *testing.T, s *netserver.Server, own map[string]string) (addrs []string, stop func() error) {
	t.Helper()
	if s.Handler == nil {
		s.Handler = netserver.HandlerFunc(echoLines)
	}
	s.Config.Ports = withHealth(own, "tcp")
	ls, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range ls {
		addrs = append(addrs, l.Addr().String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ls...) }()
	stop = func() error {
		cancel()
		select {
		case err := <-done:
			done <- err
			return err
		case <-time.After(time.Minute):
			return errors.New("it does not end")
		}
	}
	t.Cleanup(func() { stop() })
	return addrs, stop
}

// probes returns how many were answered.
func probes(s *netserver.Server) (n uint64) {
	for _, p := range s.Monitor().Stats().Ports {
		n += p.Outcomes[outcome.Probe]
	}
	return n
}

// Who connects to a port with Health is told that the server serves, whatever it
// sends, and is no client.
func TestHealth(t *testing.T) {
	for mode, want := range map[string]string{
		"1":    "ok\n",
		"http": "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nCache-Control: no-store\r\nConnection: close\r\n\r\nok\n",
	} {
		t.Run(mode, func(t *testing.T) {
			var called atomic.Int32
			s := &netserver.Server{Log: slog.New(slog.DiscardHandler)}
			s.Hooks.Accepted = func(ctx context.Context, c *netserver.Conn) context.Context { called.Add(1); return ctx }
			s.Hooks.Logged = func(*netserver.Conn, *netserver.Record) { called.Add(1) }
			s.Hooks.Closed = func(*netserver.Conn, netserver.Record) { called.Add(1) }
			addrs, stop := healthServer(t, s, map[string]string{"health": mode})
			n := uint64(0)
			for _, sends := range []string{"", "GET / HTTP/1.0\r\n\r\n", strings.Repeat("x", 10000)} {
				for range 20 {
					got, err := answerOf(t, "127.0.0.1", addrs[1], sends)
					if got != want || err != nil {
						t.Fatalf("%.20q: %q, %v", sends, got, err)
					}
					n++
				}
			}
			netservertest.Eventually(t, "all are counted", func() bool { return probes(s) == n })
			st := s.Monitor().Stats()
			if c := called.Load(); c != 0 || st.Clients != 0 || st.Served != 0 {
				t.Errorf("%d hooks, %d clients, %d served", c, st.Clients, st.Served)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Somebody who never leaves, and many at once, keep nobody from an answer, and
// neither does a server that is full.
func TestHealthOfAFullServer(t *testing.T) {
	s := &netserver.Server{Log: slog.New(slog.DiscardHandler)}
	s.Config.Limits.MaxConns = 1
	addrs, stop := healthServer(t, s, map[string]string{"health": "1"})
	nc, err := net.Dial("tcp", addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := echoOnce(nc); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		stays, err := net.Dial("tcp", addrs[1])
		if err != nil {
			t.Fatal(err)
		}
		defer stays.Close()
	}
	if got, err := answerOf(t, "127.0.0.1", addrs[1], ""); got != "ok\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	nc.Close()
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// A port with Health does not answer any more while the clients of the others
// have their grace time.
func TestHealthWhileDraining(t *testing.T) {
	s := &netserver.Server{Log: slog.New(slog.DiscardHandler)}
	addrs, stop := healthServer(t, s, map[string]string{"health": "1"})
	nc, err := net.Dial("tcp", addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := echoOnce(nc); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	netservertest.Eventually(t, "nobody answers", func() bool {
		got, err := answerOf(t, "127.0.0.1", addrs[1], "")
		return err != nil && got == ""
	})
	if err := echoOnce(nc); err != nil {
		t.Errorf("a client in its grace time: %v", err)
	}
	nc.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Access rules and limits by source hold for who asks, and rules by name let
// nobody in.
func TestHealthIsGuarded(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("127.0.0.2 is no address of every system")
	}
	for _, c := range []struct {
		name, key, value string
		want             outcome.Class
	}{
		{"rules", "cidr_allow", "127.0.0.1", outcome.Denied},
		{"a name", "allow", "127\\.0\\.0\\.1", outcome.Denied},
		{"rate", "connection_rate_per_source", "1", outcome.OverLimit},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &netserver.Server{Log: slog.New(slog.DiscardHandler)}
			records := make(chan outcome.Class, 100)
			s.Hooks.Logged = func(c *netserver.Conn, r *netserver.Record) {
				if c != nil || r.Outcome == outcome.Served {
					panic("a client")
				}
				records <- r.Outcome
			}
			own := map[string]string{"health": "1", c.key: c.value}
			if c.key == "allow" {
				own["reverse_lookups"] = "1"
			}
			addrs, _ := healthServer(t, s, own)
			netservertest.Eventually(t, "somebody is refused", func() bool {
				got, _ := answerOf(t, "127.0.0.2", addrs[1], "")
				return got == ""
			})
			if got := <-records; got != c.want {
				t.Errorf("the outcome is %v, want %v", got, c.want)
			}
			if got, err := answerOf(t, "127.0.0.1", addrs[1], ""); c.key != "allow" && got != "ok\n" {
				t.Errorf("another source: %q, %v", got, err)
			}
		})
	}
}

// Ports that cannot answer are named at the start.
func TestHealthIsChecked(t *testing.T) {
	health := map[string]string{"health": "1"}
	for want, ports := range map[string][]port.Spec{
		"port 127.0.0.1:0/ssl: health is for those who only connect": withHealth(health, "ssl"),
		"port 127.0.0.1:0/udp: health is for those who connect":      withHealth(health, "udp"),
		"health answers before anything is read":                     withHealth(map[string]string{"health": "1", "proxy_protocol": "require", "proxy_protocol_from": "127.0.0.1"}, "tcp"),
		"every port answers balancers":                               withHealth(health, "tcp")[1:],
		`health: "2" is not one of 0, 1, http`:                       withHealth(map[string]string{"health": "2"}, "tcp"),
	} {
		s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
		s.Config.Ports = ports
		ls, err := s.Listen(t.Context())
		for _, l := range ls {
			l.Close()
		}
		if err == nil || strings.Count(err.Error(), "health") == 0 || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("more than one error: %v", err)
		}
	}
	if s := fmt.Sprint(netserver.HealthOff, netserver.HealthText, netserver.HealthHTTP); s != "0 1 http" {
		t.Error(s)
	}
}
