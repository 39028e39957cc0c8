package wire

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"netserver/cluster"
	"netserver/internal/control"
)

func banned(network string, left time.Duration) string {
	return fmt.Sprintf(`{"prefix":%q,"left":%d}`, network, left)
}

// opinions are those of other nodes on n targets, findings a worker's own.
func opinions(n int) string {
	b, _ := json.Marshal(manyOpinions(n))
	return string(b)
}

func manyOpinions(n int) []cluster.Opinion {
	list := make([]cluster.Opinion, n)
	for i := range list {
		list[i] = cluster.Opinion{ID: 1<<63 + uint64(i)*2, Down: 100, Of: 127}
	}
	return list
}

func findings(n int) string {
	b := []byte{1} // as cluster.Findings encodes them, which would refuse too many
	for i := range n {
		b = binary.BigEndian.AppendUint64(b, uint64(i+1)*2)
	}
	text, _ := json.Marshal(b)
	return string(text)
}

// What a worker has for other nodes, and what the cluster process tells of them,
// goes up to a bound and not beyond.
func TestBoundsOfWhatIsShared(t *testing.T) {
	const hour = time.Hour
	shared := func(inside string) string { return `{"Op":"share","Shared":{` + inside + `}}` }
	news := func(inside string) string { return `{"Op":"news","News":{` + inside + `}}` }
	secret := func(n int) string { b, _ := json.Marshal(make([]byte, n)); return string(b) }
	for _, c := range []struct {
		from       Sender
		text, want string
	}{
		{FromWorker, shared(`"First":true,"Last":true`), ""},
		{FromWorker, `{"Op":"share"}`, "it is empty"},
		{FromWorker, shared(`"Bans":` + times(MaxSharedBans, banned("192.0.2.0/24", hour))), ""},
		{FromWorker, shared(`"Bans":` + times(MaxSharedBans+1, banned("192.0.2.0/24", hour))), "bans"},
		{FromWorker, shared(`"Counts":"x"`), "not a message"},
		{FromWorker, news(``), "may not"},
		{FromCluster, shared(``), "may not"},
		{FromCluster, `{"Op":"exit"}`, "may not"},
		{FromCluster, `{"Op":"news"}`, "it is empty"},
		{FromCluster, news(``), ""},
		{FromCluster, news(`"tickets":{"current":` + secret(32) + `,"past":` + times(cluster.MaxTickets, secret(32)) + `}`), ""},
		{FromCluster, news(`"tickets":{"current":` + secret(32) + `,"past":` + times(cluster.MaxTickets+1, secret(32)) + `}`), "ticket secrets"},
		{FromCluster, news(`"tickets":{"current":` + secret(31) + `}`), "ticket secrets"},
		{FromCluster, news(`"tickets":{}`), "ticket secrets"},
		{FromCluster, news(`"tickets":{"current":` + secret(32) + `,"past":[` + secret(33) + `]}`), "ticket secrets"},
		{FromCluster, news(`"bans":` + times(2, banned("10.0.0.0/8", hour))), ""},
		{FromCluster, news(`"bans":[` + banned("10.0.0.0/7", hour) + `]`), "invalid network"},
		{FromCluster, news(`"bans":[` + banned("10.0.0.1/24", hour) + `]`), "invalid network"},
		{FromCluster, news(`"bans":[` + banned("::/0", hour) + `]`), "invalid network"},
		{FromCluster, news(`"bans":[` + banned("2001::/16", hour) + `]`), ""},
		{FromCluster, news(`"bans":[{"left":1}]`), "invalid network"},
		{FromCluster, news(`"bans":[` + banned("10.0.0.0/8", -1) + `]`), "for -1ns"},
		{FromCluster, news(`"bans":[` + banned("10.0.0.0/8", (control.MaxBan+1)*time.Second) + `]`), "for "},
		{FromCluster, news(`"lifted":["192.0.2.1/32"]`), ""},
		{FromCluster, news(`"lifted":["0.0.0.0/0"]`), "invalid network"},
		{FromCluster, news(`"others":{"processes":-1}`), "processes"},
		{FromCluster, news(`"others":{"processes":1048577}`), "processes"},
		{FromCluster, news(`"status":{"nodes":` + times(cluster.MaxNodes+1, `{}`) + `}`), "nodes"},
		{FromCluster, news(`"status":{"nodes":[{"clients":-1}]}`), "clients"},
		{FromCluster, news(`"status":{"errors":{"\u001b[2J":1}}`), "invalid name"},
		{FromCluster, news(`"status":{"sources":-1}`), "sources"},
		{FromCluster, news(`"status":{"targets":1025}`), "targets"},
		{FromCluster, news(`"others":{"targets":` + opinions(cluster.MaxTargets) + `}`), ""},
		{FromCluster, news(`"others":{"targets":` + opinions(cluster.MaxTargets+1) + `}`), "targets"},
		{FromCluster, news(`"others":{"targets":[{"id":0,"down":1,"of":1}]}`), "out of order"},
		{FromCluster, news(`"others":{"targets":[{"id":4,"down":1,"of":1},{"id":2,"down":1,"of":1}]}`), "out of order"},
		{FromCluster, news(`"others":{"targets":[{"id":2,"down":-1,"of":1}]}`), "nodes"},
		{FromCluster, news(`"others":{"targets":[{"id":2,"down":1,"of":129}]}`), "nodes"},
		{FromCluster, news(`"others":{"targets":[{"id":"\u001b[2J","down":1,"of":1}]}`), "not a message"},
		{FromWorker, shared(`"Targets":` + findings(cluster.MaxTargets)), ""},
		{FromWorker, shared(`"Targets":` + findings(cluster.MaxTargets+1)), "not a message"},
		{FromWorker, shared(`"Targets":"\u001b[2J"`), "not a message"},
		{FromWorker, shared(`"Targets":` + findings(1) + `,"Bans":[` + banned("192.0.2.0/24", hour) + `]`), "targets, and other things"},
	} {
		_, err := (&Peer{Sender: c.from}).Read([]byte(c.text))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s says %.100s: %v, want %q", c.from, c.text, err, c.want)
		}
	}
}

// All that a node can tell at once is a message, and so is all that a worker has.
func TestMostOfWhatIsShared(t *testing.T) {
	address := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(10 + i>>16), byte(i >> 8), byte(i), 1}), 32)
	}
	counts := func(n int) (list cluster.Counts) {
		for i := range n {
			list = append(list, cluster.Count{Prefix: address(i), Conns: cluster.MaxCount, Handshakes: cluster.MaxCount})
		}
		return list
	}
	bans := func(n int, node string, id cluster.BanID) (list []cluster.Ban) {
		for i := range n {
			list = append(list, cluster.Ban{Prefix: address(i), Left: cluster.MaxManualBan, Manual: true, Node: node, ID: id})
		}
		return list
	}
	all := bans(cluster.MaxTold, strings.Repeat("n", 64), cluster.BanID{Process: math.MaxUint64, Number: math.MaxUint64})
	n := &cluster.News{Bans: &all, Others: &cluster.Others{Processes: 3, Counts: counts(cluster.MaxCounts), Targets: manyOpinions(cluster.MaxTargets)}, Status: new(cluster.Status)}
	for range cluster.MaxNodes {
		n.Status.Nodes = append(n.Status.Nodes, cluster.NodeStatus{Name: strings.Repeat("n", 64), Ports: make([]string, cluster.MaxPorts)})
	}
	findings := make(cluster.Findings, cluster.MaxTargets)
	for i := range findings {
		findings[i].ID = uint64(i+1) * 2
	}
	for _, one := range []struct {
		from Sender
		Message
	}{
		{FromCluster, Message{Op: OpNews, News: n}},
		{FromWorker, Message{Op: OpShare, Shared: &Shared{First: true, Counts: counts(MaxSharedCounts), Bans: bans(MaxSharedBans, "", cluster.BanID{}), Lifted: slices.Repeat([]uint64{math.MaxUint64}, MaxSharedLifts)}}},
		{FromWorker, Message{Op: OpShare, Shared: &Shared{Targets: findings}}},
	} {
		from, m := one.from, one.Message
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > from.Longest() {
			t.Errorf("%d bytes of a %s are more than %d", len(b), from, from.Longest())
		}
		if _, err := (&Peer{Sender: from}).Read(b); err != nil {
			t.Errorf("%s: %v", from, err)
		}
	}
}

// A worker does not choose the identity of a ban.
func TestWorkersDoNotNameBans(t *testing.T) {
	m, err := (&Peer{Sender: FromWorker}).Read([]byte(`{"Op":"share","Shared":{"First":true,"Bans":[{"prefix":"10.0.0.0/8","left":1,"id":{"process":7}}]}}`))
	if err != nil || len(m.Shared.Bans) != 1 || m.Shared.Bans[0].ID != (cluster.BanID{}) {
		t.Errorf("%v: %+v", err, m.Shared)
	}
}

// Names that other nodes have are shown to people.
func TestNamesOfNodesAreText(t *testing.T) {
	m, err := (&Peer{Sender: FromCluster}).Read([]byte(`{"Op":"news","News":{"bans":[{"prefix":"10.0.0.0/8","left":1,"node":"\u001b[2J"}],"status":{"leave":{"why":"\u001b"},"name":"\u202e","nodes":[{"name":"\u001b","ports":["\u0007"]}]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := json.Marshal(m); strings.Contains(string(b), `\u001b`) || strings.Contains(string(b), `\u0007`) || strings.ContainsRune(string(b), 0x202e) {
		t.Errorf("%s", b)
	}
}
