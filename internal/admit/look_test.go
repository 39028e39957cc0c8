package admit

import (
	"net/netip"
	"testing"
	"time"
)

// A Look tells what Enter would find, and changes nothing.
func TestLook(t *testing.T) {
	now := int64(1)
	l := NewLimiter(Limits{MaxPerSource: 2, MaxPerPrefix: 3, Rate: 10, RatePerSource: 4, DatagramRatePerSource: 2,
		Penalty: Penalty{Threshold: 5, Time: time.Minute, MaxTime: time.Hour, Exempt: []netip.Prefix{netip.MustParsePrefix("192.0.2.200/32")}}})
	l.clock = func() int64 { return now }
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	if k := l.Look(a, false); k != (Look{}) {
		t.Errorf("of a stranger: %+v", k)
	}
	if st := l.Stats(); st.Sources != 0 {
		t.Errorf("a stranger is remembered: %+v", st)
	}
	for _, c := range []netip.Addr{a, a, b} {
		if why := l.Enter(c); why != OK {
			t.Fatal(why)
		}
	}
	if k := l.Look(a, false); k != (Look{Conns: 2, NetworkConns: 3, Rate: 2, Total: 3}) {
		t.Errorf("%+v", k)
	}
	if k := l.Look(netip.Addr{}, false); k != (Look{Total: 3}) {
		t.Errorf("without an address: %+v", k)
	}
	l.Datagram(a)
	if k := l.Look(a, true); k.Rate != 1 || k.Conns != 2 {
		t.Errorf("of datagrams: %+v", k)
	}
	if Full(1, 2) || !Full(2, 2) || Full(2, 0) || Full(0, 0.5) || !Full(0.1, 0.5) {
		t.Error("when a rate is used up")
	}
	l.Punish(b, 9)
	if k := l.Look(b, false); k.Boxed.Prefix != netip.MustParsePrefix("192.0.2.2/32") || k.Boxed.Left != time.Minute || k.Boxed.Offences != 1 {
		t.Errorf("%+v", k)
	}
	// Of two reasons to be in the box, the longer one.
	l.Ban(netip.MustParsePrefix("192.0.2.0/24"), time.Hour)
	for _, c := range []netip.Addr{a, b, netip.MustParseAddr("::ffff:192.0.2.9")} {
		if k := l.Look(c, false); k.Boxed.Prefix != netip.MustParsePrefix("192.0.2.0/24") || k.Boxed.Left != time.Hour {
			t.Errorf("%v: %+v", c, k)
		}
	}
	if k := l.Look(netip.MustParseAddr("192.0.2.200"), false); !k.Exempt || k.Boxed.Prefix.IsValid() {
		t.Errorf("%+v", k)
	}
	now += int64(2 * time.Hour)
	if k := l.Look(a, false); k.Boxed.Prefix.IsValid() || k.Rate != 0 {
		t.Errorf("later: %+v", k)
	}
}
