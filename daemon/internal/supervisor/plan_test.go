package supervisor

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"netserver/conf"
	"netserver/daemon/internal/wire"
	"netserver/port"
	"netserver/sock"
	"netserver/tlsparams"
)

// Only a TLS port without a certificate of its own or of all ports gets one
// that is made in memory.
func TestNeedsSelfSigned(t *testing.T) {
	for _, tc := range []struct {
		name, proto, all, own string
		want                  bool
	}{
		{"a plain port", "tcp", "", "", false},
		{"no certificate", "ssl", "", "", true},
		{"one of all ports", "ssl", "/a.pem", "", false},
		{"one of its own", "ssl", "", "/a.pem", false},
		{"asked for", "ssl", tlsparams.ForceSelfSigned, "", true},
		{"asked for by the port", "ssl", "/a.pem", tlsparams.ForceSelfSigned, true},
		{"not asked for by the port", "ssl", tlsparams.ForceSelfSigned, "/a.pem", false},
	} {
		set := func(v string) conf.Values {
			if v == "" {
				return nil
			}
			return conf.Values{"SSL_cert_file": {{Text: v}}}
		}
		plain := sock.Request{Spec: port.Spec{Port: "1", Proto: "tcp"}}
		p := &wire.Plan{Values: set(tc.all), Ports: []sock.Request{plain, {Spec: port.Spec{Port: "2", Proto: tc.proto, Params: set(tc.own)}}}}
		if got := needsSelfSigned(p); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

// What is made in memory can be used: certificate and key belong together.
func TestNewSelfSigned(t *testing.T) {
	b, err := newSelfSigned(time.Now())
	if err != nil || len(b) == 0 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if _, err := tls.X509KeyPair(b, b); err != nil {
		t.Error(err)
	}
}

// Files are followed for workers that may not see them, if there are any.
func TestFollows(t *testing.T) {
	confined, own := new(Settings), new(Settings)
	confined.Identity.Chroot = "/jail"
	for _, tc := range []struct {
		name string
		conf *Settings
		plan wire.Plan
		want bool
	}{
		{"no files", confined, wire.Plan{}, false},
		{"a file", confined, wire.Plan{Files: []string{"/a"}}, true},
		{"a directory", confined, wire.Plan{Dirs: []string{"/a"}}, true},
		{"a worker that sees them itself", own, wire.Plan{Files: []string{"/a"}}, false},
	} {
		if got := (&generation{conf: tc.conf, plan: &tc.plan}).follows(); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

// A port is changed by what its own handler, its routes or its backends are.
func TestServingChanges(t *testing.T) {
	values := func(pairs ...string) conf.Values {
		v := conf.Values{}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v
	}
	plan := func(target, to, route string) *wire.Plan {
		return &wire.Plan{
			Tables: map[string][]conf.Block{"backend": {{Values: values("name", "b", "targets", target)}, {Values: values("name", "other", "targets", "1:1")}}},
			Serving: []conf.Block{
				{},
				{Values: values("proxy_to", to)},
				{Tables: map[string][]conf.Block{"route": {{Values: values("sni", route, "backend", "b")}}}},
				{Values: values("backend", "other")},
			},
		}
	}
	old := plan("a:1", "x:1", "a.example")
	old.Values = values("backend", "b")
	for _, c := range []struct {
		now  *wire.Plan
		want [4]string
	}{
		{plan("a:1", "x:1", "a.example"), [4]string{}},
		{plan("a:1", "y:1", "a.example"), [4]string{1: "proxy_to"}},
		{plan("a:1", "x:1", "b.example"), [4]string{2: "routes"}},
		{plan("b:1", "x:1", "a.example"), [4]string{0: "backend b", 2: "backend b"}},
		{&wire.Plan{Tables: old.Tables}, [4]string{1: "proxy_to", 2: "routes", 3: "backend"}},
	} {
		c.now.Values = old.Values
		for i, want := range c.want {
			if got := strings.Join(servingChanges(old, c.now, i, i), ", "); got != want {
				t.Errorf("port %d: %q, want %q", i, got, want)
			}
		}
	}
}

// Lists in the answer to a reload are never null.
func TestListIsNotNull(t *testing.T) {
	if l := list(nil); l == nil || len(l) != 0 {
		t.Errorf("%#v", l)
	}
	if l := list([]string{"a"}); len(l) != 1 {
		t.Errorf("%#v", l)
	}
}

// A generation that serves cannot fail at its start any more.
func TestStartCannotFailLater(t *testing.T) {
	s := newWireState()
	g := s.gens[0]
	defer g.stopTimers()
	if s.startFailed(g, errors.New("late")); g.failed || len(s.w.outbox) > 0 || s.w.kill != nil {
		t.Errorf("failed: %v, %d messages to its worker", g.failed, len(s.w.outbox))
	}
}

// As many workers may be leaving by their own word as the generation has, and
// maxOwnLeaving more; one more makes the oldest end within the grace time.
func TestLeavingIsBounded(t *testing.T) {
	s := newWireState()
	g := s.gens[0]
	defer g.stopTimers()
	clear(g.workers)
	var oldest *child
	cut := func() (n int) {
		s.boundLeaving(g)
		for w := range g.workers {
			if w.kill != nil {
				w.kill.Stop()
				n++
			}
		}
		return n
	}
	for i := range g.scale.Max + maxOwnLeaving + 1 {
		if n := cut(); n != 0 {
			t.Fatalf("with %d leaving %d are cut", i, n)
		}
		w := &child{kind: "worker", id: i + 1, gen: g, ready: true, leaving: true, outbox: make(chan wire.Message, 10)}
		g.workers[w] = struct{}{}
		if oldest == nil {
			oldest = w
		}
	}
	if n := cut(); n != 1 || oldest.kill == nil {
		t.Errorf("one too many: %d are cut, the oldest: %v", n, oldest.kill != nil)
	}
}

// A worker that could not be started leaves no end of its way to the keys open;
// without a key agent there is none.
func TestKeyLinkOfNobody(t *testing.T) {
	var none *keyAgent
	l, err := none.link(new(wire.Start))
	if l != nil || err != nil {
		t.Fatal(l, err)
	}
	if files := l.add(nil); len(files) != 0 {
		t.Error(files)
	}
	l.begin(nil, nil)
	for _, threads := range []bool{false, true} {
		l, err = (&keyAgent{threads: threads}).link(new(wire.Start))
		if err != nil {
			t.Fatal(err)
		}
		if files := l.add(nil); len(files) != 1 || files[0] != l.file {
			t.Error("the worker does not get its end")
		}
		l.begin(nil, nil)
		if l.file.Close() == nil || l.conn.Close() == nil {
			t.Errorf("threads %v: an end was left open", threads)
		}
	}
}

// A worker that leaves already, or does not serve yet, is not replaced once more
// because a signal ends it.
func TestDismissOnce(t *testing.T) {
	s := newWireState()
	defer s.gens[0].stopTimers()
	s.w.leaving = true
	s.dismiss(s.w)
	s.other.ready = false
	s.dismiss(s.other)
	if s.w.dismissed || s.other.dismissed || s.other.leaving {
		t.Errorf("dismissed: one that leaves %v, one that starts %v", s.w.dismissed, s.other.dismissed)
	}
	s.other.ready = true
	if s.dismiss(s.other); !s.other.dismissed || !s.other.leaving {
		t.Error("one that serves is not dismissed")
	}
}
