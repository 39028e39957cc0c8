package admit

import (
	"net/netip"
	"testing"
	"time"
)

// A network that is banned by hand is refused with penalties and without, until
// its time is over or it is lifted; exempt addresses in it are not.
func TestBan(t *testing.T) {
	for _, points := range []float64{0, 5} {
		now := int64(1)
		l := NewLimiter(Limits{Penalty: Penalty{Threshold: points, Exempt: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/32")}}})
		l.clock = func() int64 { return now }
		in, exempt, out := netip.MustParseAddr("10.1.9.9"), netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("10.2.0.1")
		mapped, six := netip.MustParseAddr("::ffff:10.1.0.1"), netip.MustParseAddr("2001:db8:1:2::3")
		want := func(what string, a netip.Addr, why Reason) {
			t.Helper()
			if got := l.Enter(a); got != why {
				t.Errorf("%s: %v is refused by %d, want %d", what, a, got, why)
			} else if got == OK {
				l.Leave(a)
			}
			if why == Penalised && l.Rename(out, a) != Penalised {
				t.Errorf("%s: %v comes by a PROXY header", what, a)
			}
		}
		want("before", in, OK)
		for _, p := range []string{"10.1.0.0/16", "2001:db8:1:2:3::/80"} {
			if err := l.Ban(netip.MustParsePrefix(p), time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		want("banned", in, Penalised)
		want("banned", mapped, Penalised)
		want("banned", six, Penalised)
		want("exempt", exempt, OK)
		want("beside", out, OK)
		if got := l.Datagram(in); got != Penalised {
			t.Errorf("a datagram is refused by %d", got)
		}
		if list := l.List(); len(list) != 2 || list[0].Left != time.Minute {
			t.Errorf("%+v", list)
		}
		if n := l.Lift(netip.MustParsePrefix("10.1.0.0/24")); n != 0 {
			t.Errorf("%d lifted by a part of it", n)
		}
		if n := l.Lift(netip.MustParsePrefix("10.0.0.0/8")); n != 1 {
			t.Errorf("%d lifted", n)
		}
		want("lifted", in, OK)
		now += int64(time.Minute)
		want("over", six, OK)
		if len(l.List()) != 0 {
			t.Errorf("%+v", l.List())
		}
	}
}

func TestBansAreBounded(t *testing.T) {
	l := NewLimiter(Limits{})
	for i := range maxBans {
		if err := l.Ban(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	last := netip.MustParsePrefix("11.0.0.0/24")
	if l.Ban(last, time.Hour) == nil {
		t.Error("one too many")
	}
	if err := l.Ban(netip.MustParsePrefix("10.0.0.0/24"), time.Minute); err != nil {
		t.Errorf("one again: %v", err)
	}
	l.Lift(netip.MustParsePrefix("10.0.0.0/24"))
	if err := l.Ban(last, time.Hour); err != nil {
		t.Error(err)
	}
	if l.Ban(netip.Prefix{}, time.Hour) == nil {
		t.Error("no network")
	}
}
