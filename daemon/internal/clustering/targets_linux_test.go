package clustering

import (
	"net"
	"slices"
	"testing"
	"time"

	"netserver"
	"netserver/cluster"
	"netserver/daemon/internal/wire"
	"netserver/handler/proxy"
	"netserver/netservertest"
)

// What the checks of backends find is told, and what others find is heeded, by who
// was asked to.
func TestTargetsAreHeeded(t *testing.T) {
	dir := t.TempDir()
	b := &proxy.Backend{Name: "b", Check: proxy.Check{Kind: proxy.CheckTCP, Interval: time.Hour, Timeout: time.Minute}}
	for _, name := range []string{"1", "2"} {
		l, err := net.Listen("unix", dir+"/"+name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		b.Targets = append(b.Targets, proxy.Target{Address: l.Addr().String()})
	}
	ended, ctx := make(chan struct{}), t.Context()
	go func() { defer close(ended); b.Run(ctx) }()
	t.Cleanup(func() { <-ended })
	netservertest.Eventually(t, "its targets were checked", func() bool { return len(b.Findings()) == 2 })

	c := NewClients(new(netserver.Server).Monitor())
	up := func() (n int) {
		for _, s := range b.List() {
			if s.State == "up" {
				n++
			}
		}
		return n
	}
	take := func(list ...cluster.Opinion) {
		c.Take(&cluster.News{Others: &cluster.Others{Targets: list}}, 0)
	}
	one := cluster.Opinion{ID: b.Findings()[0].ID, Down: 1, Of: 1}
	if take(one); c.Findings() != nil || up() != 2 {
		t.Errorf("who was not asked to tells %v, and has %d targets up", c.Findings(), up())
	}
	c.UseTargets([]*proxy.Backend{b, {Name: "unchecked", Targets: b.Targets}})
	list := c.Findings()
	if len(list) != 2 || list[0].Down || list[1].Down || list[0].ID >= list[1].ID {
		t.Errorf("%v are told", list)
	}
	if take(one); up() != 1 || !slices.Equal(c.Findings(), list) {
		t.Errorf("%d are up, %v are told", up(), c.Findings())
	}
	if c.Take(&cluster.News{}, 0); up() != 1 {
		t.Error("news of something else end it")
	}
	if take(); up() != 2 {
		t.Errorf("%d are up when others say nothing", up())
	}
}

func TestTargetsInParts(t *testing.T) {
	findings := make(cluster.Findings, cluster.MaxTargets)
	for _, test := range []struct {
		name  string
		count int
		list  cluster.Findings
		parts int
	}{{"nothing", 0, nil, 1}, {"targets alone", 0, findings, 2}, {"all", 2 * wire.MaxSharedCounts, findings, 3}} {
		parts := Share{Counts: make(cluster.Counts, test.count), Targets: test.list}.Parts()
		if len(parts) != test.parts || !parts[0].First || !parts[len(parts)-1].Last || len(parts[len(parts)-1].Targets) != len(test.list) {
			t.Errorf("%s: %d parts", test.name, len(parts))
		}
		for i, p := range parts {
			if p.First != (i == 0) || p.Last != (i == len(parts)-1) || len(p.Targets) > 0 && len(p.Counts)+len(p.Bans) > 0 {
				t.Errorf("%s: part %d", test.name, i)
			}
		}
	}
}

func TestAgreed(t *testing.T) {
	var a Agreed
	if a.Add(nil); a.Findings() != nil {
		t.Error("nobody has found something")
	}
	a.Add(cluster.Findings{{ID: 8, Down: true}, {ID: 2, Down: true}})
	a.Add(cluster.Findings{{ID: 2, Down: true}, {ID: 8}, {ID: 4}})
	a.Add(cluster.Findings{{ID: 8, Down: true}})
	if got := a.Findings(); !slices.Equal(got, cluster.Findings{{ID: 2, Down: true}, {ID: 4}, {ID: 8}}) {
		t.Error(got)
	}
	for i := range 3 * cluster.MaxTargets {
		a.Add(cluster.Findings{{ID: uint64(i+1) * 2}})
	}
	if n := len(a.Findings()); n != cluster.MaxTargets {
		t.Errorf("%d findings", n)
	}
}
