package route_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/handler/route"
	"netserver/netservertest"
)

// Where a route before one without decryption can only be decided after the
// handshake, its clients are decrypted.
func TestUndecidedBeforePassThrough(t *testing.T) {
	passed := netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
		_, err := c.Peek(1)
		fmt.Fprint(c, "passed\n")
		return err
	})
	for _, when := range [][]route.Condition{{must(route.CertCN("joe"))}, {must(route.Begins("HELO"))}, {must(route.ALPN("h2")), must(route.CertDNS("joe"))}} {
		h := routes(on("first", when...), route.Route{Name: "pass", PassThrough: true, Handler: passed}, on("rest"))
		h.Wait = 20 * time.Millisecond
		r := netservertest.Start(t, &netserver.Server{Handler: h}, "ssl")
		cfg := r.ClientTLS()
		cfg.NextProtos = []string{"h2"}
		nc := r.DialRaw(t, "ssl")
		tc := tls.Client(nc, cfg)
		if err := tc.Handshake(); err != nil && strings.Contains(err.Error(), "does not look like a TLS handshake") {
			t.Errorf("%v: passed on undecrypted", when)
		}
		nc.Close()
	}
}

// Clients for the default are decrypted, whatever routes pass on.
func TestDefaultIsDecrypted(t *testing.T) {
	h := routes(route.Route{Name: "pass", PassThrough: true, Handler: say("passed"), When: []route.Condition{must(route.SNI("a.example"))}})
	h.Default = say("default")
	r := netservertest.Start(t, &netserver.Server{Handler: h}, "ssl")
	if got, err := bufio.NewReader(r.DialTLS(t, r.ClientTLS())).ReadString('\n'); got != "default\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// A nil condition of a route without decryption is an error, and not a panic.
func TestNilConditionOfPassThrough(t *testing.T) {
	err := routes(route.Route{Name: "a", PassThrough: true, Handler: say("x"), When: []route.Condition{nil, must(route.SNI("a"))}}).Check()
	if err == nil || strings.Count(err.Error(), "route a") != 1 || !strings.Contains(err.Error(), "a condition is nil") {
		t.Error(err)
	}
	if err := routes(on("a", must(route.CertCN("x")))).Check(); err != nil {
		t.Errorf("a decrypted route: %v", err)
	}
}

type sessions struct {
	netserver.Handler
	n int
}

func (s sessions) Sessions() int { return s.n }

// A port has sessions if all of its handlers want some; 0 is the default number.
func TestSessions(t *testing.T) {
	for _, c := range []struct {
		of   []int // -2 has no sessions
		want int
	}{{[]int{0}, 0}, {[]int{5, 7}, 7}, {[]int{7, 5}, 7}, {[]int{0, 5}, 5}, {[]int{5, 0}, 5}, {[]int{-1, 5}, -1}, {[]int{5, -1}, -1}, {[]int{5, -2}, -1}, {nil, -1}} {
		var h route.Handler
		for _, n := range c.of {
			next := say("")
			if n > -2 {
				next = sessions{next, n}
			}
			h.Routes = append(h.Routes, route.Route{Handler: next})
		}
		if got := h.Sessions(); got != c.want {
			t.Errorf("of %v: %d, want %d", c.of, got, c.want)
		}
	}
}

// What a client is cut for while its first bytes are waited for is its outcome.
func TestIdleBeforeARoute(t *testing.T) {
	t.Parallel()
	h := routes(on("ssh", must(route.Begins("ssh"))))
	h.Wait = time.Minute
	s := &netserver.Server{Handler: h}
	s.Config.Timeouts.Idle = 30 * time.Millisecond
	r := netservertest.Start(t, s, "tcp")
	nc := r.DialRaw(t, "tcp")
	fmt.Fprint(nc, "SS")
	io.ReadAll(nc)
	if rec := r.Records(t, 1)[0]; rec.Err == nil || !strings.Contains(rec.Err.Error(), netserver.ErrIdle.Error()) {
		t.Errorf("%v: %v", rec.Outcome, rec.Err)
	}
}

// The longest protocol's name is one, and a longer one is none.
func TestLongestProtocol(t *testing.T) {
	if _, err := route.ALPN(strings.Repeat("a", 255)); err != nil {
		t.Error(err)
	}
	if _, err := route.ALPN(strings.Repeat("a", 256)); err == nil {
		t.Error("256 bytes are taken")
	}
}

// An expression that has not matched in as much as is looked at does not.
func TestExpressionOfALongLine(t *testing.T) {
	h := routes(on("end", must(route.Begins("/END$/"))))
	h.Wait = time.Minute
	h.Default = say("default")
	r := netservertest.Start(t, &netserver.Server{Handler: h}, "tcp")
	c := r.Dial(t, "tcp")
	fmt.Fprint(c, strings.Repeat("x", 5000))
	if got, _ := bufio.NewReader(c).ReadString('\n'); got != "default\n" {
		t.Errorf("%q", got)
	}
}
