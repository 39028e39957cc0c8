package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Sender is what the process at the other end of a link was started as.
type Sender uint8

const (
	FromWorker Sender = iota // serves clients
	FromJob
	FromCheck   // reads a configuration, with the supervisor's own rights
	FromAdmin   // serves the admin listener
	FromCluster // shares with other nodes
)

func (s Sender) String() string {
	return [...]string{"worker", "job", "check", "admin process", "cluster process"}[s]
}

// A Peer is what a supervisor knows of the process at the other end of a
// link, whatever that says of itself.
type Peer struct {
	Sender
	Ports int  // of its plan
	Exit  bool // its clients may end the server
	// Targets are those that its configuration names.
	Targets []TargetName
}

// A rule says who may send a message, and what of it is taken. Supervisors
// obey nothing that is not here.
type rule struct {
	from []Sender
	// take moves what the message may carry from one to the other, and says
	// which bound it breaks. What it does not move is not obeyed.
	take func(s *Peer, from, to *Message) error
}

// rules are those of each operation. One that is not here is skipped, so that
// an old supervisor can run a new program.
var rules = map[string]rule{
	OpReady:  {[]Sender{FromWorker, FromAdmin, FromCluster}, takeReady},
	OpFailed: {[]Sender{FromWorker, FromJob, FromCheck, FromAdmin, FromCluster}, takeFailed},
	OpRead:   {[]Sender{FromWorker, FromAdmin}, takeRead},
	OpLoad:   {[]Sender{FromWorker, FromAdmin}, takeLoad},
	OpExit:   {[]Sender{FromWorker}, takeExit},
	OpStatus: {[]Sender{FromWorker}, takeStatus},
	OpCounts: {[]Sender{FromWorker}, takeCounts},
	OpAnswer: {[]Sender{FromWorker}, takeAnswer},

	OpMetrics: {[]Sender{FromWorker}, takeMetrics},

	OpEcho:      {[]Sender{FromWorker}, takeNothing},
	OpDismissed: {[]Sender{FromWorker}, takeNothing},

	OpShare:  {[]Sender{FromWorker}, takeShared},
	OpStaple: {[]Sender{FromWorker}, takeStaple},
	OpNews:   {[]Sender{FromCluster}, takeNews},
	OpKept:   {[]Sender{FromCluster}, takeKept},

	OpPlan: {[]Sender{FromCheck}, takePlan},
}

// May reports whether such a process may send a message of an operation that
// this version knows.
func (s Sender) May(op string) bool { return slices.Contains(rules[op].from, s) }

// Longest returns how long a message of such a process may be.
func (s Sender) Longest() int {
	if s == FromCluster {
		return MaxFromCluster
	}
	return MaxFromWorker
}

// ErrSkip is the error of a message that this version does not know.
var ErrSkip = errors.New("unknown message")

// Read makes a message of what s sent, with nothing in it but what its rule
// takes. An error other than ErrSkip means that s does not keep to the
// protocol.
func (s *Peer) Read(b []byte) (m Message, err error) {
	var head struct{ Op string }
	if s.Sender != FromCheck { // whose maps have names that people chose
		if err := checkShape(b); err != nil {
			return m, err
		}
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return m, ErrUnreadable
	}
	r, ok := rules[head.Op]
	if !ok {
		return m, ErrSkip
	}
	if !s.May(head.Op) {
		return m, fmt.Errorf("it sent %q, which a %s may not", head.Op, s)
	}
	var got Message
	if err := json.Unmarshal(b, &got); err != nil {
		return m, fmt.Errorf("%s: %w", head.Op, ErrUnreadable)
	}
	m.Op, m.ID = head.Op, got.ID
	if err := r.take(s, &got, &m); err != nil {
		return Message{}, fmt.Errorf("%s: %w", head.Op, err)
	}
	return m, nil
}

// ErrUnreadable does not repeat what was sent, as the errors of encoding/json
// do in part.
var ErrUnreadable = errors.New("not a message of this protocol")

// The bounds of what a process says. Those of its links are in message.go.
const (
	maxLines     = 100     // of a start or its failure
	MaxLineBytes = 4 << 10 // bytes of one
	maxSandbox   = 200
	maxPathBytes = 4096
	maxText      = 512     // bytes of an address or name
	MaxTally     = 1 << 48 // of a counter
	maxAtOnce    = 1 << 31 // of what there is at a time
)

func takeReady(_ *Peer, from, to *Message) error {
	to.Echoes = from.Echoes
	to.Sandbox, to.Lines = Clean(from.Sandbox, maxSandbox), cleanLines(from.Lines)
	return nil
}

func takeFailed(_ *Peer, from, to *Message) error {
	to.Lines = cleanLines(from.Lines)
	return nil
}

func takeRead(_ *Peer, from, to *Message) error {
	to.Path, to.Dir, to.Fresh = from.Path, from.Dir, from.Fresh
	return checkPath(from.Path)
}

func takeLoad(_ *Peer, from, to *Message) error {
	to.Path, to.Key, to.Fresh, to.Have = from.Path, from.Key, from.Fresh, from.Have
	if len(from.Have) > 32 {
		return fmt.Errorf("a digest of %d bytes", len(from.Have))
	}
	return errors.Join(checkPath(from.Path), checkPath(from.Key))
}

// takeNothing is for messages that say all with their name.
func takeNothing(*Peer, *Message, *Message) error { return nil }

func takeExit(s *Peer, _, _ *Message) error {
	if !s.Exit {
		return errors.New("clients of this server may not shut it down")
	}
	return nil
}

func takeStatus(_ *Peer, from, to *Message) error {
	if from.Status == nil {
		return errors.New("it is empty")
	}
	to.Status = from.Status
	return to.Status.check()
}

func (st *Status) check() error {
	switch {
	case st.Clients < 0 || st.Clients > maxAtOnce:
		return fmt.Errorf("%d clients", st.Clients)
	case st.Serving < 0 || st.Serving > maxAtOnce:
		return fmt.Errorf("%d clients in the handler", st.Serving)
	case st.Total > MaxTally:
		return fmt.Errorf("%d clients in all", st.Total)
	}
	return nil
}

func takePlan(_ *Peer, from, to *Message) error {
	if from.Plan == nil {
		return errors.New("it contains no plan")
	}
	to.Plan, to.Contents = from.Plan, from.Contents
	return nil
}

// checkPath refuses what cannot be a file's name.
func checkPath(path string) error {
	switch {
	case len(path) > maxPathBytes:
		return fmt.Errorf("a path of %d bytes", len(path))
	case strings.IndexByte(path, 0) >= 0:
		return errors.New("a path with a NUL byte")
	}
	return nil
}

func cleanLines(list []string) []string {
	list = slices.Clone(list[:min(len(list), maxLines)])
	for i := range list {
		list[i] = Clean(list[i], MaxLineBytes)
	}
	return list
}
