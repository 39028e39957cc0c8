package cluster

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// These tests act as a node that was taken over: it has the key and says what it
// likes, in as many names as it likes.

// maxFromCluster is daemon/internal/wire's bound of what a cluster process says,
// which ends one that says more.
const maxFromCluster = 2 << 20

// manyCounts returns n counts that no other call for another i has.
func manyCounts(i, n int) []byte {
	list := make(Counts, n)
	for k := range list {
		at := uint32(i*n + k)
		list[k] = Count{netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(at >> 24), byte(at >> 16), byte(at >> 8), byte(at)}), 32), 5, 0}
	}
	b, _ := list.MarshalBinary()
	return b
}

func manyBans(i, n int, bits int) []byte {
	var b []byte
	for k := range n {
		at := uint32(i*n+k+1) << (32 - bits)
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(at >> 24), byte(at >> 16), byte(at >> 8), byte(at)}), bits)
		b = appendBan(b, sharedBan{banKey: banKey{p, true}, banID: banID{boot: 1, id: uint64(k + 1)}}, 48*time.Hour/2, 1)
	}
	return b
}

func TestHostileCountsAreBounded(t *testing.T) {
	n := quietNode(t, "me")
	const nodes = maxKept/maxKeptOne + 2
	for i := range nodes {
		from := quietNode(t, fmt.Sprintf("n%d", i))
		hear(t, n, from, from.memberSlot(), envelope{Member: from.memberBody()})
		for part := range maxParts {
			hear(t, n, from, slot{kind: countsAt, node: from.cfg.Name, part: part}, envelope{Counts: &countsBody{Parts: maxParts, List: manyCounts(i*maxParts+part, 3000)}})
		}
		if p := n.peers[from.cfg.Name]; p.kept() > maxKeptOne {
			t.Fatalf("%d counts of one node", p.kept())
		}
	}
	if n.kept > maxKept || len(n.tallies) > maxKept || n.kept < maxKept-maxKeptOne {
		t.Errorf("%d counts are kept, %d sums", n.kept, len(n.tallies))
	}
	if o := n.othersNews(); len(o.Counts) > MaxCounts {
		t.Errorf("%d are told", len(o.Counts))
	}
	for i := range nodes {
		n.receive(Event{Key: fmt.Sprintf("%sn%d", membersAt, i), Deleted: true})
	}
	if n.kept != 0 || len(n.tallies) != 0 {
		t.Errorf("%d counts, %d sums are left", n.kept, len(n.tallies))
	}
}

// A node can ban a great many sources, and no large part of all addresses.
func TestHostileBansAreBounded(t *testing.T) {
	n := quietNode(t, "me")
	for i := range MaxNodes - 1 {
		from := quietNode(t, fmt.Sprintf("n%d", i))
		hear(t, n, from, slot{kind: bansAt, node: from.cfg.Name}, envelope{Bans: &bansBody{Bans: append(manyBans(0, 200, 8), manyBans(i, 800, 24)...)}})
	}
	kept, wide := 0, 0
	for _, p := range n.peers {
		kept += len(p.bans)
		for k := range p.bans {
			if isWide(k.prefix) {
				wide++
			}
		}
	}
	if kept > maxBansKept || kept < maxBansKept/2 || wide > maxWide {
		t.Errorf("%d bans are kept, %d of them wide", kept, wide)
	}
	list := *n.bansNews(time.Now())
	if len(list) > MaxTold {
		t.Errorf("%d are told", len(list))
	}
	for _, b := range list {
		if b.Left > MaxManualBan {
			t.Errorf("%v for %v", b.Prefix, b.Left)
		}
	}
	// What was banned before this process began is no way round.
	n = quietNode(t, "me")
	n.watching = false
	from := quietNode(t, "me")
	from.boot = 1
	hear(t, n, from, slot{kind: bansAt, node: "me"}, envelope{Bans: &bansBody{Bans: manyBans(0, 200, 8)}})
	if len(n.box.bans) > maxWide {
		t.Errorf("%d wide bans are inherited", len(n.box.bans))
	}
}

// Lifted bans are bounded, and do not make each value dear.
func TestHostileLiftsAreBounded(t *testing.T) {
	n := quietNode(t, "me")
	for i := range MaxNodes - 1 {
		from := quietNode(t, fmt.Sprintf("n%d", i))
		var lifted []byte
		for k := range MaxLifted {
			lifted = appendLift(lifted, banID{"me", 1, uint64(i*MaxLifted + k)}, time.Hour)
		}
		hear(t, n, from, slot{kind: bansAt, node: from.cfg.Name}, envelope{Bans: &bansBody{Lifted: lifted}})
	}
	kept := 0
	for _, p := range n.peers {
		kept += len(p.lifted)
	}
	if kept != maxLiftKept {
		t.Errorf("%d are kept", kept)
	}
}

// Whatever others say, what this process tells the server is short enough to be
// heard.
func TestHostileNewsAreShort(t *testing.T) {
	n := quietNode(t, "me")
	ports := make([]string, MaxPorts)
	for i := range ports {
		ports[i] = strings.Repeat("<", maxTextLen) // six bytes each in JSON
	}
	for i := range MaxNodes - 1 {
		from := quietNode(t, fmt.Sprintf("n%d%s", i, strings.Repeat("x", 40)))
		hear(t, n, from, from.memberSlot(), envelope{Member: &memberBody{Host: strings.Repeat("&", maxHostLen), Version: strings.Repeat(">", maxTextLen), Ports: ports}})
		hear(t, n, from, slot{kind: countsAt, node: from.cfg.Name}, envelope{Counts: &countsBody{Parts: 1, List: manyCounts(i, 200)}})
		hear(t, n, from, slot{kind: bansAt, node: from.cfg.Name}, envelope{Bans: &bansBody{Bans: manyBans(i, 900, 32)}})
	}
	st := n.status(time.Now())
	news := News{Status: &st, Others: n.othersNews(), Bans: n.bansNews(time.Now())}
	for range MaxTold {
		news.Lifted = append(news.Lifted, netip.MustParsePrefix("255.255.255.255/32"))
	}
	b, err := json.Marshal(news)
	if err != nil || len(b) > maxFromCluster*9/10 || len(st.Nodes) != MaxNodes {
		t.Errorf("%d bytes of %d nodes, %v", len(b), len(st.Nodes), err)
	}
	from := quietNode(t, "long")
	before := n.errors["refused"]
	hear(t, n, from, from.memberSlot(), envelope{Member: &memberBody{Ports: []string{strings.Repeat("x", maxTextLen+1)}}})
	if n.errors["refused"] != before+1 {
		t.Error("the text of a port is taken that no node writes")
	}
}

// Nodes that come and go, whose clocks jump, or who say nonsense, fill no log.
func TestHostileNodesFillNoLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		n := quietNode(t, "me")
		n.log = slog.New(slog.NewTextHandler(&log, nil))
		for i := range 500 {
			from := quietNode(t, fmt.Sprintf("n%d", i%MaxNodes))
			hear(t, n, from, from.memberSlot(), envelope{Member: from.memberBody()})
			hear(t, n, from, slot{kind: bansAt, node: from.cfg.Name}, envelope{Bans: &bansBody{Bans: []byte{1}}})
			n.receive(Event{Key: membersAt + from.cfg.Name, Deleted: true})
			time.Sleep(time.Millisecond)
		}
		if lines := strings.Count(log.String(), "\n"); lines < 10 || lines > linesOnce+10 {
			t.Errorf("%d lines in half a second:\n%.1000s", lines, log.String())
		}
	})
}

// Large values come slower than small ones: a node that writes as fast as it can
// leaves others time.
func TestHostileValuesArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var p eventPace
		for range 10_000 {
			p.wait(context.Background(), 1+MaxValue/eventUnit)
		}
		if rate := 10_000 * MaxValue / time.Since(began).Seconds() / (1 << 20); rate > 10 {
			t.Errorf("%.0f MiB a second", rate)
		}
	})
}

// A node that was taken over can say of a thousand targets that they are down, in
// its own name alone, and of no more.
func TestHostileTargetsAreBounded(t *testing.T) {
	n := quietNode(t, "me")
	n.cfg.Quorum = 2
	own := make(Findings, 2*MaxTargets)
	for i := range own {
		own[i].ID = uint64(i+1) * 2
	}
	n.Report(Report{Targets: own})
	if len(n.targets.codes) != MaxTargets || n.dropped != MaxTargets {
		t.Errorf("%d targets, %d left out", len(n.targets.codes), n.dropped)
	}
	list := func(size int) []byte {
		b := []byte{findingsVersion}
		for i := range size {
			b = binary.BigEndian.AppendUint64(b, uint64(i+1)*2+1)
		}
		return b
	}
	from := quietNode(t, "liar")
	hear(t, n, from, from.memberSlot(), envelope{Member: from.memberBody()})
	at := slot{kind: targetsAt, node: "liar"}
	for name, body := range map[string]*targetsBody{
		"none": nil, "nothing": {}, "another form": {List: []byte{9}}, "half a target": {List: list(3)[:20]},
		"too many": {List: list(MaxTargets + 1)}, "much": {List: list(4 * MaxTargets)}, "twice": {List: append(list(1), list(1)[1:]...)},
		"out of order": {List: append(list(2), list(1)[1:]...)}, "up and down": {List: append(list(1), 0, 0, 0, 0, 0, 0, 0, 2)}, "zero": {List: make([]byte, 9)},
	} {
		before := n.errors["refused"]
		if hear(t, n, from, at, envelope{Targets: body}); n.errors["refused"] != before+1 || n.peers["liar"].targets.codes != nil {
			t.Errorf("%s was taken", name)
		}
	}
	refused := n.errors["refused"]
	for range 1000 { // it says so again and again
		hear(t, n, from, at, envelope{Targets: &targetsBody{list(MaxTargets)}})
	}
	if got := n.opinions(); got != nil || n.errors["refused"] != refused {
		t.Errorf("one that lies is a quorum: %v", got)
	}
	hear(t, n, from, slot{kind: targetsAt, node: "other"}, envelope{Targets: &targetsBody{list(1)}})
	if n.peers["other"] != nil || n.errors["refused"] != refused+1 {
		t.Error("it speaks in another's name")
	}
	for i := range MaxNodes {
		from := quietNode(t, fmt.Sprintf("n%d", i))
		hear(t, n, from, from.memberSlot(), envelope{Member: from.memberBody()})
		hear(t, n, from, slot{kind: targetsAt, node: from.cfg.Name}, envelope{Targets: &targetsBody{list(MaxTargets)}})
	}
	b, err := json.Marshal(News{Others: &Others{Targets: n.opinions()}})
	if got := n.opinions(); err != nil || len(got) != MaxTargets || got[0] != (Opinion{2, MaxNodes - 1, MaxNodes - 1}) || len(b) > maxFromCluster/8 {
		t.Errorf("%d opinions in %d bytes, %v", len(got), len(b), err)
	}
	n.cfg.Quorum = 0 // who does not share hears nothing
	before := n.peers["liar"].seqs[at.key()]
	hear(t, n, from, at, envelope{Targets: &targetsBody{list(1)}})
	if n.opinions() != nil || n.peers["liar"].seqs[at.key()] != before {
		t.Error("it is heard without a quorum")
	}
}
