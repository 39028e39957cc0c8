package netserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"netserver"
	"netserver/netservertest"
	"netserver/outcome"
)

// A detaching Handler has another goroutine serve its clients.
type detaching struct {
	before, after bool // End is called before ServeDetached returns, or ServeDetached panics
	err           error
}

func (d *detaching) Serve(context.Context, *netserver.Conn) error { return errors.New("not detached") }

func (d *detaching) ServeDetached(_ context.Context, c *netserver.Conn) error {
	c.Detach()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		line, _ := c.ReadLine()
		fmt.Fprintf(c, "%s\n", line)
		c.End(d.err)
	}()
	if d.before {
		<-ended
	}
	if d.after {
		<-ended
		panic("boom")
	}
	return errors.New("counts for nothing")
}

// TestDetach: a client stays until End, whose error is the record's, whichever
// of End and ServeDetached comes first.
func TestDetach(t *testing.T) {
	bad := errors.New("bad")
	for _, d := range []*detaching{{}, {before: true}, {err: bad}, {before: true, err: bad}, {err: io.EOF}, {after: true}} {
		for _, proto := range netservertest.Streams() {
			t.Run(fmt.Sprintf("%s/%v", proto, *d), func(t *testing.T) {
				r := netservertest.Start(t, &netserver.Server{Handler: d}, proto)
				c := r.Dial(t, proto)
				fmt.Fprintln(c, "hello")
				if b, err := io.ReadAll(c); string(b) != "hello\n" || err != nil {
					t.Errorf("%q, %v", b, err)
				}
				rec := r.Records(t, 1)[0]
				want := outcome.Served
				switch {
				case d.after:
					want = outcome.Panic
				case d.err == bad:
					want = outcome.HandlerError
				}
				if rec.Outcome != want || errors.Is(rec.Err, bad) != (d.err == bad) || rec.In != 6 {
					t.Errorf("%v", rec)
				}
			})
		}
	}
}

// TestDetachedClientsAreCut, and End then has nothing to add.
func TestDetachedClientsAreCut(t *testing.T) {
	s := &netserver.Server{Handler: &detaching{err: errors.New("later")}}
	r := netservertest.Start(t, s, "tcp")
	r.Dial(t, "tcp")
	netservertest.Eventually(t, "Kill", func() bool { return s.Monitor().Kill(1) })
	if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.Killed {
		t.Errorf("%v", rec)
	}
}

// A careless Handler ends its clients when they are not its own any more.
type careless struct {
	panics bool
	ended  chan struct{} // closed when it has called End for the last time
}

func (h *careless) Serve(context.Context, *netserver.Conn) error { return errors.New("not detached") }

func (h *careless) ServeDetached(_ context.Context, c *netserver.Conn) error {
	c.Detach()
	if h.panics {
		go func() {
			defer close(h.ended)
			io.Copy(io.Discard, c) // until the engine has closed it
			c.End(errors.New("too late"))
		}()
		panic("boom")
	}
	c.End(nil)
	c.End(errors.New("too late"))
	close(h.ended)
	return nil
}

// TestEndTooLate: an End after the end changes nothing.
func TestEndTooLate(t *testing.T) {
	for _, panics := range []bool{false, true} {
		h := &careless{panics, make(chan struct{})}
		s := &netserver.Server{Handler: h}
		r := netservertest.Start(t, s, "tcp")
		r.Dial(t, "tcp")
		rec := r.Records(t, 1)[0]
		<-h.ended
		want := outcome.Served
		if panics {
			want = outcome.Panic
		}
		if rec.Outcome != want {
			t.Errorf("panics %v: %v", panics, rec)
		}
		netservertest.Eventually(t, "the client's places", func() bool { st := s.Monitor().Stats(); return st.Clients == 0 && st.Serving == 0 })
	}
}
