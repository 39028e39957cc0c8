package proxy_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"netserver"
	"netserver/handler/proxy"
	"netserver/outcome"
	"netserver/starttls"
)

// A client that leaves while it waits for its target gives back at once what it
// holds, whatever it waits for.
func TestClientThatLeavesWhileItWaits(t *testing.T) {
	t.Parallel()
	if !canWatch {
		t.Skip("nothing tells here that a client has left")
	}
	greeting := func(nc net.Conn, _ func(net.Conn) (net.Conn, error)) (net.Conn, error) {
		_, err := io.ReadFull(nc, make([]byte, 2))
		return nc, &starttls.BackendError{Err: err}
	}
	for _, c := range []struct {
		name  string
		ends  bool // by a FIN, not by a reset
		front func(t *testing.T, accepts chan net.Conn) *front
	}{
		{"for a greeting", true, func(t *testing.T, accepts chan net.Conn) *front {
			return frontWith(t, joins(&proxy.Handler{Backend: backendOf(mute(t, accepts))}, greeting))
		}},
		{"for MySQL's greeting", true, func(t *testing.T, accepts chan net.Conn) *front {
			be := startsTLS(t, mute(t, accepts), starttls.MySQL)
			be.StartTLS, be.MySQL = nil, true
			return frontOf(t, be)
		}},
		{"for a dialog", false, func(t *testing.T, accepts chan net.Conn) *front {
			be := startsTLS(t, mute(t, accepts), starttls.SMTP)
			be.ConnectTimeout = time.Minute
			return frontOf(t, be)
		}},
		{"for a connection", false, func(t *testing.T, _ chan net.Conn) *front {
			return frontWith(t, &proxy.Handler{Target: targetOf(blackHole(t, "tcp")), ConnectTimeout: time.Minute})
		}},
		{"for a backlog", false, func(t *testing.T, _ chan net.Conn) *front {
			return frontWith(t, &proxy.Handler{Target: targetOf(blackHole(t, "unix")), ConnectTimeout: time.Minute})
		}},
		{"for a place", false, func(t *testing.T, accepts chan net.Conn) *front {
			be := backendOf(mute(t, accepts))
			be.Targets[0].Max, be.QueueTime = 1, time.Minute
			f := frontOf(t, be)
			f.dial(t) // it has the place
			<-accepts
			return f
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			accepts := make(chan net.Conn, 2)
			f := c.front(t, accepts)
			nc := f.dial(t)
			if c.name == "for a greeting" || c.name == "for a dialog" || c.name == "for MySQL's greeting" {
				defer wantClosed(t, <-accepts)
			}
			if !c.ends {
				below(nc).(*net.TCPConn).SetLinger(0)
			}
			nc.Close()
			if rec := f.record(t); rec.Outcome != outcome.Left && rec.Outcome != outcome.Probe || rec.Time > 15*time.Second {
				t.Errorf("%v (%v) after %v", rec.Outcome, rec.Err, rec.Time)
			}
		})
	}
}

// mute is a target that accepts and says nothing.
func mute(t *testing.T, accepts chan net.Conn) net.Listener {
	l := listen(t, "tcp")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepts <- c
		}
	}()
	return l
}

// wantClosed reads up to the end, or a reset.
func wantClosed(t *testing.T, nc net.Conn) {
	defer nc.Close()
	nc.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, nc); err != nil && isTimeoutErr(err) {
		t.Error("the connection to the target is still open")
	}
}

func isTimeoutErr(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

// A client that has only ended its direction waits on for an answer, where no
// greeting has to come before that.
func TestClientThatEndsWhileItWaits(t *testing.T) {
	t.Parallel()
	if !canWatch {
		t.Skip("nothing tells here that a client has left")
	}
	l := listen(t, "tcp")
	be := backendOf(l)
	looked := make(chan struct{})
	be.StartTLS = func(ctx context.Context, nc net.Conn, _ proxy.Target) ([]byte, error) {
		<-looked
		return nil, ctx.Err()
	}
	be.TLS = func(_ context.Context, nc net.Conn, _ proxy.Target, _ *netserver.Conn) (net.Conn, error) {
		return nc, nil
	}
	f := frontOf(t, be)
	c := f.dial(t)
	send(t, c, "x")
	must(t, c.CloseWrite())
	b := accept(t, l)
	time.AfterFunc(1500*time.Millisecond, func() { close(looked) }) // after the first look
	want(t, b, "x")
	wantEOF(t, b)
	send(t, b, "answer")
	b.Close()
	want(t, c, "answer")
}
