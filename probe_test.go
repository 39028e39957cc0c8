package netserver_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"netserver"
	"netserver/netservertest"
	"netserver/outcome"
)

// Who connects and leaves without a byte, as health checks do, is a probe and
// not a client that was served, and is not worth a line above debug.
func TestProbes(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
		_, err := io.Copy(io.Discard, c)
		return err
	})}
	var log bytes.Buffer
	s.Log = slog.New(slog.NewTextHandler(&log, nil)) // from INFO on
	r := netservertest.Start(t, s, "tcp", "ssl", "unix")
	for _, c := range []struct {
		name string
		do   func(nc net.Conn)
		want outcome.Class
	}{
		{"tcp", func(net.Conn) {}, outcome.Probe},
		{"unix", func(net.Conn) {}, outcome.Probe},
		{"ssl", func(net.Conn) {}, outcome.Probe},
		{"tcp", func(nc net.Conn) { nc.(*net.TCPConn).SetLinger(0) }, outcome.Probe},
		{"tcp", func(nc net.Conn) { fmt.Fprint(nc, "x") }, outcome.Served},
	} {
		before := len(r.Records(t, 0))
		nc := r.DialRaw(t, c.name)
		r.Accepted(t, before+1)
		c.do(nc)
		nc.Close()
		rec := r.Records(t, before+1)[before]
		if rec.Outcome != c.want {
			t.Errorf("%s: %v (%v), want %v", c.name, rec.Outcome, rec.Err, c.want)
		}
	}
	r.Stop(t)
	if n := strings.Count(log.String(), "stage="); n != 1 {
		t.Errorf("%d lines of clients, want that of the one who was served:\n%s", n, log.String())
	}
}
