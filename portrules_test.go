package netserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"netserver"
	"netserver/conf"
	"netserver/netservertest"
	"netserver/outcome"
	"netserver/port"
)

// twoPorts returns a tcp port that has keys of its own, and an ssl one without.
func twoPorts(own map[string]string) []port.Spec {
	params := make(conf.Values)
	for key, text := range own {
		params[key] = []conf.Value{{Text: text}}
	}
	return []port.Spec{
		{Host: "127.0.0.1", Port: "0", Proto: "tcp", IPv: "4", Params: params},
		{Host: "127.0.0.1", Port: "0", Proto: "ssl", IPv: "4"},
	}
}

// letIn reports who gets in where.
func letIn(t *testing.T, r *netservertest.Running, froms ...string) string {
	t.Helper()
	var in []string
	for _, name := range []string{"tcp", "ssl"} {
		for _, from := range froms {
			if nc, err := dialAs(t, r, name, from); err == nil {
				in = append(in, name+" "+from)
				nc.Close()
			}
		}
	}
	return strings.Join(in, ", ")
}

// A port's own rules go before the server's, key by key, for that port alone.
func TestRulesOfAPort(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("127.0.0.2 is no address of every system")
	}
	for _, c := range []struct {
		name   string
		server map[string]string
		own    map[string]string
		want   string
	}{
		{"own allow", nil, map[string]string{"cidr_allow": "127.0.0.2"}, "tcp 127.0.0.2, ssl 127.0.0.1, ssl 127.0.0.2"},
		{"another allow", map[string]string{"cidr_allow": "127.0.0.1"}, map[string]string{"cidr_allow": "127.0.0.2"}, "tcp 127.0.0.2, ssl 127.0.0.1"},
		{"a deny beside the server's allow", map[string]string{"cidr_allow": "127.0.0.0/8"}, map[string]string{"cidr_deny": "127.0.0.1"}, "tcp 127.0.0.2, ssl 127.0.0.1, ssl 127.0.0.2"},
		{"by name", nil, map[string]string{"allow": "h2\\.example", "reverse_lookups": "1"}, "tcp 127.0.0.2, ssl 127.0.0.1, ssl 127.0.0.2"},
		{"shadow", map[string]string{"cidr_allow": "127.0.0.1"}, map[string]string{"access_shadow": "all"}, "tcp 127.0.0.1, tcp 127.0.0.2, ssl 127.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines), Resolver: new(namesOf127)}
			for key, text := range c.server {
				s.Config.Access.Set(key, []conf.Value{{Text: text}})
			}
			s.Config.Ports = twoPorts(c.own)
			r := netservertest.Start(t, s)
			if got := letIn(t, r, "127.0.0.1", "127.0.0.2"); got != c.want {
				t.Errorf("served: %s", got)
			}
		})
	}
}

// A file of rules that one port has is followed for that port, and concerns
// nobody else's clients.
func TestRuleFileOfAPort(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("127.0.0.2 is no address of every system")
	}
	path := filepath.Join(t.TempDir(), "rules")
	writeRules(t, path, "127.0.0.0/8\n")
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	s.Config.Ports = twoPorts(map[string]string{"cidr_allow_file": path})
	r := netservertest.Start(t, s)
	cut, err := dialAs(t, r, "tcp", "127.0.0.2")
	if err != nil {
		t.Fatal(err)
	}
	stays, err := dialAs(t, r, "ssl", "127.0.0.2")
	if err != nil {
		t.Fatal(err)
	}
	writeRules(t, path, "127.0.0.1\n")
	if _, err := cut.Read(make([]byte, 1)); err == nil {
		t.Error("still served")
	}
	if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.Denied {
		t.Errorf("record: %v, %v", rec.Outcome, rec.Err)
	}
	if err := echoOnce(stays); err != nil {
		t.Errorf("the client of another port: %v", err)
	}
	want := "port " + r.Addr(t, "tcp").String() + "/tcp: access rules: the files have changed"
	netservertest.Eventually(t, want, func() bool { return strings.Contains(r.Log(), want) })
	if got := letIn(t, r, "127.0.0.2"); got != "ssl 127.0.0.2" {
		t.Errorf("served: %s", got)
	}
}

// What is wrong with a port's own rules and limits stops the start, with the
// port's name.
func TestRulesOfAPortAreChecked(t *testing.T) {
	for _, c := range []struct {
		own  map[string]string
		want string
	}{
		{map[string]string{"cidr_allow": "127.0.0.300"}, "port 127.0.0.1:0/tcp: This doesn't look like start-end: cidr_allow"},
		{map[string]string{"deny": "("}, "port 127.0.0.1:0/tcp: deny"},
		{map[string]string{"cidr_deny_file": "/no/such/file"}, "port 127.0.0.1:0/tcp: cidr_deny_file"},
		{map[string]string{"max_per_source": "many"}, `port 127.0.0.1:0/tcp: max_per_source: "many" is not a whole number`},
		{map[string]string{"max_per_source": "31"}, "port 127.0.0.1:0/tcp: max_per_source: 31 is more than the 30 of the whole server, which hold as well; raise that, or leave this out"},
	} {
		s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
		s.Config.Admission.MaxPerSource = 30
		s.Config.Ports = twoPorts(c.own)[:1]
		ls, err := s.Listen(context.Background())
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v: %v", c.own, err)
		}
		for _, l := range ls {
			l.Close()
		}
	}
}

// useOf returns what there is of a limit on a port; -2 if it has none.
func useOf(s *netserver.Server, key, proto string) (value, use float64) {
	for _, u := range s.Monitor().Limits() {
		if u.Key == key && u.Port.Proto == proto {
			return u.Value, u.Use
		}
	}
	return 0, -2
}

// A limit by source that a port has for itself counts its clients alone, and
// the server's goes on to count all.
func TestLimitOfAPort(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	s.Config.Admission.MaxPerSource = 3
	s.Config.Ports = twoPorts(map[string]string{"max_per_source": "1"})
	r := netservertest.Start(t, s)
	first, err := dialAs(t, r, "tcp", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dialAs(t, r, "tcp", "127.0.0.1"); err == nil {
		t.Error("a second client of the port is served")
	}
	for range 2 {
		if _, err := dialAs(t, r, "ssl", "127.0.0.1"); err != nil {
			t.Errorf("a client of the other port: %v", err)
		}
	}
	if _, err := dialAs(t, r, "ssl", "127.0.0.1"); err == nil {
		t.Error("a fourth client of the server is served")
	}
	if value, use := useOf(s, "max_per_source", "tcp"); value != 1 || use != 1 {
		t.Errorf("%v of %v", use, value)
	}
	if _, use := useOf(s, "max_per_source", "ssl"); use != -2 {
		t.Error("the other port has a limit of its own")
	}
	first.Close()
	netservertest.Eventually(t, "nobody is counted on the port", func() bool {
		_, use := useOf(s, "max_per_source", "tcp")
		return use == 0
	})
	if _, err := dialAs(t, r, "tcp", "127.0.0.1"); err != nil {
		t.Errorf("after the first has left: %v", err)
	}
	st := s.Monitor().Stats()
	if st.Ports[0].Refused["max_per_source"] != 1 || st.Ports[1].Refused["max_per_source"] != 1 {
		t.Errorf("refused: %v, %v", st.Ports[0].Refused, st.Ports[1].Refused)
	}
}

// Behind a proxy the limit counts whom the header tells of, and everything is
// given back when they have left.
func TestLimitOfAPortBehindAProxy(t *testing.T) {
	for _, c := range []struct {
		refuses  string
		own, all int
	}{{"the port", 1, 5}, {"the server", 2, 2}} {
		t.Run(c.refuses, func(t *testing.T) {
			s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
			s.Config.Admission.MaxPerSource = c.all
			s.Config.Ports = twoPorts(map[string]string{"proxy_protocol": "require", "proxy_protocol_from": "127.0.0.1", "max_per_source": fmt.Sprint(c.own)})
			r := netservertest.Start(t, s)
			dial := func(from string) (net.Conn, error) {
				nc := r.DialRaw(t, "tcp")
				fmt.Fprintf(nc, "PROXY TCP4 %s 127.0.0.1 1 2\r\n", from)
				return nc, echoOnce(nc)
			}
			conns := make([]net.Conn, 3)
			var errs [3]error
			conns[0], errs[0] = dialAs(t, r, "ssl", "127.0.0.1")
			conns[1], errs[1] = dial("127.0.0.1")
			if _, err := dial("127.0.0.1"); err == nil {
				t.Error("one too many is served")
			}
			conns[2], errs[2] = dial("192.0.2.2")
			for i, err := range errs {
				if err != nil {
					t.Fatalf("client %d: %v", i, err)
				}
				conns[i].Close()
			}
			netservertest.Eventually(t, "nobody is counted", func() bool {
				_, use := useOf(s, "max_per_source", "tcp")
				return use == 0 && limited(s).Conns == 0
			})
		})
	}
}

// Datagrams have a rate of their own too.
func TestDatagramRateOfAPort(t *testing.T) {
	served := make(chan string, 10)
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
		b, err := io.ReadAll(c)
		served <- string(b)
		return err
	})}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: "udp", IPv: "4", Params: conf.Values{"datagram_rate": {{Text: "2"}}}}}
	r := netservertest.Start(t, s)
	c := r.DialRaw(t, "udp")
	for i := range 4 {
		if _, err := fmt.Fprint(c, i); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	netservertest.Eventually(t, "the rest is refused", func() bool {
		st := s.Monitor().Stats()
		return len(st.Ports) > 0 && st.Ports[0].Refused["datagram_rate"] > 0
	})
	for range 2 {
		<-served
	}
}
