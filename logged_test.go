package netserver_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"testing"
	"time"

	"netserver"
	"netserver/netservertest"
	"netserver/outcome"
	"netserver/port"
)

// A toldEnd is what Hooks.Logged was told.
type toldEnd struct {
	known bool // there was a Conn
	r     netserver.Record
}

// logsTo has s send what Hooks.Logged is told to the channel that it returns.
func logsTo(s *netserver.Server) <-chan toldEnd {
	told := make(chan toldEnd, 100)
	s.Hooks.Logged = func(c *netserver.Conn, r *netserver.Record) { told <- toldEnd{c != nil, *r} }
	return told
}

func next(t *testing.T, told <-chan toldEnd) toldEnd {
	t.Helper()
	select {
	case e := <-told:
		return e
	case <-time.After(time.Minute):
		t.Fatal("Hooks.Logged was not called")
	}
	return toldEnd{}
}

// echoBytes sends back what it reads.
func echoBytes(ctx context.Context, c *netserver.Conn) error {
	_, err := io.Copy(c, c)
	return err
}

// Hooks.Trace has a record tell when its client came to each stage, and its
// ClientHello's fingerprint.
func TestTrace(t *testing.T) {
	for _, noQueue := range []bool{false, true} {
		t.Run(fmt.Sprint("without the queue ", noQueue), func(t *testing.T) {
			s := &netserver.Server{Handler: netserver.HandlerFunc(echoBytes)}
			s.Config.Admission.NoQueue = noQueue
			told := logsTo(s)
			s.Hooks.Trace = func(_, p port.Spec) netserver.Tracing {
				if p.Proto == port.SSL {
					return netserver.TraceTimes | netserver.TraceHello
				}
				return 0
			}
			r := netservertest.Start(t, s, "tcp", "ssl")
			for range 2 {
				c := r.Dial(t, "ssl")
				fmt.Fprint(c, "x")
				io.ReadFull(c, make([]byte, 1))
				c.Close()
				e := next(t, told)
				checkTrace(t, &e.r, noQueue)
			}
			c := r.Dial(t, "tcp")
			fmt.Fprint(c, "x")
			c.Close()
			if e := next(t, told); e.r.Trace != nil {
				t.Errorf("a port that asks for nothing: %+v", e.r.Trace)
			}
			r.Stop(t)
		})
	}
}

func checkTrace(t *testing.T, r *netserver.Record, noQueue bool) {
	t.Helper()
	tr := r.Trace
	if tr == nil || len(tr.JA4) != 36 || tr.JA4[:3] != "t13" {
		t.Fatalf("%+v, err %v", tr, r.Err)
	}
	e := &tr.Entered
	last := time.Duration(0)
	for _, at := range []time.Duration{e[netserver.StageAdmit], e[netserver.StageHandshake], tr.Hello, tr.Turn, e[netserver.StageAccess],
		e[netserver.StageHandler], tr.Placed, e[netserver.StageClose], r.Time} {
		if at < last || at == 0 && !noQueue {
			t.Errorf("%+v, time %v: %v comes after %v", tr, r.Time, at, last)
		}
		last = at
	}
	if e[netserver.StageHeader] != 0 {
		t.Errorf("there was no header: %+v", tr)
	}
}

// A handshake that fails has a fingerprint too.
func TestTraceOfAFailedHandshake(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoBytes)}
	told := logsTo(s)
	s.Hooks.Trace = func(_, _ port.Spec) netserver.Tracing { return netserver.TraceHello }
	r := netservertest.Start(t, s, "ssl")
	c := tls.Client(r.DialRaw(t, "ssl"), &tls.Config{ServerName: "x.example", MaxVersion: tls.VersionTLS10, MinVersion: tls.VersionTLS10})
	c.Handshake()
	c.Close()
	e := next(t, told)
	if e.r.Outcome != outcome.NoVersion || e.r.Trace == nil || len(e.r.Trace.JA4) != 36 || e.r.Trace.JA4[:4] != "t10d" {
		t.Errorf("%v %+v", e.r.Outcome, e.r.Trace)
	}
	if e.r.Trace != nil && e.r.Trace.Entered != ([netserver.StageClose + 1]time.Duration{}) {
		t.Errorf("times were not asked for: %+v", e.r.Trace)
	}
	r.Stop(t)
}

// Hooks.Logged is told of those too who never become clients.
func TestLoggedOfRefused(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
		_, err := io.Copy(io.Discard, c)
		return err
	})}
	s.Config.Admission.MaxPerSource = 1
	told := logsTo(s)
	r := netservertest.Start(t, s, "tcp")
	first := r.DialRaw(t, "tcp")
	r.Accepted(t, 1)
	second := r.DialRaw(t, "tcp")
	e := next(t, told)
	if e.known || e.r.Outcome != outcome.OverLimit || e.r.Peer.String() != second.LocalAddr().String() || e.r.Stage != netserver.StageAccept || e.r.Err == nil {
		t.Errorf("%+v", e)
	}
	fmt.Fprint(first, "x")
	first.Close()
	if e := next(t, told); !e.known || e.r.Outcome != outcome.Served || e.r.In != 1 {
		t.Errorf("%+v", e)
	}
	r.Stop(t)
}

// A panic in Hooks.Logged ends nobody but its client.
func TestLoggedPanics(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoBytes)}
	calls := make(chan struct{}, 10)
	s.Hooks.Logged = func(*netserver.Conn, *netserver.Record) { calls <- struct{}{}; panic("logged") }
	r := netservertest.Start(t, s, "tcp")
	for range 2 {
		r.DialRaw(t, "tcp").Close()
		<-calls
	}
	r.Stop(t)
}
