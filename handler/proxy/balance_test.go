package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver"
	"netserver/handler/proxy"
	"netserver/netservertest"
	"netserver/outcome"
)

func TestRoundRobin(t *testing.T) {
	a, b, c := startNamed(t, "a", false), startNamed(t, "b", false), startNamed(t, "c", false)
	targets := targetsOf(a, b, c)
	targets[0].Weight = 5
	f := frontOf(t, &proxy.Backend{Targets: targets})
	// Smooth: the clients of a heavy target do not come in a row.
	if got := f.names(t, 14); got != "aabacaaaabacaa" {
		t.Errorf("got %s", got)
	}
}

func TestLeastConnections(t *testing.T) {
	a, b := startNamed(t, "a", false), startNamed(t, "b", false)
	targets := targetsOf(a, b)
	targets[1].Weight = 2
	be := &proxy.Backend{Targets: targets, Balance: proxy.Least}
	f := frontOf(t, be)
	for range 30 {
		want := stateOf(be, targets[0].Address).Clients + stateOf(be, targets[1].Address).Clients + 1
		c := f.dial(t)
		must(t, readByte(c))
		netservertest.Eventually(t, "counted", func() bool {
			return stateOf(be, targets[0].Address).Clients+stateOf(be, targets[1].Address).Clients == want
		})
	}
	if n := stateOf(be, targets[0].Address).Clients; n != 10 {
		t.Errorf("of 30 clients the target with weight 1 of 3 has %d", n)
	}
}

func readByte(c io.Reader) error {
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

// Clients of one address stay with one target, whatever their port.
func TestSourceStays(t *testing.T) {
	a, b, c := startNamed(t, "a", false), startNamed(t, "b", false), startNamed(t, "c", false)
	f := frontOf(t, &proxy.Backend{Targets: targetsOf(a, b, c), Balance: proxy.Source})
	got := f.names(t, 9)
	if got != strings.Repeat(got[:1], 9) {
		t.Errorf("one client's connections went to %s", got)
	}
}

func TestPriorityAndBackup(t *testing.T) {
	a, b, c := startNamed(t, "a", false), startNamed(t, "b", false), startNamed(t, "c", false)
	targets := targetsOf(c, a, b)
	targets[0].Backup = true // the first in the list, and yet the last
	be := &proxy.Backend{Targets: targets, Balance: proxy.Priority}
	f := frontOf(t, be)
	if got := f.names(t, 3); got != "aaa" {
		t.Errorf("got %s", got)
	}
	a.l.Close()
	if got := f.names(t, 3); got != "bbb" {
		t.Errorf("without the first: %s", got)
	}
	b.l.Close()
	if got := f.names(t, 3); got != "ccc" {
		t.Errorf("without both: %s", got)
	}
	c.l.Close()
	if got := f.visit(t); got != "" {
		t.Errorf("without any: %s", got)
	}
	r := f.record(t)
	if r.Err == nil || !strings.Contains(r.Err.Error(), "connection refused") || !errors.Is(r.Err, syscall.ECONNREFUSED) || r.Outcome != outcome.NoTarget {
		t.Errorf("record: %v", r.Err)
	}
}

// Backups are for when others are down, not for when they are busy.
func TestMaximumAndQueue(t *testing.T) {
	a, spare := startNamed(t, "a", false), startNamed(t, "s", false)
	targets := targetsOf(a, spare)
	targets[0].Max, targets[1].Backup = 2, true
	be := &proxy.Backend{Name: "x", Targets: targets, Queue: 1, QueueTime: patience}
	f := frontOf(t, be)
	one, two := f.dial(t), f.dial(t)
	must(t, readByte(one))
	must(t, readByte(two))
	third := f.dial(t)
	netservertest.Eventually(t, "one waits", func() bool { return proxy.Waiting(be) == 1 })
	fourth := f.dial(t) // one too many
	wantEOF(t, fourth)
	if r := f.record(t); r.Err == nil || !strings.HasSuffix(r.Err.Error(), "backend x: each target has as many clients as it may, and 1 wait") || r.Outcome != outcome.NoTarget {
		t.Errorf("record: %v", r.Err)
	}
	one.Close()
	f.record(t)
	want(t, third, "a") // its place
	third.Close()
	two.Close()
	f.record(t)
	f.record(t)
	if n := stateOf(be, targets[0].Address).Clients; n != 0 {
		t.Errorf("%d clients are left", n)
	}
	if n := spare.conns.Load(); n != 0 {
		t.Errorf("%d came to the backup", n)
	}
}

func TestQueueTime(t *testing.T) {
	a := startNamed(t, "a", false)
	targets := targetsOf(a)
	targets[0].Max = 1
	be := &proxy.Backend{Name: "x", Targets: targets, QueueTime: 30 * time.Millisecond}
	f := frontOf(t, be)
	must(t, readByte(f.dial(t)))
	wantEOF(t, f.dial(t))
	r := f.record(t)
	if r.Err == nil || !strings.HasSuffix(r.Err.Error(), "backend x: no place at a target within 30ms") || !errors.Is(r.Err, os.ErrDeadlineExceeded) || r.Outcome != outcome.NoTarget {
		t.Errorf("record: %v", r.Err)
	}
	if n := proxy.Waiting(be); n != 0 {
		t.Errorf("%d still wait", n)
	}
}

// The records say which backend and target it was, and how many were tried.
func TestRecordNamesTheTarget(t *testing.T) {
	a := startNamed(t, "a", false)
	dead := deadAddress(t)
	f := frontOf(t, &proxy.Backend{Name: "imap", Targets: []proxy.Target{{Address: dead}, a.target()}})
	f.visit(t)
	got := make(map[string]string)
	for _, x := range f.record(t).Attrs() {
		got[x.Key] = x.Value.String()
	}
	if got["backend"] != "imap" || got["target"] != a.target().Address || got["tries"] != "2" || got["connect"] == "" {
		t.Errorf("record: %v", got)
	}
}

// A dead target of three costs no client more than one connect timeout, and
// none once that is known: one client has tried it, and then another.
func TestOneOfThreeDead(t *testing.T) {
	for _, test := range []struct {
		name string
		run  bool
	}{{"with Run", true}, {"without", false}} {
		t.Run(test.name, func(t *testing.T) {
			hole := blackHole(t, "tcp")
			a, b := startNamed(t, "a", false), startNamed(t, "b", false)
			be := &proxy.Backend{Targets: append([]proxy.Target{{Address: targetOf(hole)}}, targetsOf(a, b)...), ConnectTimeout: time.Second}
			f := runOrNot(t, be, test.run)
			begin := time.Now()
			for range 40 {
				if got := f.visit(t); got != "a" && got != "b" {
					t.Errorf("got %q", got)
				}
				for _, x := range f.record(t).Attrs() {
					if x.Key == "tries" && x.Value.Int64() != 2 {
						t.Errorf("%d tries", x.Value.Int64())
					}
				}
			}
			if n := int(stateOf(be, targetOf(hole)).Failed); n < 1 || n > 1+retries(begin) {
				t.Errorf("%d clients tried the dead target, want 1", n)
			}
		})
	}
}

// retries is how often a dead target may be tried again since then: after a
// second, and less and less often.
func retries(since time.Time) int { return int(time.Since(since) / (700 * time.Millisecond)) }

// A noRunner is a Handler whose Run the server does not find.
type noRunner struct{ h *proxy.Handler }

func (n noRunner) Serve(ctx context.Context, c *netserver.Conn) error { return n.h.Serve(ctx, c) }

// A target is killed while clients come: none is refused but those that it had.
func TestFailoverUnderLoad(t *testing.T) {
	list := []*named{startNamed(t, "a", true), startNamed(t, "b", true), startNamed(t, "c", true)}
	be := &proxy.Backend{Targets: targetsOf(list...)}
	running(t, be)
	f := frontOf(t, be)
	const rate, clients = 500, 1000
	type result struct {
		name string
		err  error
	}
	results := make(chan result, clients)
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	for i := range clients {
		if i == clients/2 {
			list[1].l.Close() // no longer listens; the connections in its backlog are reset
		}
		<-tick.C
		go func() {
			nc, err := net.Dial("tcp", f.addr.String())
			if err != nil {
				results <- result{err: err}
				return
			}
			defer nc.Close()
			nc.SetDeadline(time.Now().Add(patience))
			b := make([]byte, 1)
			n, err := nc.Read(b)
			results <- result{string(b[:n]), err}
		}()
	}
	refused, inFlight := 0, 0
	for range clients {
		switch r := <-results; {
		case r.name != "":
		case errors.Is(r.err, syscall.ECONNRESET):
			inFlight++ // it was connected, in the backlog that died
		default:
			refused++
			t.Logf("a client was refused: %v", r.err)
		}
	}
	if refused > 0 {
		t.Errorf("%d clients were refused", refused)
	}
	t.Logf("of %d clients %d were in flight; the targets had %d, %d, %d", clients, inFlight, list[0].conns.Load(), list[1].conns.Load(), list[2].conns.Load())
}

// A target that comes back is used again, without a client that had to try.
func TestComesBack(t *testing.T) {
	a := startNamed(t, "a", false)
	l := listen(t, "tcp")
	l.Close()
	be := &proxy.Backend{Targets: []proxy.Target{{Address: targetOf(l)}, a.target()}}
	running(t, be)
	f := frontOf(t, be)
	if got := f.names(t, 4); got != "aaaa" {
		t.Errorf("got %s", got)
	}
	awaitState(t, be, targetOf(l), "down")
	if r := stateOf(be, targetOf(l)).Reason; r != "connection refused" {
		t.Errorf("reason %q", r)
	}
	again, err := net.Listen("tcp", targetOf(l))
	must(t, err)
	n := &named{name: "b", l: again}
	defer again.Close()
	go n.run()
	awaitState(t, be, targetOf(l), "up")
	if got := f.names(t, 4); strings.Count(got, "b") != 2 {
		t.Errorf("got %s", got)
	}
}

// A target that resets connections before it says anything gets no more after
// the third, but the only one is used all the same.
func TestResetsBeforeTheFirstByte(t *testing.T) {
	l := listen(t, "tcp")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			refuse(c)
		}
	}()
	a := startNamed(t, "a", false)
	be := &proxy.Backend{Name: "x", Targets: []proxy.Target{{Address: targetOf(l)}, a.target()}}
	f := frontOf(t, be)
	failed, begin := 0, time.Now()
	for range 12 {
		if f.visit(t) == "" {
			failed++
			r := f.record(t)
			if r.Err == nil || !strings.Contains(r.Err.Error(), "backend x: "+targetOf(l)+": reading from it: connection reset") || r.Outcome != outcome.TargetFailed {
				t.Errorf("record: %v", r.Err)
			}
			continue
		}
		f.record(t)
	}
	if failed < 3 || failed > 3+retries(begin) {
		t.Errorf("%d clients met the target that resets", failed)
	}
	if s := stateOf(be, targetOf(l)); s.State != "down" || s.Reason != "it resets connections before its first byte" {
		t.Errorf("state: %+v", s)
	}
	a.l.Close()
	for range 3 {
		f.visit(t)
	}
	must(t, be.Remove(a.target().Address))
	before := stateOf(be, targetOf(l)).Total
	f.visit(t)
	netservertest.Eventually(t, "the last resort is used", func() bool { return stateOf(be, targetOf(l)).Total > before })
}

// refuse resets c once its client has said something: before that a reset could
// look like a failed connect.
func refuse(c net.Conn) {
	readByte(c)
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// Resets that follow what clients send count only in a row.
func TestAnswersClearResets(t *testing.T) {
	l := listen(t, "tcp")
	go func() {
		for i := 0; ; i++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if i%3 == 2 {
				io.WriteString(c, "x")
				c.Close()
				continue
			}
			refuse(c)
		}
	}()
	a := startNamed(t, "a", false)
	be := &proxy.Backend{Targets: []proxy.Target{{Address: targetOf(l)}, a.target()}}
	f := frontOf(t, be)
	if got := f.names(t, 18); strings.Count(got, "x") != 3 || strings.Count(got, "a") != 9 {
		t.Errorf("got %s", got)
	}
}

func TestBadBackends(t *testing.T) {
	one := []proxy.Target{{Address: "127.0.0.1:1"}}
	for _, test := range []struct {
		b    *proxy.Backend
		want string
	}{
		{&proxy.Backend{}, "backend: no target: "},
		{&proxy.Backend{Name: "x"}, "backend x: no target: "},
		{&proxy.Backend{Name: "x", Targets: []proxy.Target{{Address: "nowhere"}}}, "backend x: nowhere: missing port"},
		{&proxy.Backend{Name: "x", Targets: append(one, one...)}, "backend x: 127.0.0.1:1: the target is given twice"},
		{&proxy.Backend{Name: "x", Targets: []proxy.Target{{Address: "127.0.0.1:1", Weight: 300}}}, "its weight 300 is not between 1 and 256"},
		{&proxy.Backend{Name: "x", Targets: one, TargetsFile: "/nonexistent/file"}, "no such file"},
		{&proxy.Backend{Name: "x", Targets: one, Balance: 9}, "Balance 9 is not known"},
		{&proxy.Backend{Name: "x", Targets: one, Check: proxy.Check{Kind: proxy.CheckExpect}}, "Check.Expect is empty"},
	} {
		if err := (&proxy.Handler{Backend: test.b}).Check(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
	h := &proxy.Handler{Target: "127.0.0.1:1", Backend: &proxy.Backend{Targets: one}}
	if err := h.Check(); err == nil || !strings.Contains(err.Error(), "set one or the other") {
		t.Errorf("%v", err)
	}
	be := &proxy.Backend{Name: "x", Targets: one}
	if err := (&proxy.Handler{Backend: be}).Check(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}); err == nil || err.Error() != "backend x: 127.0.0.1:1: the target is port 127.0.0.1:1 of this server itself" {
		t.Errorf("%v", err)
	}
}

func TestParseBalance(t *testing.T) {
	for _, name := range []string{"round_robin", "least", "source", "priority"} {
		if b, err := proxy.ParseBalance(name); err != nil || b.String() != name {
			t.Errorf("%s: %v, %v", name, b, err)
		}
	}
	if _, err := proxy.ParseBalance("best"); err == nil || !strings.Contains(err.Error(), "write round_robin") {
		t.Errorf("%v", err)
	}
}

// Handlers that share a Backend share what is known of it.
func TestSharedBackend(t *testing.T) {
	a := startNamed(t, "a", false)
	be := &proxy.Backend{Targets: []proxy.Target{{Address: deadAddress(t)}, a.target()}}
	f, g, begin := frontOf(t, be), frontOf(t, be), time.Now()
	if got := f.names(t, 1) + g.names(t, 1) + f.names(t, 1); got != "aaa" {
		t.Errorf("got %s", got)
	}
	if n := int(stateOf(be, be.Targets[0].Address).Failed); n < 1 || n > 1+retries(begin) {
		t.Errorf("%d clients tried the dead target", n)
	}
}

func ExampleParseTarget() {
	t, err := proxy.ParseTarget("10.0.0.5:143 weight=2 backup max=500")
	fmt.Println(t.Address, t.Weight, t.Backup, t.Max, err)
	_, err = proxy.ParseTarget("10.0.0.5:143 wieght=2")
	fmt.Println(err)
	// Output:
	// 10.0.0.5:143 2 true 500 <nil>
	// target 10.0.0.5:143 wieght=2: wieght=2 is not known: after the address come weight=N, max=N and backup
}

var _ netserver.Handler = (*proxy.Handler)(nil)

// When all targets have failed, a client is connected to each of them once, and
// then ends.
func TestAllHaveFailed(t *testing.T) {
	one, two := deadAddress(t), deadAddress(t)
	be := &proxy.Backend{Name: "x", Targets: []proxy.Target{{Address: one}, {Address: two}}}
	f := serve(t, "tcp", noRunner{&proxy.Handler{Backend: be}}, netserver.Config{})
	for i := range 3 {
		wantEOF(t, f.dial(t))
		r := f.record(t)
		tries := int64(0)
		for _, x := range r.Attrs() {
			if x.Key == "tries" {
				tries = x.Value.Int64()
			}
		}
		if r.Outcome != outcome.NoTarget || tries != 2 {
			t.Errorf("%d tries: %v", tries, r.Err)
		}
		if a, b := stateOf(be, one).Failed, stateOf(be, two).Failed; a != uint64(i+1) || b != uint64(i+1) {
			t.Errorf("%d and %d connections", a, b)
		}
	}
}
