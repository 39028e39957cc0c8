package cluster

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// A nowhere is a Store that has nothing.
type nowhere struct{ Store }

func quietNode(t testing.TB, name string) *Node {
	t.Helper()
	keys, err := ParseKeys(fmt.Appendf(nil, "%x\n", sha256.Sum256([]byte("k"))))
	if err != nil {
		t.Fatal(err)
	}
	n, err := New(Config{Store: nowhere{}, Keys: keys, Name: name, Tell: func(News) {}})
	if err != nil {
		t.Fatal(err)
	}
	n.receive(Event{Synced: true})
	return n
}

// hear gives to n what from writes.
func hear(t testing.TB, n, from *Node, at slot, e envelope) {
	t.Helper()
	value, err := from.seal(at, e)
	if err != nil {
		t.Fatal(err)
	}
	n.receive(Event{Key: at.key(), Value: Value{Data: value, Rev: 1}})
}

// Of more nodes than there may be the first are believed. One that has gone makes
// room.
func TestNodesAreBounded(t *testing.T) {
	n := quietNode(t, "me")
	p := netip.MustParsePrefix("10.0.0.1/32")
	_, at, _ := kindOf(p)
	key := countKey{key: at}
	list, _ := Counts{{p, 2, 0}}.MarshalBinary()
	for i := range MaxNodes {
		from := quietNode(t, fmt.Sprintf("n%d", i))
		hear(t, n, from, from.memberSlot(), envelope{Member: from.memberBody()})
		hear(t, n, from, slot{kind: countsAt, node: from.cfg.Name}, envelope{Counts: &countsBody{Parts: 1, List: list}})
	}
	if nodes, _ := n.live(); nodes != MaxNodes-1 || n.tallies[key].conns != 2*(MaxNodes-1) || n.errors["refused"] != 2 {
		t.Errorf("%d nodes, %+v, refused %d", nodes, n.tallies[key], n.errors["refused"])
	}
	n.receive(Event{Key: membersAt + "n3", Deleted: true})
	from := quietNode(t, "late")
	hear(t, n, from, from.memberSlot(), envelope{Member: from.memberBody()})
	if nodes, _ := n.live(); nodes != MaxNodes-1 || n.tallies[key].conns != 2*(MaxNodes-2) {
		t.Errorf("%d nodes, %+v", nodes, n.tallies[key])
	}
}

// What is not to be believed changes nothing.
func TestWhatIsRefused(t *testing.T) {
	n, from := quietNode(t, "me"), quietNode(t, "other")
	member := from.memberSlot()
	hear(t, n, from, member, envelope{Member: from.memberBody()})
	bansSlot := slot{kind: bansAt, node: "other"}
	old, _ := from.seal(bansSlot, envelope{Bans: &bansBody{Bans: appendBan(nil, sharedBan{banKey: banKey{netip.MustParsePrefix("192.0.2.1/32"), true}, banID: banID{"other", from.boot, 1}}, time.Hour, from.boot)}})
	epoch := n.epochAt(time.Now())
	ticket := func(e uint64, length time.Duration, size int) (slot, envelope) {
		return ticketID{e, 0}.slot(), envelope{Ticket: &ticketBody{Secret: make([]byte, size), Length: int64(length / time.Second)}}
	}
	cases := []struct {
		name string
		from *Node
		at   slot
		e    envelope
	}{
		{"member of another's name", from, slot{kind: membersAt, node: "third"}, envelope{Member: from.memberBody()}},
		{"no member", from, member, envelope{}},
		{"control characters", from, member, envelope{Member: &memberBody{Version: "1\x1b[2J"}}},
		{"too many ports", from, member, envelope{Member: &memberBody{Ports: make([]string, MaxPorts+1)}}},
		{"negative", from, member, envelope{Member: &memberBody{Clients: -1}}},
		{"very many processes", from, member, envelope{Member: &memberBody{Processes: 1 << 20}}},
		{"counts that are none", from, slot{kind: countsAt, node: "other"}, envelope{Counts: &countsBody{Parts: 1, List: []byte{9}}}},
		{"a part too many", from, slot{kind: countsAt, node: "other", part: 2}, envelope{Counts: &countsBody{Parts: 2}}},
		{"bans that are none", from, bansSlot, envelope{Bans: &bansBody{Bans: []byte{1, 2, 3}}}},
	}
	for _, c := range []struct {
		name   string
		epoch  uint64
		length time.Duration
		size   int
	}{{"a secret long over", epoch - 10, DefaultEpoch, 32}, {"far ahead", epoch + 3, DefaultEpoch, 32}, {"other epochs", epoch, time.Hour, 32}, {"short", epoch, DefaultEpoch, 31}} {
		at, e := ticket(c.epoch, c.length, c.size)
		cases = append(cases, struct {
			name string
			from *Node
			at   slot
			e    envelope
		}{c.name, from, at, e})
	}
	for _, c := range cases {
		before := n.errors["refused"]
		hear(t, n, c.from, c.at, c.e)
		if n.errors["refused"] != before+1 || len(n.tickets.known) != 0 || len(n.tallies) != 0 || len(n.peers["other"].bans) != 0 || len(n.peers) != 1 {
			t.Errorf("%s was taken", c.name)
		}
	}
	refused := n.errors["refused"]
	// Moved to another key, of another cluster, of a namespace beside.
	n.receive(Event{Key: bansAt + "third", Value: Value{Data: old}})
	stranger := quietNode(t, "other")
	stranger.cfg.Namespace = "beside"
	hear(t, n, stranger, bansSlot, envelope{Bans: new(bansBody)})
	n.receive(Event{Key: bansAt + "other", Value: Value{Data: bytes.Repeat([]byte("x"), MaxValue)}})
	n.receive(Event{Key: bansAt + "other", Err: ErrValue})
	if n.errors["refused"] != refused+4 || len(n.peers["other"].bans) != 0 {
		t.Errorf("%d were refused", n.errors["refused"]-refused)
	}
	hear(t, n, from, bansSlot, envelope{Bans: new(bansBody)})
	n.receive(Event{Key: bansAt + "other", Value: Value{Data: old}}) // older than that
	if n.errors["refused"] != refused+4 || len(n.peers["other"].bans) != 0 {
		t.Error("an old value was taken")
	}
}

// Few values that could not be read are read again, and none that would not be
// taken then.
func TestUnreadTicketsAreBounded(t *testing.T) {
	n := quietNode(t, "me")
	b, epoch := &n.tickets, n.epochAt(time.Now())
	garbage := func(epoch, gen uint64) {
		n.receive(Event{Key: ticketID{epoch, gen}.slot().key(), Value: Value{Data: []byte("x"), Rev: 1}})
	}
	garbage(epoch-10, 0) // long over
	garbage(epoch+epochsAhead+1, 0)
	b.floor = map[uint64]uint64{epoch: 2}
	garbage(epoch, 1) // distrusted
	n.receive(Event{Key: n.memberSlot().key(), Err: ErrValue})
	if len(b.unread) != 0 {
		t.Errorf("%v are to be read again", b.unread)
	}
	for gen := range uint64(2 * maxUnread) {
		garbage(epoch, 2+gen)
	}
	if len(b.unread) != maxUnread {
		t.Errorf("%d values are to be read again", len(b.unread))
	}
	now := time.Now().Add(rereadEvery)
	for range maxUnread {
		if _, ok := n.nextUnread(now); !ok {
			t.Fatal("one that is due is not read again")
		}
	}
	if id, ok := n.nextUnread(now); ok {
		t.Errorf("%v is read again at once", id)
	}
	b.floor[epoch] = 1000
	if id, ok := n.nextUnread(now.Add(rereadEvery)); ok || len(b.unread) != 0 {
		t.Errorf("%v is read again, which was distrusted", id)
	}
}

// Also where the store has never told all that it has, a secret that it did tell
// ends in time.
func TestTicketsOfHalfAStoreEndInTime(t *testing.T) {
	n, from := quietNode(t, "me"), quietNode(t, "other")
	n.synced, n.up = false, false
	now := n.clock.now()
	id := ticketID{n.epochAt(now), 0}
	n.ageTickets(now)
	if len(n.tickets.known) != 0 {
		t.Error("a secret was made before it was known what there is")
	}
	secret := bytes.Repeat([]byte{1}, secretSize)
	hear(t, n, from, id.slot(), envelope{Ticket: &ticketBody{Secret: secret, Length: int64(DefaultEpoch / time.Second)}})
	for _, at := range []struct {
		after time.Duration
		old   bool
	}{{0, true}, {DefaultTicketLife, true}, {DefaultTicketLife + DefaultEpoch, false}} {
		n.ageTickets(now.Add(at.after))
		told := n.tickets.told
		if got := bytes.Equal(told.Current, secret); got != at.old || !at.old && len(told.Past) > 1 {
			t.Errorf("after %v the secret is used: %v, and others %v", at.after, got, told)
		}
	}
}

// A secret of this node's alone ends with its tickets, also if others follow it.
func TestOwnTicketsEndInTime(t *testing.T) {
	n := quietNode(t, "me")
	now := n.clock.now()
	epoch := n.epochAt(now)
	own := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, secretSize) }
	kept := func(i int) bool {
		return slices.ContainsFunc(n.tickets.own, func(o ownSecret) bool { return bytes.Equal(o.secret, own(i)) })
	}
	n.keepOwn(own(100), epoch-2, now) // its tickets end within this epoch
	for i := range 4 {
		at := now.Add(time.Duration(i) * DefaultEpoch)
		n.keepOwn(own(i), epoch+uint64(i), at)
		n.ageTickets(at.Add(time.Second))
		if !kept(i) || kept(i-2) || kept(i-3) || i > 0 && (!kept(i-1) || kept(100)) {
			t.Errorf("after %d epochs there are %d", i, len(n.tickets.own))
		}
	}
}

// Of a later version what is known is taken, and the rest skipped: no key of one
// is an error, and no field. What is older than that of the process before is not
// taken, whichever version it is of.
func TestNodeOfAnotherVersion(t *testing.T) {
	n, later := quietNode(t, "me"), quietNode(t, "other")
	ban := appendBan(nil, sharedBan{banKey: banKey{netip.MustParsePrefix("192.0.2.1/32"), true}, banID: banID{"other", later.boot, 1}}, time.Hour, later.boot)
	encoded, _ := json.Marshal(ban)
	for key, body := range map[string]string{
		"nodes/other": `"member":{"version":"2","future":[1]}`,
		"bans/other":  `"bans":{"bans":` + string(encoded) + `,"why":"x"}`,
		"future/x":    `"future":{}`,
	} {
		plain := fmt.Appendf(nil, `{"v":2,"node":"other","boot":%d,"seq":%d,"time":%d,%s,"x":{}}`, later.boot, 99, time.Now().UnixMilli(), body)
		n.receive(Event{Key: key, Value: Value{Data: n.cfg.Keys.Seal(n.cfg.Namespace, key, plain)}})
	}
	n.receive(Event{Key: "future/x", Value: Value{Data: []byte("?")}})
	p := n.peers["other"]
	if n.errors["refused"] != 0 || p == nil || p.member.Version != "2" || len(p.bans) != 1 {
		t.Errorf("refused %d, %+v", n.errors["refused"], p)
	}
	hear(t, n, later, slot{kind: bansAt, node: "other"}, envelope{Bans: new(bansBody)}) // with a lower number
	if len(p.bans) != 1 {
		t.Error("an old value was taken")
	}
	plain := fmt.Appendf(nil, `{"v":0,"node":"other","boot":%d,"seq":%d,"member":{}}`, later.boot, 100)
	n.receive(Event{Key: "nodes/other", Value: Value{Data: n.cfg.Keys.Seal(n.cfg.Namespace, "nodes/other", plain)}})
	if n.errors["refused"] != 1 || p.member.Version != "2" {
		t.Error("a value of no version was taken")
	}
}

func TestSlots(t *testing.T) {
	for key, want := range map[string]slot{
		"nodes/a.b": {kind: membersAt, node: "a.b"}, "tickets/12.3": {kind: ticketsAt, epoch: 12, gen: 3},
		"bans/a": {kind: bansAt, node: "a"}, "counts/a.b.2": {kind: countsAt, node: "a.b", part: 2},
	} {
		if got, ok := slotOf(key); !ok || got != want || got.key() != key {
			t.Errorf("%s: %+v %v", key, got, ok)
		}
	}
	for _, key := range []string{
		"nodes/", "nodes/-a", "nodes/" + strings.Repeat("a", 65), "tickets/1", "tickets/01.1", "tickets/1.+1", "tickets/1.99999999", "counts/a", "counts/a.9", "counts/.1", "x",
	} {
		if got, ok := slotOf(key); ok {
			t.Errorf("%s: %+v", key, got)
		}
	}
}

// Whatever a value contains that was sealed by somebody with the key, what a node
// makes of it stays within its bounds.
func FuzzReceive(f *testing.F) {
	boot := newBoot(time.Now(), 7)
	for key, e := range map[string]envelope{
		"nodes/a":      {Member: &memberBody{Host: "h", Ports: []string{"443/ssl"}, Clients: 3}},
		"tickets/1.0":  {Ticket: &ticketBody{Secret: make([]byte, 32), Length: 43200, Drop: true, Since: 1}},
		"bans/a":       {Bans: &bansBody{Bans: appendBan(nil, sharedBan{banKey: banKey{netip.MustParsePrefix("10.0.0.0/8"), true}}, time.Hour, 1), Lifted: appendLift(nil, banID{"b", 2, 3}, time.Hour)}},
		"counts/a.0":   {Counts: &countsBody{Parts: 1, List: []byte{1, 1, 9, 4, 0, 0, 0}}},
		"bans/me":      {Bans: &bansBody{Bans: appendBan(nil, sharedBan{banKey: banKey{netip.MustParsePrefix("2001:db8::/64"), false}}, time.Hour, 1)}},
		"counts/a.b.7": {Counts: &countsBody{Parts: 8}},
	} {
		e.V, e.Node, e.Boot, e.Seq, e.Time = 1, "a", boot, 5, time.Now().UnixMilli()
		plain, _ := json.Marshal(e)
		f.Add(key, plain, true)
		f.Add(key, plain[:len(plain)-3], false)
	}
	f.Fuzz(func(t *testing.T, key string, plain []byte, watching bool) {
		n := quietNode(t, "me")
		n.watching = watching
		if _, ok := slotOf(key); !ok {
			return
		}
		for range 2 {
			n.receive(Event{Key: key, Value: Value{Data: n.cfg.Keys.Seal(n.cfg.Namespace, key, plain)}})
		}
		n.ageTickets(n.clock.now())
		n.agePeers(time.Now())
		n.ageBans(time.Now())
		n.dirty.bans, n.dirty.others, n.dirty.status = true, true, true
		news, _ := n.news()
		if news.Bans != nil {
			for _, b := range *news.Bans {
				if b.Left > MaxManualBan || !bannable(banKey{b.Prefix, b.Manual}) || CheckName(b.Node) != nil {
					t.Errorf("%+v", b)
				}
			}
		}
		if news.Others != nil {
			if _, err := news.Others.Counts.MarshalBinary(); err != nil || news.Others.Processes > maxProcesses {
				t.Errorf("%+v: %v", news.Others, err)
			}
		}
		if len(n.peers) > 1 || len(n.tickets.known) > 3 {
			t.Errorf("%d peers, %d secrets", len(n.peers), len(n.tickets.known))
		}
		body, _ := n.ownBans(time.Now())
		if value, err := n.seal(slot{kind: bansAt, node: "me"}, envelope{Bans: body}); err != nil || len(value) > MaxValue {
			t.Errorf("%d bytes: %v", len(value), err)
		}
	})
}

// What 10,000 sources cost a node of three, the store's client aside: one
// iteration is half a second, in which a tenth of the sources has changed.
func BenchmarkExchange(b *testing.B) {
	n, from := quietNode(b, "me"), [2]*Node{quietNode(b, "x"), quietNode(b, "y")}
	list := make(Counts, MaxCounts)
	for i := range list {
		a := rand.Uint32()
		list[i] = Count{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}), 32), Conns: uint32(2 + rand.IntN(100))}
	}
	publish := func(n *Node) (events []Event) {
		for range len(list) / 10 {
			list[rand.IntN(len(list))].Conns = uint32(2 + rand.IntN(100))
		}
		n.Report(Report{Counts: slices.Clone(list)})
		for _, w := range n.countsDue(time.Now()) {
			at := slot{kind: countsAt, node: n.cfg.Name, part: w.part}
			value, err := n.seal(at, envelope{Counts: &w.body})
			if err != nil {
				b.Fatal(err)
			}
			n.sent[w.part] = sentPart{w.body.List, time.Now()}
			events = append(events, Event{Key: at.key(), Value: Value{Data: value, Rev: 1}})
		}
		return events
	}
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		b.StopTimer()
		heard := append(publish(from[0]), publish(from[1])...)
		b.StartTimer()
		for _, e := range publish(n) {
			size += len(e.Value.Data)
		}
		for _, e := range heard {
			n.receive(e)
		}
		n.othersNews()
		n.othersNews()
	}
	b.ReportMetric(float64(size)/float64(b.N), "bytes")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/0.5*100, "%CPU")
}
