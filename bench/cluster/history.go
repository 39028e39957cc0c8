package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// An eventKind is what an event of a history is.
type eventKind int

const (
	banMade     eventKind = iota // source, at node
	banSeen                      // source, listed by node
	banGone                      // source, listed by node before, is no more
	banLifted                    // source, at node
	nodeDown                     // node is being killed
	nodeUp                       // and has served again
	sharerDown                   // the cluster process of node was killed
	workerDown                   // a worker of node was killed, between at and end
	storeSaved                   // dump
	storeLoaded                  // the store has begun anew with dump; 0 is none
	calm                         // without a fault for so long that all was written again
	cameClient                   // of node, from at to end; err is what it met
	secretsGone                  // no node opens tickets that were issued before at
	secretsBack                  // node does, for longer than it may take to hear
	ticketTried                  // issued when, offered to node at at; resumed
)

// An event is one of a history. Times are since its beginning.
type event struct {
	kind    eventKind
	at, end time.Duration
	node    int
	source  string
	dump    int
	err     string
	issued  time.Duration
	resumed bool
}

// An ending is what was found when all was healed and the nodes had had their
// time.
type ending struct {
	inForce map[string][]bool // by source: that each node refuses it
	epochs  []uint64          // of tickets, at each node
	members []string          // that each node lists
	tickets [][]bool          // that a new one of the first is resumed by the second
}

// A verdict is what is wrong with a history, and how much of it was judged.
type verdict struct {
	wrong                      []string
	bans, acknowledged, lifted int
	forgotten                  int // of them, by the store and by the node: those who had heard must know
	clients, failed            int // failed with their node
	tried, resumed             int // tickets
	unjudged                   int // old ones that were resumed by a node that could not know
}

// A claim is a ban or a lift, and who must know of it. What the store has
// acknowledged is kept by it and by the node that made it; it is forgotten when
// the one has begun with an older dump and the other was killed.
type claim struct {
	by           int
	since        time.Duration
	acknowledged bool // another node has heard of it by the store
	memory       bool // of who made it
	store        bool
	reloaded     bool         // the store has begun with a dump since
	heard        []bool       // by node, in the process that it has
	dumps        map[int]bool // that hold it
}

func (c *claim) known() bool { return c.acknowledged && (c.memory || c.store) }

// judge checks a history of so many nodes. It looks at nothing else.
func judge(nodes int, all []event, end ending) verdict {
	j := judgement{nodes: nodes, bans: make(map[string]*claim), lifts: make(map[string]*claim), weak: make([]bool, nodes), down: make([][][2]time.Duration, nodes)}
	for _, e := range all {
		j.outage(e)
	}
	for _, e := range all {
		switch e.kind {
		case cameClient:
			j.client(e)
		case secretsGone, secretsBack, ticketTried:
			j.tickets(e)
		default:
			j.claims(e)
		}
	}
	j.endOfBans(end)
	j.endOfAll(end)
	return j.verdict
}

// A judgement is a history that is being judged.
type judgement struct {
	verdict
	nodes       int
	order       []string // of bans
	bans, lifts map[string]*claim
	weak        []bool // a worker of the node was killed
	down        [][][2]time.Duration
	secrets     *claim // that those of before are gone; nil: they are not
}

const never = time.Duration(1<<63 - 1)

// outage notes when a node could not be expected to serve.
func (j *judgement) outage(e event) {
	switch d := j.down; e.kind {
	case nodeDown:
		d[e.node] = append(d[e.node], [2]time.Duration{e.at, never})
	case nodeUp:
		d[e.node][len(d[e.node])-1][1] = e.at
	case workerDown:
		d[e.node] = append(d[e.node], [2]time.Duration{e.at, e.end})
	}
}

func (j *judgement) client(e event) {
	j.clients++
	if e.err == "" {
		return
	}
	for _, d := range j.down[e.node] {
		if e.at <= d[1] && e.end >= d[0] {
			j.failed++
			return
		}
	}
	j.wrong = append(j.wrong, fmt.Sprintf("a client of node %s, which was up, failed from %v to %v: %s", nodeNames[e.node], short(e.at), short(e.end), e.err))
}

// tickets judges a ticket that was offered: one from before the secrets were given
// up must not be resumed by a node that has not begun since.
func (j *judgement) tickets(e event) {
	c := j.secrets
	switch {
	case e.kind == secretsGone:
		j.secrets = &claim{since: e.at, acknowledged: true, store: c == nil || c.store, heard: everywhere(j.nodes), dumps: make(map[int]bool)}
		if c != nil {
			j.secrets.dumps = c.dumps
		}
		return
	case e.kind == secretsBack:
		if c.store || slices.Contains(c.heard, true) {
			j.wrong = append(j.wrong, fmt.Sprintf("tickets from before the secrets were given up at %v are resumed by node %s at %v, when it had had its time", short(c.since), nodeNames[e.node], short(e.at)))
		}
		return
	}
	j.tried++
	if !e.resumed {
		return
	}
	j.resumed++
	switch {
	case c == nil || e.issued >= c.since:
	case !c.heard[e.node]:
		j.unjudged++
	default:
		j.wrong = append(j.wrong, fmt.Sprintf("a ticket of %v, from before the secrets were given up at %v, was resumed by node %s at %v", short(e.issued), short(c.since), nodeNames[e.node], short(e.at)))
	}
}

func (j *judgement) each(do func(c *claim, lift bool)) {
	for _, c := range j.bans {
		do(c, false)
	}
	for _, c := range j.lifts {
		do(c, true)
	}
	if j.secrets != nil { // the process that shares knows it
		do(j.secrets, true)
	}
}

// claims follows who knows of which ban and lift.
func (j *judgement) claims(e event) {
	switch e.kind {
	case banMade:
		j.order = append(j.order, e.source)
		j.bans[e.source] = &claim{by: e.node, since: e.at, memory: true, heard: make([]bool, j.nodes), dumps: make(map[int]bool)}
	case banLifted:
		j.lifts[e.source] = &claim{by: e.node, since: e.at, memory: true, heard: make([]bool, j.nodes), dumps: make(map[int]bool)}
	case banSeen:
		if c := j.bans[e.source]; c != nil {
			c.hears(e.node)
		}
	case banGone:
		if c := j.lifts[e.source]; c != nil {
			c.hears(e.node)
		} else {
			j.gone(e)
		}
	case nodeDown:
		j.weak[e.node] = false
		j.each(func(c *claim, _ bool) { c.forget(e.node) })
	case sharerDown: // it alone knows of lifts; of the node's own bans the workers do, unless one was killed
		j.each(func(c *claim, lift bool) {
			if lift || j.weak[e.node] || c.by != e.node {
				c.forget(e.node)
			}
		})
	case workerDown:
		j.weak[e.node] = true
	case storeSaved:
		j.each(func(c *claim, _ bool) { c.dumps[e.dump] = c.store })
	case storeLoaded:
		j.each(func(c *claim, _ bool) { c.store, c.reloaded = c.dumps[e.dump], true })
	case calm:
		j.each(func(c *claim, _ bool) {
			if c != j.secrets && c.known() {
				c.memory, c.store, c.heard = true, true, everywhere(j.nodes)
			}
		})
	}
}

// gone names a ban that a node had and has no more, with others of that moment. One
// whose process that shares was killed may have to hear of it again.
func (j *judgement) gone(e event) {
	c := j.bans[e.source]
	if c == nil || !(c.acknowledged && c.store) && !c.heard[e.node] {
		return
	}
	c.heard[e.node] = false
	head := fmt.Sprintf("at %v node %s had no more, though nobody has lifted it, the ban of ", short(e.at), nodeNames[e.node])
	if n := len(j.wrong) - 1; n >= 0 && strings.HasPrefix(j.wrong[n], head) {
		j.wrong[n] += ", " + e.source
		return
	}
	j.wrong = append(j.wrong, head+e.source)
}

// hears is that a node knows of it; one that did not make it has that from the
// store.
func (c *claim) hears(node int) {
	c.heard[node] = true
	if node != c.by && !c.acknowledged {
		c.acknowledged, c.store = true, !c.reloaded
	}
}

// forget is that a process of a node has ended.
func (c *claim) forget(node int) {
	c.heard[node] = false
	if node == c.by {
		c.memory = false
	}
}

// endOfBans judges what is in force at the end.
func (j *judgement) endOfBans(end ending) {
	for _, source := range j.order {
		ban, lift := j.bans[source], j.lifts[source]
		j.verdict.bans++
		if ban.acknowledged {
			j.acknowledged++
		}
		if lift != nil && lift.acknowledged {
			j.lifted++
		}
		must := ban
		if lift != nil {
			must = lift
		}
		if must.acknowledged && !must.known() {
			j.forgotten++
		}
		for node, refused := range end.inForce[source] {
			known := must.known() || must.acknowledged && must.heard[node]
			switch {
			case lift == nil && known && !refused:
				j.wrong = append(j.wrong, fmt.Sprintf("the ban of %s, made at node %s at %v and acknowledged, is lost at node %s", source, nodeNames[ban.by], short(ban.since), nodeNames[node]))
			case lift != nil && known && refused:
				j.wrong = append(j.wrong, fmt.Sprintf("the ban of %s, lifted at node %s at %v, is in force at node %s", source, nodeNames[lift.by], short(lift.since), nodeNames[node]))
			}
		}
	}
}

// endOfAll judges whether the nodes agree.
func (j *judgement) endOfAll(end ending) {
	for node := range end.epochs {
		if end.epochs[node] != end.epochs[0] || end.epochs[node] == 0 {
			j.wrong = append(j.wrong, fmt.Sprintf("node %s is at ticket epoch %d at the end, node %s at %d", nodeNames[node], end.epochs[node], nodeNames[0], end.epochs[0]))
		}
	}
	for node, list := range end.members {
		if list != end.members[0] {
			j.wrong = append(j.wrong, fmt.Sprintf("node %s lists the nodes %s at the end, node %s %s", nodeNames[node], list, nodeNames[0], end.members[0]))
		}
	}
	for from, row := range end.tickets {
		for to, opens := range row {
			if !opens {
				j.wrong = append(j.wrong, fmt.Sprintf("a new ticket of node %s is not opened by node %s at the end", nodeNames[from], nodeNames[to]))
			}
		}
	}
}

func short(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

func everywhere(nodes int) []bool { return slices.Repeat([]bool{true}, nodes) }
