package cluster

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"time"
)

// A Finding is what a node's own checks have found of a target, never what it
// has heard of others. ID tells the target: it is even, not 0, and a target has
// the same one on all nodes.
type Finding struct {
	ID   uint64
	Down bool
}

// MaxTargets bounds Findings, and what is told of others'.
const MaxTargets = 1024

// Findings are those of a node. In JSON they are a string of some eleven bytes
// each.
type Findings []Finding

// An Opinion is what other nodes have found of a target.
type Opinion struct {
	ID   uint64 `json:"id"`
	Down int    `json:"down"` // so many nodes find it down
	Of   int    `json:"of"`   // of so many that check it
}

const (
	findingsVersion = 1
	findingSize     = 8
	maxFindingsSize = 1 + MaxTargets*findingSize

	targetsAgain   = 2 * time.Second        // findings that have not changed are written again
	targetsSoonest = 200 * time.Millisecond // after the last time, those that have
	targetsTTL     = 10 * time.Second
	targetsKept    = 5 * time.Second // of others, without news of them
)

var errFindings = errors.New("not a list of findings")

// code is f in one number: IDs are even.
func (f Finding) code() uint64 {
	if f.Down {
		return f.ID | 1
	}
	return f.ID
}

// MarshalText returns f in base64, in the order of ID. An ID that is not valid
// or is there twice, and more than MaxTargets, are errors.
func (f Findings) MarshalText() ([]byte, error) {
	b, err := f.encode()
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.AppendEncode(nil, b), nil
}

func (f Findings) encode() ([]byte, error) {
	codes := make([]uint64, len(f))
	for i, one := range f {
		if codes[i] = one.code(); one.ID&1 != 0 {
			return nil, errFindings
		}
	}
	slices.Sort(codes)
	b := make([]byte, 1, 1+len(f)*findingSize)
	b[0] = findingsVersion
	for _, c := range codes {
		b = binary.BigEndian.AppendUint64(b, c)
	}
	_, err := decodeFindings(b)
	return b, err
}

// UnmarshalText reads what MarshalText wrote, and nothing else.
func (f *Findings) UnmarshalText(text []byte) error {
	if len(text) > base64.StdEncoding.EncodedLen(maxFindingsSize) {
		return errFindings
	}
	b, err := base64.StdEncoding.Strict().AppendDecode(nil, text)
	if err != nil {
		return errFindings
	}
	codes, err := decodeFindings(b)
	if err != nil {
		return err
	}
	*f = make(Findings, len(codes))
	for i, c := range codes {
		(*f)[i] = Finding{c &^ 1, c&1 != 0}
	}
	return nil
}

// decodeFindings returns the codes that b holds, in rising order, each target
// once.
func decodeFindings(b []byte) ([]uint64, error) {
	if len(b) == 0 || len(b) > maxFindingsSize || b[0] != findingsVersion || (len(b)-1)%findingSize != 0 {
		return nil, errFindings
	}
	codes := make([]uint64, 0, (len(b)-1)/findingSize)
	last := uint64(1) // so that no ID is 0
	for b = b[1:]; len(b) > 0; b = b[findingSize:] {
		c := binary.BigEndian.Uint64(b)
		if c|1 <= last {
			return nil, errFindings
		}
		last = c | 1
		codes = append(codes, c)
	}
	return codes, nil
}

// cleanFindings returns list as it may be encoded, and how many were left out.
func cleanFindings(list Findings) (clean Findings, dropped int) {
	clean = slices.Clone(list)
	slices.SortFunc(clean, func(a, b Finding) int { return cmp.Compare(a.code(), b.code()) })
	clean = slices.CompactFunc(clean, func(a, b Finding) bool { return a.ID == b.ID })
	clean = slices.DeleteFunc(clean, func(f Finding) bool { return f.ID == 0 || f.ID&1 != 0 })
	clean = clean[:min(len(clean), MaxTargets)]
	return clean, len(list) - len(clean)
}

// A targetsBody is what a node has found of all its targets.
type targetsBody struct {
	List []byte `json:"list"` // Findings in binary
}

// peerTargets are what a peer has found.
type peerTargets struct {
	codes []uint64 // in order
	at    time.Time
}

// ownTargets are what this node has found.
type ownTargets struct {
	codes  []uint64 // in order
	data   []byte   // the same, to be written
	sent   []byte   // what was written; nil if nothing
	sentAt time.Time
}

// reportTargets takes what this node has found.
func (n *Node) reportTargets(list Findings) {
	list, dropped := cleanFindings(list)
	n.dropped += uint64(dropped)
	data, err := list.encode()
	if err != nil || bytes.Equal(data, n.targets.data) {
		return
	}
	n.targets.data = data
	n.targets.codes, _ = decodeFindings(data)
	n.dirty.others = true // what others say of one that is new
}

// takeTargets takes what another node has found.
func (n *Node) takeTargets(at slot, e *envelope) error {
	if n.cfg.Quorum == 0 {
		return nil
	}
	codes, err := decodeFindings(e.Targets.List)
	if err != nil {
		return err
	}
	p, err := n.fresh(at, e)
	if err != nil {
		return err
	}
	if !n.watching { // it may be old, and comes again in two seconds
		return nil
	}
	n.replaceTargets(p, peerTargets{codes, time.Now()})
	return nil
}

func (n *Node) replaceTargets(p *peer, now peerTargets) {
	was := p.targets
	p.targets = now
	if !slices.Equal(was.codes, now.codes) {
		n.dirty.others = true
		n.wakeTeller()
	}
}

// ageTargets forgets what a peer has not told again.
func (n *Node) ageTargets(p *peer, now time.Time) {
	if at := p.targets.at; !at.IsZero() && now.Sub(at) > targetsKept {
		n.replaceTargets(p, peerTargets{})
	}
}

// opinions returns those targets of this node that at least Config.Quorum other
// nodes find down, in the order of ID.
func (n *Node) opinions() (list []Opinion) {
	if n.cfg.Quorum == 0 || len(n.targets.codes) == 0 {
		return nil
	}
	sums := make([]Opinion, len(n.targets.codes))
	for _, p := range n.peers {
		if !p.live {
			continue
		}
		rest := p.targets.codes
		for i, own := range n.targets.codes {
			for len(rest) > 0 && rest[0]|1 < own|1 {
				rest = rest[1:]
			}
			if len(rest) == 0 {
				break
			}
			if rest[0]|1 == own|1 {
				sums[i].Of++
				sums[i].Down += int(rest[0] & 1)
			}
		}
	}
	for i, own := range n.targets.codes {
		if sums[i].Down >= n.cfg.Quorum {
			sums[i].ID = own &^ 1
			list = append(list, sums[i])
		}
	}
	return list
}

// targetsDue returns what is to be written of this node's targets; nil is
// nothing.
func (n *Node) targetsDue(now time.Time) *targetsBody {
	o := &n.targets
	since := now.Sub(o.sentAt)
	empty := len(o.codes) == 0
	switch {
	case n.cfg.Quorum == 0, o.data == nil, empty && o.sent == nil:
		return nil
	case bytes.Equal(o.data, o.sent):
		if empty || since < targetsAgain {
			return nil
		}
	case since < targetsSoonest:
		return nil
	}
	return &targetsBody{o.data}
}
