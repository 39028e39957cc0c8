package proxy_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netserver/handler/proxy"
)

// checkedBackend returns a backend with targets at addresses that a check has
// found up.
func checkedBackend(t testing.TB, log *bytes.Buffer, addresses ...string) *proxy.Backend {
	t.Helper()
	b := &proxy.Backend{Name: "b", Check: proxy.Check{Kind: proxy.CheckTCP, Rise: 1, Fall: 1}}
	if log != nil {
		b.Log = slog.New(slog.NewTextHandler(log, nil))
	}
	for _, a := range addresses {
		target, err := proxy.ParseTarget(a)
		must(t, err)
		b.Targets = append(b.Targets, target)
	}
	must(t, (&proxy.Handler{Backend: b}).Check())
	for _, a := range addresses {
		proxy.Found(b, strings.Fields(a)[0], nil)
	}
	return b
}

// idOf returns the ID of the target at an address of a backend that has no other.
func idOf(t testing.TB, address string) uint64 {
	t.Helper()
	list := checkedBackend(t, nil, address).Findings()
	if len(list) != 1 {
		t.Fatalf("%s: %v", address, list)
	}
	return list[0].ID
}

// opinionsOf returns the opinion that two of three others find targets down.
func opinionsOf(t testing.TB, addresses ...string) (list []proxy.Opinion) {
	for _, a := range addresses {
		list = append(list, proxy.Opinion{ID: idOf(t, a), Down: 2, Of: 3})
	}
	slices.SortFunc(list, func(x, y proxy.Opinion) int {
		if x.ID < y.ID {
			return -1
		}
		return 1
	})
	return list
}

// inUse returns the targets that clients get, by their last number.
func inUse(b *proxy.Backend) string {
	var list []string
	for _, s := range b.List() {
		if s.State == "up" {
			list = append(list, strings.TrimSuffix(s.Address[strings.LastIndex(s.Address, ".")+1:], ":80"))
		}
	}
	return strings.Join(list, " ")
}

func addressOf(n string) string { return "192.0.2." + n + ":80" }

func numbered(list string) (all []string) {
	for _, n := range strings.Fields(list) {
		all = append(all, addressOf(n))
	}
	return all
}

// What this server finds down is out of use; of what it finds up, at most half is
// because of others.
func TestOthersFindTargetsDown(t *testing.T) {
	for _, test := range []struct {
		name, targets, down, drained, others, want string
	}{
		{"nothing", "1 2 3", "", "", "", "1 2 3"},
		{"found here", "1 2 3", "1", "", "", "2 3"},
		{"all found here", "1 2 3", "1 2 3", "", "", ""},
		{"others alone", "1 2 3", "", "", "2", "1 3"},
		{"both", "1 2 3", "2", "", "2", "1 3"},
		{"one each", "1 2 3 4", "1", "", "2", "3 4"},
		{"half", "1 2 3 4", "", "", "2 3", "1 4"},
		{"more than half", "1 2 3 4", "", "", "2 3 4", "1 2 3 4"},
		{"more than half of what is up here", "1 2 3 4", "1", "", "2 3", "2 3 4"},
		{"what is down here does not count", "1 2 3 4", "1 2", "", "1 2 3", "4"},
		{"all", "1 2 3 4", "", "", "1 2 3 4", "1 2 3 4"},
		{"all, here but one", "1 2", "1", "", "1 2", "2"},
		{"one of two", "1 2", "", "", "1", "2"},
		{"the only one", "1", "", "", "1", "1"},
		{"the last one that is up here", "1 2 3", "1 2", "", "3", "3"},
		{"drained ones take no clients anyway", "1 2 3", "", "1 2", "3", "3"},
		{"targets of another backend", "1 2 3", "", "", "7 8 9", "1 2 3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			opinions := opinionsOf(t, numbered(test.others)...)
			for _, first := range []bool{true, false} { // who finds it first makes no difference
				b := checkedBackend(t, nil, numbered(test.targets)...)
				if first {
					b.Heed(opinions)
				}
				for _, a := range numbered(test.down) {
					proxy.Found(b, a, errors.New("down"))
				}
				for _, a := range numbered(test.drained) {
					must(t, b.Drain(a))
				}
				if !first {
					b.Heed(opinions)
				}
				if got := inUse(b); got != test.want {
					t.Errorf("in use: %q, want %q (others first: %v)", got, test.want, first)
				}
				b.Heed(nil)
				want := slices.DeleteFunc(strings.Fields(test.targets), func(n string) bool {
					return slices.Contains(strings.Fields(test.down), n) || slices.Contains(strings.Fields(test.drained), n)
				})
				if got := inUse(b); got != strings.Join(want, " ") {
					t.Errorf("in use when others say nothing: %q, want %q", got, want)
				}
				for _, f := range b.Findings() { // never what others say
					if f.Down != slices.Contains(numbered(test.down), addressWith(t, f.ID, test.targets)) {
						t.Errorf("%s is told as down=%v", addressWith(t, f.ID, test.targets), f.Down)
					}
				}
			}
		})
	}
}

func addressWith(t testing.TB, id uint64, targets string) string {
	for _, a := range numbered(targets) {
		if idOf(t, a) == id {
			return a
		}
	}
	return "none"
}

// What clients find out of a target is told to nobody, counts here, and is
// weighed as what checks find.
func TestClientsFindTargetsDown(t *testing.T) {
	b := checkedBackend(t, nil, numbered("1 2")...)
	b.Heed(opinionsOf(t, addressOf("1")))
	if got := inUse(b); got != "2" {
		t.Errorf("in use: %q", got)
	}
	proxy.Failed(b, addressOf("2"), errors.New("refused"))
	if got := inUse(b); got != "1" {
		t.Errorf("in use when the other fails: %q", got)
	}
	if got := proxy.Choose(b); got != addressOf("1") {
		t.Errorf("a client gets %q", got)
	}
	for _, f := range b.Findings() {
		if f.Down {
			t.Error("what a client found is told to others")
		}
	}
	proxy.Found(b, addressOf("2"), nil)
	if got := inUse(b); got != "2" {
		t.Errorf("in use when it is back: %q", got)
	}
}

// A change is a line, with what others say; being told again is none.
func TestOthersAreLogged(t *testing.T) {
	var log bytes.Buffer
	b := checkedBackend(t, &log, numbered("1 2 3")...)
	opinions := opinionsOf(t, addressOf("2"))
	for range 5 {
		b.Heed(slices.Clone(opinions))
	}
	state := b.List()[1]
	if state.State != "down" || state.Reason != "2 of 3 other servers find it down" || state.Checked != "ok" {
		t.Errorf("%+v", state)
	}
	opinions[0].Down = 3
	b.Heed(opinions)
	if got := b.List()[1].Reason; got != "3 of 3 other servers find it down" {
		t.Error(got)
	}
	proxy.Found(b, addressOf("2"), errors.New("refused"))
	if got := b.List()[1].Reason; got != "check tcp: refused" {
		t.Error(got)
	}
	proxy.Found(b, addressOf("2"), nil) // others do not think so yet
	if got := b.List()[1]; got.State != "down" || got.Reason != "3 of 3 other servers find it down" {
		t.Errorf("%+v", got)
	}
	b.Heed(nil)
	b.Heed(opinionsOf(t, numbered("1 2 3")...))
	b.Heed(opinionsOf(t, numbered("1 2")...))
	b.Heed(nil)
	for text, n := range map[string]int{
		`msg="target is down" backend=b target=192.0.2.2:80 err="2 of 3 other`:        1,
		`msg="target is down" backend=b target=192.0.2.2:80 err="check tcp: refused"`: 1,
		`msg="target is up" backend=b target=192.0.2.2:80`:                            1,
		"more than half of the targets down":                                          1,
	} {
		if got := strings.Count(log.String(), text); got != n {
			t.Errorf("%q: %d times, want %d\n%s", text, got, n, &log)
		}
	}
	if got := strings.Count(log.String(), "\n"); got != 4 {
		t.Errorf("%d lines:\n%s", got, &log)
	}
}

// However often others change their minds, the log is not theirs.
func TestOthersFlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		b := checkedBackend(t, &log, numbered("1 2 3 4")...)
		opinions := opinionsOf(t, numbered("2 3")...)
		for range 10_000 {
			b.Heed(opinions)
			b.Heed(nil)
			time.Sleep(time.Millisecond)
		}
		if got := strings.Count(log.String(), "\n"); got > 40 {
			t.Errorf("%d lines in ten seconds", got)
		}
		if got := inUse(b); got != "1 2 3 4" {
			t.Errorf("in use: %q", got)
		}
	})
}

// Waiting clients get a target that others find up again.
func TestWaitingClientGetsTargetOfOthers(t *testing.T) {
	b := checkedBackend(t, nil, addressOf("1")+" max=1", addressOf("2")+" max=1")
	b.Heed(opinionsOf(t, addressOf("1")))
	if got := proxy.Choose(b); got != addressOf("2") {
		t.Errorf("a client gets %q", got)
	}
	b.Heed(nil)
	if got := inUse(b); got != "1 2" {
		t.Errorf("in use: %q", got)
	}
}

// A target is the same where it is called the same and asked the same.
func TestWhichTargetsAreTheSame(t *testing.T) {
	id := func(name, address, check string) uint64 {
		t.Helper()
		c, err := proxy.ParseCheck(check)
		must(t, err)
		c.Rise, c.Fall, c.Interval = 1, 1, time.Duration(len(name))*time.Second
		target, err := proxy.ParseTarget(address)
		must(t, err)
		b := &proxy.Backend{Name: name, Targets: []proxy.Target{target}, Check: c}
		must(t, (&proxy.Handler{Backend: b}).Check())
		if list := b.Findings(); len(list) > 0 {
			t.Errorf("%s: %v before the first check", address, list)
		}
		proxy.Found(b, strings.TrimPrefix(strings.Fields(address)[0], "unix:"), nil)
		if list := b.Findings(); len(list) == 1 {
			return list[0].ID
		}
		return 0
	}
	one := id("b", "192.0.2.1:80", "tcp")
	if one == 0 || one&1 != 0 {
		t.Fatalf("%d", one)
	}
	if got := id("b", "192.0.2.1:80 weight=3 max=7 backup", "tcp"); got != one {
		t.Error("its weight makes it another")
	}
	seen := map[uint64]string{one: "the first"}
	for _, other := range [][3]string{
		{"c", "192.0.2.1:80", "tcp"}, {"b", "192.0.2.2:80", "tcp"}, {"b", "192.0.2.1:81", "tcp"}, {"b", "192.0.2.1:http", "tcp"},
		{"b", "192.0.2.1:80", "tls"}, {"b", "192.0.2.1:80", "http GET /"}, {"b", "192.0.2.1:80", "http GET / 200"}, {"b", "192.0.2.1:80", "expect x"},
		{"b", "192.0.2.1:80", "send x expect x"}, {`b" "192.0.2.1:80`, "192.0.2.1:80", "tcp"},
	} {
		got := id(other[0], other[1], other[2])
		if seen[got] != "" || got == 0 {
			t.Errorf("%q: %d is that of %q too", other, got, seen[got])
		}
		seen[got] = fmt.Sprint(other)
	}
	if id("b", "192.0.2.1:80", "off") != 0 {
		t.Error("one that is not checked is shared")
	}
}

// An address that each machine has for itself is another target on another
// machine.
func TestTargetsOfAMachine(t *testing.T) {
	for _, address := range []string{"127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "[::ffff:127.0.0.1]:80", "0.0.0.0:80", "[::]:80", "169.254.1.1:80", "[fe80::1%lo]:80", "/run/x.sock"} {
		here, there, known := proxy.OnMachines(t, address)
		if known && (here == 0 || there == 0 || here == there) {
			t.Errorf("%s: %d here, %d on another machine", address, here, there)
		}
		if !known && here != 0 {
			t.Errorf("%s: %d where the machine is not known", address, here)
		}
	}
	for _, address := range []string{"192.0.2.1:80", "10.0.0.1:80", "[2001:db8::1]:80"} {
		if here, there, _ := proxy.OnMachines(t, address); here == 0 || here != there {
			t.Errorf("%s: %d here, %d on another machine", address, here, there)
		}
	}
}

func BenchmarkHeed(b *testing.B) {
	var addresses []string
	for i := range 1000 {
		addresses = append(addresses, fmt.Sprintf("198.18.%d.%d:80", i/250, i%250))
	}
	backend := checkedBackend(b, nil, addresses...)
	opinions := opinionsOf(b, addresses[:400]...)
	for b.Loop() {
		backend.Heed(opinions)
		backend.Heed(nil)
	}
}
