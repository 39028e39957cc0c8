package clustering

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"netserver/cluster"
)

// What a process that has ended had told of bans stays beside what the next one
// tells, until its end, a lift, or until that one knows better.
func TestBansOutliveTheProcess(t *testing.T) {
	ban := func(s string, left time.Duration) cluster.Ban {
		return cluster.Ban{Prefix: netip.MustParsePrefix(s), Left: left}
	}
	now := time.Unix(1_700_000_000, 0)
	var b Bans
	has := func(what string, want ...cluster.Ban) {
		t.Helper()
		if got := b.All(now); got == nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v", what, got)
		}
	}
	tell := func(list ...cluster.Ban) { b.Tell(&cluster.News{Bans: &list}, now) }
	const one, two, three, net = "192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32", "192.0.2.0/24"
	has("none")
	tell(ban(one, time.Minute), ban(two, time.Hour), ban(net, time.Hour), ban(three, time.Hour))
	b.Ended(now)
	now = now.Add(time.Minute)
	has("without a process", ban(two, time.Hour-time.Minute), ban(net, time.Hour-time.Minute), ban(three, time.Hour-time.Minute))
	tell(ban(two, time.Second))
	has("with one that knows little", ban(two, time.Second), ban(net, time.Hour-time.Minute), ban(three, time.Hour-time.Minute))
	b.Tell(&cluster.News{Lifted: []netip.Prefix{netip.MustParsePrefix(net)}}, now)
	has("another has lifted", ban(two, time.Second), ban(three, time.Hour-time.Minute))
	b.Ended(now) // again
	b.Lift(netip.MustParsePrefix("192.0.2.2/31"))
	has("an operator has lifted")
	tell(ban(one, time.Minute))
	b.Ended(now)
	tell(ban(two, time.Minute))
	if !b.Kept() {
		t.Error("nothing is kept")
	}
	b.Forget()
	has("it knows better", ban(two, time.Minute))
	if b.Kept() {
		t.Error("something is kept")
	}
}
