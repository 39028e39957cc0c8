package daemon_test

import (
	"net"
	"strings"
	"syscall"
	"testing"

	"netserver/internal/control"
	"netserver/netservertest"
)

// handshakesOf returns the least of what the workers of a server say that is used
// of max_handshakes_per_source by a source, and what is noted of it.
func handshakesOf(t *testing.T, socket, source string) (least float64, notes string) {
	t.Helper()
	least = 1 << 30
	for _, p := range explain(t, socket, source).Ports {
		for _, l := range p.Limits {
			if l.Key == "max_handshakes_per_source" {
				least = min(least, l.Use)
			}
		}
		notes += strings.Join(p.Notes, "\n")
	}
	return least, notes
}

// Two servers, one of them with two workers, keep to a limit on the unfinished
// handshakes of a source together, which they tell each other of.
func TestClusterSharesHandshakes(t *testing.T) {
	t.Parallel()
	const limit, processes = 12, 3
	args, _ := sharedDir(t, "1")
	args = append(args, "--max_handshakes_per_source", "12", "--timeout_handshake", "8", "--worker_timeout", "0")
	a, actl := startNode(t, "a", args...)
	b, bctl := startNode(t, "b", append([]string{"PreForkSimple", "--max_servers", "2"}, args...)...)
	clusterOf(t, actl, "a knows b", func(c *control.Cluster) bool { return len(c.Nodes) == 2 })
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.7")}}
	var open []net.Conn
	t.Cleanup(func() {
		for _, c := range open {
			c.Close()
		}
	})
	// What they had before they knew each other ends by timeout_handshake.
	netservertest.Eventually(t, "the limit holds for both together, and each knows", func() bool {
		for _, r := range []*running{a, b, b, a, b, b} {
			c, err := from.Dial("tcp", r.addr(1))
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, c) // and says nothing
		}
		all := statusBy(t, actl).Handshakes.Unfinished + statusBy(t, bctl).Handshakes.Unfinished
		atA, notes := handshakesOf(t, actl, "127.0.0.7")
		atB, _ := handshakesOf(t, bctl, "127.0.0.7")
		return all <= limit+processes-1 && min(atA, atB) >= limit*3/4 && strings.Contains(notes, "would end an older handshake by max_handshakes_per_source: ")
	})
	// Who is another is not touched.
	mustTLS(t, a.addr(1)).mustAsk(t, "served")
	mustTLS(t, b.addr(1)).mustAsk(t, "served")
}

// Limits on handshakes are among those that a client would meet, and that one in
// its handshake counts against; they refuse nobody.
func TestCtlTellsHandshakeLimits(t *testing.T) {
	for _, shadow := range []string{"0", "1"} {
		r, socket := startCtl(t, "--port", "127.0.0.1:0/ssl", "--port", "127.0.0.1:0", "--SSL_cert_file", "self-signed", "--limits_shadow", shadow,
			"--max_handshakes_per_source", "1", "--max_handshakes_per_prefix", "7", "--timeout_handshake", "0")
		mustDial(t, r.addr(0)) // it says nothing
		want := map[string]control.Counted{"max_handshakes_per_source": {Value: 1, Use: 1}, "max_handshakes_per_prefix": {Value: 7, Use: 1}}
		netservertest.Eventually(t, "it is in its handshake, which counts", func() bool {
			list := connsBy(t, socket).Clients
			if len(list) != 1 {
				return false
			}
			var c control.Connection
			mustCtl(t, socket, &c, "conns", list[0].ID)
			found := 0
			for _, m := range c.Counts {
				if w, ok := want[m.Key]; ok && m.Value == w.Value && m.Use == w.Use && m.Unit == "handshakes" {
					found++
				}
			}
			return found == len(want)
		})
		e := explain(t, socket, "127.0.0.1")
		if len(e.Ports) != 2 {
			t.Fatalf("%+v", e)
		}
		for _, p := range e.Ports {
			secure, found := strings.HasSuffix(p.Port, "/ssl"), 0
			for _, l := range p.Limits {
				if w, ok := want[l.Key]; ok {
					found++
					if l.Value != w.Value || l.Use != w.Use || l.Refuses || l.OfPort {
						t.Errorf("%+v", l)
					}
				}
			}
			if secure != (found == len(want)) || !p.Allowed {
				t.Errorf("%+v", p)
			}
			notes := strings.Join(p.Notes, "\n")
			if ends := strings.Contains(notes, "would end an older handshake by max_handshakes_per_source: 1 of 1 in use"); ends != (secure && shadow == "0") || strings.Contains(notes, "prefix") {
				t.Errorf("limits_shadow %s: %q", shadow, notes)
			}
		}
		if other, notes := handshakesOf(t, socket, "192.0.2.1"); other != 0 || notes != "" {
			t.Errorf("of another source: %v, %q", other, notes)
		}
		r.end(syscall.SIGTERM)
	}
}
