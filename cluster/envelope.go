package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Keys in the store. Each node writes those with its name and no others.
const (
	membersAt = "nodes/"   // NAME
	ticketsAt = "tickets/" // EPOCH.GENERATION
	bansAt    = "bans/"    // NAME
	countsAt  = "counts/"  // NAME.PART
	targetsAt = "targets/" // NAME
)

const envelopeVersion = 1

// An envelope is what is sealed. One of a later version is read as far as it is
// known: fields that are not are ignored.
type envelope struct {
	V    int    `json:"v"`
	Node string `json:"node"` // who wrote it
	Boot uint64 `json:"boot"` // of its process: begins with the time, so that a later one is larger
	Seq  uint64 `json:"seq"`  // grows with each that the process writes
	Time int64  `json:"time"` // Unix, in ms, by its clock

	Member *memberBody `json:"member,omitempty"`
	Ticket *ticketBody `json:"ticket,omitempty"`
	Bans   *bansBody   `json:"bans,omitempty"`
	Counts *countsBody `json:"counts,omitempty"`

	Targets *targetsBody `json:"targets,omitempty"`
}

// A memberBody tells of a node.
type memberBody struct {
	Host      string   `json:"host,omitempty"`
	PID       int      `json:"pid,omitempty"`
	Version   string   `json:"version,omitempty"`
	Ports     []string `json:"ports,omitempty"`
	Clients   int      `json:"clients,omitempty"`
	Ready     bool     `json:"ready,omitempty"`
	Draining  bool     `json:"draining,omitempty"`
	Processes int      `json:"processes,omitempty"`
	Since     int64    `json:"since,omitempty"` // Unix, in ms
}

// A ticketBody is a secret of an epoch. Its number and generation stand in the
// key, under which alone it can be opened.
type ticketBody struct {
	Secret []byte `json:"secret"`
	// Drop has the generations before it forgotten, and all epochs before Since.
	Drop  bool   `json:"drop,omitempty"`
	Since uint64 `json:"since,omitempty"`
	// Length is that of an epoch in seconds, which must be everybody's.
	Length int64 `json:"length"`
}

// A bansBody is all that a node has banned or lifted; see appendBans.
type bansBody struct {
	Bans   []byte `json:"bans,omitempty"`
	Lifted []byte `json:"lifted,omitempty"`
}

// A countsBody is a part of a node's counts.
type countsBody struct {
	Parts int    `json:"parts"` // how many there are
	List  []byte `json:"list"`  // Counts in binary
}

const (
	maxParts  = 8
	maxNumber = 1<<31 - 1 // of clients and process ids

	maxProcesses = 4096
	maxTextLen   = 64
	maxHostLen   = 255
)

var (
	errEnvelope = errors.New("not a value of this protocol")
	errOld      = errors.New("an old value")
)

// A slot is what a key of the store says.
type slot struct {
	kind  string // membersAt ...
	node  string
	part  int
	epoch uint64
	gen   uint64
}

// slotOf reads a key. Keys of other kinds are those of later versions.
func slotOf(key string) (p slot, ok bool) {
	for _, kind := range [...]string{membersAt, ticketsAt, bansAt, countsAt, targetsAt} {
		rest, found := strings.CutPrefix(key, kind)
		if !found {
			continue
		}
		p = slot{kind: kind, node: rest}
		switch kind {
		case ticketsAt:
			epoch, gen, _ := strings.Cut(rest, ".")
			p.node = ""
			p.epoch, ok = number(epoch, 1<<40)
			if ok {
				p.gen, ok = number(gen, maxGeneration)
			}
			return p, ok
		case countsAt:
			dot := strings.LastIndexByte(rest, '.')
			if dot < 0 {
				return p, false
			}
			n, good := number(rest[dot+1:], maxParts-1)
			p.node, p.part = rest[:dot], int(n)
			return p, good && CheckName(p.node) == nil
		}
		return p, CheckName(rest) == nil
	}
	return p, false
}

func number(s string, most uint64) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil && n <= most && strconv.FormatUint(n, 10) == s
}

func (p slot) key() string {
	switch p.kind {
	case ticketsAt:
		return ticketsAt + strconv.FormatUint(p.epoch, 10) + "." + strconv.FormatUint(p.gen, 10)
	case countsAt:
		return countsAt + p.node + "." + strconv.Itoa(p.part)
	}
	return p.kind + p.node
}

// decode reads what stood, sealed, under the key that p is of.
func decode(p slot, plain []byte) (*envelope, error) {
	e := new(envelope)
	if len(plain) > MaxValue || json.Unmarshal(plain, e) != nil {
		return nil, errEnvelope // which does not repeat what was read
	}
	if e.V < envelopeVersion || e.Seq == 0 || e.Boot == 0 || CheckName(e.Node) != nil || p.node != "" && p.node != e.Node {
		return nil, errEnvelope
	}
	if e.Time < 0 || e.Time > maxTime {
		return nil, errEnvelope
	}
	return e, e.check(p)
}

const maxTime = 1 << 43 // ms: the year 2248

func (e *envelope) check(p slot) error {
	switch p.kind {
	case membersAt:
		return e.Member.check()
	case ticketsAt:
		if t := e.Ticket; t == nil || len(t.Secret) != secretSize || t.Since > p.epoch {
			return errEnvelope
		}
	case bansAt:
		if e.Bans == nil {
			return errEnvelope
		}
	case targetsAt:
		if e.Targets == nil {
			return errEnvelope
		}
	case countsAt:
		if c := e.Counts; c == nil || c.Parts < 1 || c.Parts > maxParts || p.part >= c.Parts {
			return errEnvelope
		}
	}
	return nil
}

func (m *memberBody) check() error {
	if m == nil || len(m.Ports) > MaxPorts || len(m.Version) > maxTextLen || len(m.Host) > maxHostLen {
		return errEnvelope
	}
	for _, n := range [...]int{m.PID, m.Clients, m.Processes} {
		if n < 0 || n > maxNumber || m.Processes > maxProcesses {
			return errEnvelope
		}
	}
	for _, port := range m.Ports {
		if len(port) > maxTextLen {
			return errEnvelope
		}
	}
	for _, text := range append(slices.Clone(m.Ports), m.Version, m.Host) {
		if len(text) > maxHostLen || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return errEnvelope
		}
	}
	if m.Since < 0 || m.Since > maxTime {
		return errEnvelope
	}
	return nil
}

// seal makes the value of a key of what is in e.
func (n *Node) seal(p slot, e envelope) ([]byte, error) {
	n.mu.Lock()
	n.seq++
	e.V, e.Node, e.Boot, e.Seq, e.Time = envelopeVersion, n.cfg.Name, n.boot, n.seq, n.clock.now().UnixMilli()
	n.mu.Unlock()
	plain, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.key(), err)
	}
	return n.cfg.Keys.Seal(n.cfg.Namespace, p.key(), plain), nil
}

// open reads a value of the store.
func (n *Node) open(key string, data []byte) (slot, *envelope, error) {
	p, ok := slotOf(key)
	if !ok {
		return p, nil, nil // of a later version
	}
	plain, err := n.cfg.Keys.Open(n.cfg.Namespace, key, data)
	if err != nil {
		return p, nil, err
	}
	e, err := decode(p, plain)
	return p, e, err
}

// newBoot returns the number of a process that began at t: later ones are
// larger, and two of one moment differ.
func newBoot(t time.Time, random uint64) uint64 {
	return uint64(max(t.UnixMilli(), 1))<<20 | random&(1<<20-1)
}

// bootTime returns when a process began.
func bootTime(boot uint64) time.Time { return time.UnixMilli(int64(boot >> 20)) }
