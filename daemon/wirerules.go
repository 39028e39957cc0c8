package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A sender is what the process at the other end of a link was started as.
type sender uint8

const (
	fromWorker sender = iota // serves clients
	fromJob
	fromCheck // reads a configuration, with the supervisor's own rights
)

func (s sender) String() string { return [...]string{"worker", "job", "check"}[s] }

// A source is what a supervisor knows of the process at the other end of a
// link, whatever that says of itself.
type source struct {
	sender
	ports int  // of its plan
	exit  bool // its clients may end the server
}

// A rule says who may send a message, and what of it is taken. Supervisors
// obey nothing that is not here.
type rule struct {
	from []sender
	// take moves what the message may carry from one to the other, and says
	// which bound it breaks. What it does not move is not obeyed.
	take func(s *source, from, to *message) error
}

// rules are those of each operation. One that is not here is skipped, so that
// an old supervisor can run a new program.
var rules = map[string]rule{
	opReady:  {[]sender{fromWorker}, takeReady},
	opFailed: {[]sender{fromWorker, fromJob, fromCheck}, takeFailed},
	opRead:   {[]sender{fromWorker}, takeRead},
	opLoad:   {[]sender{fromWorker}, takeLoad},
	opExit:   {[]sender{fromWorker}, takeExit},
	opStatus: {[]sender{fromWorker}, takeStatus},
	opCounts: {[]sender{fromWorker}, takeCounts},
	opAnswer: {[]sender{fromWorker}, takeAnswer},

	opEcho:      {[]sender{fromWorker}, takeNothing},
	opDismissed: {[]sender{fromWorker}, takeNothing},

	opPlan: {[]sender{fromCheck}, takePlan},
}

// errSkip is the error of a message that this version does not know.
var errSkip = errors.New("unknown message")

// read makes a message of what s sent, with nothing in it but what its rule
// takes. An error other than errSkip means that s does not keep to the
// protocol.
func (s *source) read(b []byte) (m message, err error) {
	var head struct{ Op string }
	if s.sender != fromCheck { // whose maps have names that people chose
		if err := checkShape(b); err != nil {
			return m, err
		}
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return m, errUnreadable
	}
	r, ok := rules[head.Op]
	if !ok {
		return m, errSkip
	}
	if !slices.Contains(r.from, s.sender) {
		return m, fmt.Errorf("it sent %q, which a %s may not", head.Op, s)
	}
	var got message
	if err := json.Unmarshal(b, &got); err != nil {
		return m, fmt.Errorf("%s: %w", head.Op, errUnreadable)
	}
	m.Op, m.ID = head.Op, got.ID
	if err := r.take(s, &got, &m); err != nil {
		return message{}, fmt.Errorf("%s: %w", head.Op, err)
	}
	return m, nil
}

// errUnreadable does not repeat what was sent, as the errors of encoding/json
// do in part.
var errUnreadable = errors.New("it is no message of this protocol")

// The bounds of what a process says. Those of its links are in wire.go.
const (
	maxLines     = 100     // of a start or its failure
	maxSaid      = 4 << 10 // bytes of one
	maxFence     = 200
	maxPathBytes = 4096
	maxText      = 512     // bytes of an address or name
	maxTally     = 1 << 48 // of a counter
	maxAtOnce    = 1 << 31 // of what there is at a time
)

func takeReady(_ *source, from, to *message) error {
	to.Echoes = from.Echoes
	to.Fence, to.Lines = clean(from.Fence, maxFence), cleanLines(from.Lines)
	return nil
}

func takeFailed(_ *source, from, to *message) error {
	to.Lines = cleanLines(from.Lines)
	return nil
}

func takeRead(_ *source, from, to *message) error {
	to.Path, to.Dir, to.Fresh = from.Path, from.Dir, from.Fresh
	return checkPath(from.Path)
}

func takeLoad(_ *source, from, to *message) error {
	to.Path, to.Key, to.Fresh, to.Have = from.Path, from.Key, from.Fresh, from.Have
	if len(from.Have) > 32 {
		return fmt.Errorf("a digest of %d bytes", len(from.Have))
	}
	return errors.Join(checkPath(from.Path), checkPath(from.Key))
}

// takeNothing is for messages that say all with their name.
func takeNothing(*source, *message, *message) error { return nil }

func takeExit(s *source, _, _ *message) error {
	if !s.exit {
		return errors.New("clients of this server cannot end it")
	}
	return nil
}

func takeStatus(_ *source, from, to *message) error {
	if from.Status == nil {
		return errors.New("it is empty")
	}
	to.Status = from.Status
	return to.Status.check()
}

func (st *status) check() error {
	switch {
	case st.Clients < 0 || st.Clients > maxAtOnce:
		return fmt.Errorf("%d clients", st.Clients)
	case st.Serving < 0 || st.Serving > maxAtOnce:
		return fmt.Errorf("%d clients in the handler", st.Serving)
	case st.Total > maxTally:
		return fmt.Errorf("%d clients in all", st.Total)
	}
	return nil
}

func takePlan(_ *source, from, to *message) error {
	if from.Plan == nil {
		return errors.New("there is no plan in it")
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
		list[i] = clean(list[i], maxSaid)
	}
	return list
}
