package netserver_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/internal/bridge"
	"netserver/netservertest"
	"netserver/port"
)

// now awaits a client of which ok is true, and returns what is known of it.
func now(t *testing.T, s *netserver.Server, what string, ok func(bridge.ClientNow) bool) (n bridge.ClientNow) {
	t.Helper()
	netservertest.Eventually(t, what, func() bool {
		for _, r := range s.Monitor().Clients(0, 100) {
			var found bool
			if n, found = bridge.Of(s.Monitor()).ClientNow(r.ID); found && ok(n) {
				return true
			}
		}
		return false
	})
	return n
}

// endsBy returns the keys by which a client ends, and why without one.
func endsBy(n bridge.ClientNow) string {
	var keys []string
	for _, e := range n.Ends {
		keys = append(keys, e.Key+e.Why)
	}
	slices.Sort(keys)
	return strings.Join(keys, ", ")
}

func partsOf(n bridge.ClientNow) string {
	var names []string
	for _, p := range n.Times {
		names = append(names, p.Name)
	}
	return strings.Join(names, " ")
}

// Of a client that is here it can be asked what it waits for, since when, and what
// will end it.
func TestClientNow(t *testing.T) {
	leave := make(chan struct{})
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
		c.Note(slog.String("route", "a"))
		c.SetReadDeadline(time.Now().Add(time.Hour))
		var b [1]byte
		if _, err := io.ReadFull(c, b[:]); err != nil {
			return err
		}
		for { // it notes while others look
			select {
			case <-leave:
				return nil
			default:
				c.Note()
			}
		}
	})}
	s.Config.Limits.MaxServing = 1
	s.Config.Timeouts = netserver.Timeouts{Handshake: time.Hour, FirstByte: 30 * time.Minute, Idle: 2 * time.Hour, Life: 3 * time.Hour}
	s.Hooks.Trace = func(_, p port.Spec) netserver.Tracing {
		if p.Proto == port.SSL {
			return netserver.TraceTimes | netserver.TraceHello
		}
		return 0
	}
	srv := netservertest.Start(t, s, "ssl", "tcp")
	defer close(leave)

	late := srv.DialRaw(t, "ssl")
	netservertest.Eventually(t, "the first is here", func() bool { return s.Monitor().Stats().Clients == 1 })
	silent := srv.DialRaw(t, "ssl")
	n := now(t, s, "one waits for its hello", func(n bridge.ClientNow) bool { return n.Stage == "handshake" && n.Waits != "" })
	if n.Lane == bridge.LaneHello && (n.Waits != "its ClientHello" || endsBy(n) != "timeout_first_byte, timeout_handshake") {
		t.Errorf("silent: it waits for %s, and ends by %s", n.Waits, endsBy(n))
	}
	silent.Write([]byte{22, 3, 1})
	if n.Lane == bridge.LaneHello {
		n = now(t, s, "part of the hello is there", func(n bridge.ClientNow) bool { return n.Waits == "the rest of its ClientHello" })
		if endsBy(n) != "timeout_handshake, timeout_hello" {
			t.Errorf("part of a hello: it ends by %s", endsBy(n))
		}
	}
	silent.Close()
	netservertest.Eventually(t, "one is gone", func() bool { return s.Monitor().Stats().Clients == 1 })

	c := srv.Dial(t, "ssl")
	n = now(t, s, "one is served", func(n bridge.ClientNow) bool { return len(n.Notes) > 0 && len(n.Ends) == 3 })
	if n.Stage != "handler" || n.Lane != bridge.LaneGoroutine || n.Source.String() != "127.0.0.1/32" {
		t.Errorf("served: %+v", n)
	}
	if got := endsBy(n); got != "the handler's deadline for reads, timeout_idle, timeout_life" {
		t.Errorf("served: it ends by %s", got)
	}
	if got := partsOf(n); !strings.HasPrefix(got, "accept admit handshake ") || !strings.HasSuffix(got, "turn access handler placed") {
		t.Errorf("served: its way is %s", got)
	}
	if runtime.GOOS == "linux" && len(n.JA4) != 36 {
		t.Error("served: no JA4")
	}
	limits := map[string]float64{}
	for _, m := range n.Limits {
		limits[m.Key] = m.Use
	}
	for _, key := range []string{"max_connections", "max_servers", "max_per_source", "max_per_prefix"} {
		if limits[key] < 1 {
			t.Errorf("served: %s is not among %v", key, limits)
		}
	}
	c.Write([]byte("x"))

	waits := tls.Client(late, srv.ClientTLS())
	if err := waits.Handshake(); err != nil {
		t.Fatal(err)
	}
	n = now(t, s, "another waits for a place", func(n bridge.ClientNow) bool { return n.Waits == "a place in the handler" })
	if n.Stage != "handler" || !strings.HasSuffix(partsOf(n), "access handler") || len(n.Ends) != 0 {
		t.Errorf("waits: %+v", n)
	}
	if _, found := bridge.Of(s.Monitor()).ClientNow(1 << 40); found {
		t.Error("there is a client that there is not")
	}
}
