//go:build unix

package daemon_test

import (
	"crypto/tls"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"netserver/internal/control"
	"netserver/netservertest"
)

// ctl conns ID tells all of one client, and nothing of it that a terminal obeys.
func TestCtlConnsOfOne(t *testing.T) {
	both(t, func(t *testing.T, supervisor string) {
		r, socket := startCtl(t, "--port", "127.0.0.1:0", "--port", "127.0.0.1:0/ssl", "--timeout_idle", "3600", "--supervisor", supervisor)
		plain := mustDial(t, r.addr(0))
		plain.mustAsk(t, "hello")
		secure, err := tls.Dial("tcp", r.addr(1), &tls.Config{InsecureSkipVerify: true, ServerName: "example.org"})
		if err != nil {
			t.Fatal(err)
		}
		defer secure.Close()
		of := func(port string, ok func(*control.Connection) bool) (c control.Connection) {
			t.Helper()
			netservertest.Eventually(t, "a client of "+port, func() bool {
				for _, one := range connsBy(t, socket).Clients {
					if !strings.HasSuffix(one.Port, port) {
						continue
					}
					c = control.Connection{}
					mustCtl(t, socket, &c, "conns", one.ID)
					if c.ID != one.ID || c.Worker != one.Worker || c.PID != one.PID {
						t.Fatalf("asked for %s of worker %d (%d), got %s of %d (%d)", one.ID, one.Worker, one.PID, c.ID, c.Worker, c.PID)
					}
					return ok(&c)
				}
				return false
			})
			return c
		}
		served := func(c *control.Connection) bool { return c.Stage == "handler" && len(c.Times) > 0 }
		c := of("/tcp", served)
		if c.In == 0 || c.Network != "127.0.0.1" || c.Facts != nil {
			t.Errorf("a plain client: %+v", c)
		}
		// Beside it there is the deadline that the echo sets.
		if n := len(c.Ends); n != 2 || c.Ends[n-1].Key != "timeout_idle" || c.Ends[n-1].Left < 1800 || c.Ends[0].Why == "" {
			t.Errorf("a plain client ends by %+v", c.Ends)
		}
		if !slices.ContainsFunc(c.Counts, func(m control.Counted) bool { return m.Key == "max_per_source" && m.Use == 2 }) {
			t.Errorf("it counts against %+v", c.Counts)
		}
		c = of("/ssl", served)
		if c.Facts == nil || c.Facts.Version != "TLS 1.3" || c.Facts.Cipher == "" || c.ServerName != "example.org" {
			t.Errorf("a TLS client: %+v, %+v", c, c.Facts)
		}
		code, out, errs := ctl(socket, "conns", c.ID)
		if code != 0 || !strings.Contains(out, "timeout_idle") || !strings.Contains(out, "server name  example.org\n") {
			t.Errorf("as text: exit status %d: %s%s", code, out, errs)
		}
		for _, id := range []string{"1.4711", "4711.1"} {
			if code, _, errs := ctl(socket, "conns", id); code != 1 || !strings.Contains(errs, "there is no client "+id) {
				t.Errorf("%s: exit status %d: %s", id, code, errs)
			}
		}
		if code, _, errs := ctl(socket, "--limit", "5", "conns", c.ID); code != 2 || !strings.Contains(errs, "neither limit nor after") {
			t.Errorf("with a limit: exit status %d: %s", code, errs)
		}
	})
}

// What a program that serves a client is, conns ID tells while it runs.
func TestCtlConnsOfAProgram(t *testing.T) {
	socket := filepath.Join(openDir(t), "ctl")
	r := start(t, "--port", "127.0.0.1:0", "--control_socket", socket, "--", "/bin/cat")
	mustDial(t, r.addr(0))
	var c control.Connection
	netservertest.Eventually(t, "the program is noted", func() bool {
		list := connsBy(t, socket).Clients
		if len(list) != 1 {
			return false // the supervisor may not know yet that the worker serves
		}
		c = control.Connection{}
		mustCtl(t, socket, &c, "conns", list[0].ID)
		return c.Child != nil
	})
	if *c.Child <= 0 || *c.Child == c.PID {
		t.Errorf("process %d serves, of worker %d", *c.Child, c.PID)
	}
}
