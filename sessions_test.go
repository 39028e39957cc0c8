package netserver_test

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"netserver"
	"netserver/conf"
	"netserver/netservertest"
	"netserver/outcome"
	"netserver/port"
	"netserver/proto"
)

// talks answers each datagram of a session, until one is "bye".
type talks struct{ most int }

func (h talks) Sessions() int { return h.most }

func (h talks) Serve(_ context.Context, c *netserver.Conn) error {
	if !c.Datagram() || !c.Session() {
		return errors.New("this is no session")
	}
	b := make([]byte, 100)
	for {
		n, err := c.Read(b)
		if err != nil {
			return err
		}
		if _, err := c.Write(b[:n]); err != nil || string(b[:n]) == "bye" {
			return err
		}
	}
}

var _ proto.Sessions = talks{}

// A session takes no place of those that limits count, so that it keeps nobody
// out, however long it lasts.
func TestSessionsTakeNoPlaces(t *testing.T) {
	s := &netserver.Server{Handler: talks{10}}
	s.Config.Limits = netserver.Limits{MaxConns: 1, MaxServing: 1, MaxDatagrams: 1}
	r := netservertest.Start(t, s, "udp")
	var list []net.Conn
	for range 3 {
		c := r.DialRaw(t, "udp")
		list = append(list, c)
		askSession(t, c, "a", "a")
	}
	for _, c := range list {
		askSession(t, c, "b", "b")
		askSession(t, c, "bye", "bye")
	}
	for _, rec := range r.Records(t, 3) {
		if rec.In != 5 || rec.Out != 5 || rec.Outcome != outcome.Served {
			t.Errorf("record: in %d, out %d, %v", rec.In, rec.Out, rec.Err)
		}
	}
}

// One session too many ends the oldest, with a record that says so.
func TestSessionIsEvicted(t *testing.T) {
	s := &netserver.Server{Handler: talks{2}}
	r := netservertest.Start(t, s, "udp")
	first, second, third := r.DialRaw(t, "udp"), r.DialRaw(t, "udp"), r.DialRaw(t, "udp")
	askSession(t, first, "a", "a")
	askSession(t, second, "a", "a")
	askSession(t, first, "a", "a")
	askSession(t, third, "a", "a")
	rec := r.Records(t, 1)[0]
	if rec.Outcome != outcome.Shed || rec.Peer.String() != second.LocalAddr().String() {
		t.Errorf("the record of %v, outcome %v: %v; want that of %v", rec.Peer, rec.Outcome, rec.Err, second.LocalAddr())
	}
	askSession(t, second, "back", "back")
}

// A rate of datagrams counts each of a session.
func TestSessionsHaveDatagramRates(t *testing.T) {
	s := &netserver.Server{Handler: talks{10}}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: "udp", IPv: "4", Params: conf.Values{"datagram_rate": {{Text: "2"}}}}}
	r := netservertest.Start(t, s)
	c := r.DialRaw(t, "udp")
	for range 10 {
		if _, err := io.WriteString(c, "a"); err != nil {
			t.Fatal(err)
		}
	}
	netservertest.Eventually(t, "the rest is refused", func() bool {
		st := s.Monitor().Stats()
		return len(st.Ports) > 0 && st.Ports[0].Refused["datagram_rate"] > 4
	})
}

// A Handler may see the drain in a session, which goes on.
func TestSessionDrains(t *testing.T) {
	drained := make(chan error, 1)
	s := &netserver.Server{Handler: sessionFunc(func(_ context.Context, c *netserver.Conn) error {
		c.EndReadsOnDrain()
		_, err := c.WriteTo(c) // one echo after the other
		drained <- err
		_, err = c.Write([]byte("goodbye"))
		return err
	})}
	r := netservertest.Start(t, s, "udp")
	c := r.DialRaw(t, "udp")
	askSession(t, c, "a", "a")
	askSession(t, c, "b", "b")
	r.Drain()
	if err := <-drained; !errors.Is(err, netserver.ErrDraining) {
		t.Errorf("the copy ended with %v", err)
	}
	wantAnswer(t, c, "goodbye")
	if err := r.Stop(t); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

type sessionFunc func(context.Context, *netserver.Conn) error

func (f sessionFunc) Sessions() int                                      { return 0 }
func (f sessionFunc) Serve(ctx context.Context, c *netserver.Conn) error { return f(ctx, c) }

// askSession sends a datagram and wants an answer.
func askSession(t *testing.T, c net.Conn, text, answer string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, c, answer)
}

func wantAnswer(t *testing.T, c net.Conn, answer string) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n, err := c.Read(b); err != nil || string(b[:n]) != answer {
		t.Fatalf("%q, %v; want %q", b[:n], err, answer)
	}
}

// A session whose client the rules refuse later ends, and begins no more.
func TestChangedRulesEndSessions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules")
	writeRules(t, path, "# nobody\n")
	s := &netserver.Server{Handler: talks{10}}
	s.Config.Access.Set("cidr_deny_file", []conf.Value{{Text: path}})
	s.Config.Access.Set("allow", []conf.Value{{Text: ".*"}})
	r := netservertest.Start(t, s, "udp")
	c := r.DialRaw(t, "udp")
	askSession(t, c, "a", "a")
	writeRules(t, path, "127.0.0.1\n")
	if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.Denied || rec.In != 1 {
		t.Errorf("record: %v, in %d", rec.Err, rec.In)
	}
	if _, err := io.WriteString(c, "b"); err != nil {
		t.Fatal(err)
	}
	if rec := r.Records(t, 2)[1]; rec.Outcome != outcome.Denied || rec.In != 0 {
		t.Errorf("record of the next datagram: %v, in %d", rec.Err, rec.In)
	}
}
