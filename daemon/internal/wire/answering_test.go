package wire

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/netservertest"
	"netserver/port"
)

func TestMain(m *testing.M) { os.Exit(netservertest.Main(m)) }

// A client's row says what is known, and leaves out what is not.
func TestRowsOfClients(t *testing.T) {
	info := netserver.Record{ID: 7, Port: port.Spec{Port: "443", Proto: "ssl"}, Begin: time.Now().Add(-2500 * time.Millisecond), Time: 2500 * time.Millisecond, Stage: netserver.StageHandler,
		Peer: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5}, Host: strings.Repeat("h", 300), In: 3, Out: 4, Idle: 1500 * time.Millisecond, TLS: &tls.ConnectionState{Version: tls.VersionTLS13, ServerName: "a.example"}}
	c := clientRow(info, "echo")
	if c.ID != "7" || c.Peer != "192.0.2.1:5" || len(c.PeerName) != maxName || c.TLS != "TLS 1.3" || c.Doing != "echo" ||
		c.Connected != 2.5 || c.Idle == nil || *c.Idle != 1.5 || c.In != 3 || c.Out != 4 || c.ServerName != "a.example" {
		t.Errorf("%+v", c)
	}
	info.Idle = 0
	if c := clientRow(info, ""); c.Idle == nil || *c.Idle != 0 {
		t.Errorf("active this moment: %v", c.Idle)
	}
	bare := clientRow(netserver.Record{ID: 8, Begin: time.Now(), Idle: -1, Stage: netserver.StageHandler, Waiting: true}, "echo")
	if bare.Peer != "" || bare.TLS != "" || bare.Idle != nil || bare.Doing != "waits for a place" {
		t.Errorf("%+v", bare)
	}
	if c := clientRow(netserver.Record{Peer: &net.UnixAddr{Net: "unix"}}, ""); c.Peer != "unix" {
		t.Errorf("a client without a name is %q", c.Peer)
	}
}

func TestBoxedAnswer(t *testing.T) {
	one := netserver.Source{Prefix: netip.MustParsePrefix("192.0.2.1/32"), Left: 1500 * time.Millisecond, Offences: 2}
	a := boxedAnswer([]netserver.Source{one, {Prefix: netip.MustParsePrefix("2001:db8::/48")}})
	if len(a.Boxed) != 2 || a.More || a.Boxed[0].Network != "192.0.2.1" || a.Boxed[0].Left != 1.5 || a.Boxed[0].Offences != 2 || a.Boxed[1].Network != "2001:db8::/48" {
		t.Errorf("%+v", a)
	}
	list := make([]netserver.Source, MaxBoxed)
	for i := range list {
		list[i] = one
	}
	if a := boxedAnswer(list); len(a.Boxed) != MaxBoxed || a.More {
		t.Errorf("%d, more %v", len(a.Boxed), a.More)
	}
	if a := boxedAnswer(append(list, one)); len(a.Boxed) != MaxBoxed || !a.More {
		t.Errorf("%d, more %v", len(a.Boxed), a.More)
	}
}

// What a server answers is what a supervisor takes, and fits the question.
func TestAnswersOfAServer(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
		<-ctx.Done()
		return nil
	})}
	s.Config.Admission.MaxPerSource = 50
	r := netservertest.Start(t, s, "tcp")
	for range 3 {
		defer r.Dial(t, "tcp").Close()
	}
	mon := s.Monitor()
	netservertest.Eventually(t, "three clients", func() bool { return mon.Stats().Serving == 3 })
	ask := func(q Ask) Answer {
		t.Helper()
		a := AnswerTo(mon, "test", nil, q)
		b, err := json.Marshal(Message{Op: OpAnswer, Answer: &a})
		if err != nil {
			t.Fatal(err)
		}
		m, err := (&Peer{Sender: FromWorker, Ports: 1}).Read(b)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		if err := m.Answer.Fits(q); err != nil {
			t.Error(err)
		}
		return *m.Answer
	}
	if a := ask(Ask{What: AskStats}); a.Count != 3 {
		t.Errorf("%+v", a)
	}
	all := ask(Ask{What: AskClients, N: 10})
	if len(all.Clients) != 3 || all.More || all.Count != 3 || all.Clients[0].Doing != "test" || all.Clients[0].Peer == "" || all.Clients[0].TLS != "" {
		t.Errorf("%+v", all)
	}
	if a := ask(Ask{What: AskClients, N: 2}); len(a.Clients) != 2 || !a.More || a.Count != 3 {
		t.Errorf("%+v", a)
	}
	limits := ask(Ask{What: AskLimits, N: 5})
	found := false
	have := mon.Limits()
	for i, l := range limits.Limits {
		if (l.Value != nil) != (have[i].Value > 0) || (l.Use != nil) != (have[i].Use >= 0) {
			t.Errorf("%+v became %+v", have[i], l)
		}
		if l.Key == "max_per_source" && l.Value != nil && *l.Value == 50 {
			found = true
		}
	}
	if !found || len(limits.Sources) != 1 || limits.Sources[0].Clients != 3 || limits.Sources[0].Network != "127.0.0.1" {
		t.Errorf("%+v", limits)
	}
	if a := ask(Ask{What: AskBoxed}); len(a.Boxed) != 0 || a.More {
		t.Errorf("%+v", a)
	}
	if a := ask(Ask{What: AskLift, Network: "everybody"}); a.Failed == "" {
		t.Errorf("%+v", a)
	}
	if a := ask(Ask{What: AskLift, Network: "127.0.0.0/8"}); a.Failed != "" || a.Lifted != 0 {
		t.Errorf("%+v", a)
	}
	if a := ask(Ask{What: "more"}); !strings.Contains(a.Failed, `"more"`) {
		t.Errorf("%+v", a)
	}
	if a := ask(Ask{What: AskKill, Client: 1 << 60}); a.Found {
		t.Errorf("%+v", a)
	}
}
