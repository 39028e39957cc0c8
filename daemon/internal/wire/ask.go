package wire

import (
	"errors"
	"fmt"
	"time"

	"netserver/internal/control"
)

// What a supervisor asks its workers for the control socket, and what they
// answer. The answers come from processes that meet strangers: each is bounded
// by MaxFromWorker, and nothing in them names anything but the worker's own
// clients.
const (
	OpAsk    = "ask"    // to a worker
	OpAnswer = "answer" // from it
	OpCounts = "counts" // from it: outcomes of its ports
	// OpMetrics is from it: what it has counted beside outcomes. Counters are
	// those since its start.
	OpMetrics = "metrics"
)

// What can be asked.
const (
	AskStats   = "stats"
	AskClients = "clients"
	AskClient  = "client"
	AskKill    = "kill"
	AskLimits  = "limits"
	AskBoxed   = "boxed"
	AskLift    = "lift"
	AskBan     = "ban"
	AskTargets = "targets"
	AskTarget  = "target"
	// AskMetrics has a worker send what it has counted before it answers.
	AskMetrics = "metrics"
	AskCerts   = "certs"
	AskExplain = "explain"
	// AskChallenges has a worker answer these challenges, and no others.
	AskChallenges = "challenges"
)

// An Ask is one question to a worker.
type Ask struct {
	What       string
	After      uint64      `json:",omitempty"` // of AskClients; of AskTargets, AskCerts and AskExplain: how many to leave out
	N          int         `json:",omitempty"` // of AskClients and AskLimits: at most; of AskBan: seconds
	Client     uint64      `json:",omitempty"` // of AskKill and AskClient
	Network    string      `json:",omitempty"` // of AskLift and AskBan
	Lift       uint64      `json:",omitempty"` // of AskLift: its number, for Shared.Lifted; 0 is none
	Backend    string      `json:",omitempty"` // of AskTargets: "" is all; of AskTarget
	Target     string      `json:",omitempty"` // of AskTarget
	Change     string      `json:",omitempty"` // of AskTarget: control.TargetAdd and others
	Challenges []Challenge `json:",omitempty"` // of AskChallenges
	About      *About      `json:",omitempty"` // of AskExplain
	Packed     bool        `json:",omitempty"` // of AskClients: the answer may be a Page
}

// An About is a client that is asked about.
type About struct {
	Peer string   // as control.PeerText has it
	SNI  string   `json:",omitempty"`
	ALPN []string `json:",omitempty"`
	Port string   `json:",omitempty"` // "" is all
}

// An Answer is a worker's.
type Answer struct {
	Failed     string              `json:",omitempty"`
	Count      int                 `json:",omitempty"` // of clients connected; of AskCerts and AskExplain, where the next page begins
	Clients    []control.Client    `json:",omitempty"` // ID is the client's number alone
	Page       []byte              `json:",omitempty"` // the same clients, packed: see page.go
	More       bool                `json:",omitempty"` // there are others behind the last one
	Handshakes control.Handshakes  `json:",omitzero"`
	Limits     []control.Limit     `json:",omitempty"`
	Sources    []control.Source    `json:",omitempty"`
	Boxed      []control.Boxed     `json:",omitempty"`
	Found      bool                `json:",omitempty"` // of AskKill
	Lifted     int                 `json:",omitempty"`
	Targets    []control.Target    `json:",omitempty"`
	Changed    bool                `json:",omitempty"` // of AskTarget
	Certs      []Cert              `json:",omitempty"`
	Explained  []Explained         `json:",omitempty"`
	Conn       *control.Connection `json:",omitempty"` // of AskClient; nil: there is none
}

// The bounds that keep an answer below MaxFromWorker, whatever is in it.
const (
	MaxPage      = 256      // clients, targets, certificates
	maxPageBytes = 40 << 10 // of them
	MaxLimitRows = 120
	MaxTop       = 300
	MaxBoxed     = 300
	maxName      = 253 // bytes of a name; DNS has no longer ones
)

// ErrGone is why a worker that has ended does not answer.
var ErrGone = errors.New("the worker has ended")

// A RefusedError is why a worker does not do what it is asked.
type RefusedError string

func (e RefusedError) Error() string { return string(e) }

// A SilentError is the error of a worker that does not answer.
type SilentError struct{ Since time.Duration }

func (e *SilentError) Error() string {
	return fmt.Sprintf("the worker does not answer, for %v", e.Since.Round(time.Millisecond))
}

// A Member is a process that serves clients.
type Member struct {
	ID, PID int
	Ready   bool // it can be asked
}

// Own says that c is a client of m, whatever m said.
func (m Member) Own(c control.Client) control.Client {
	c.ID, c.Worker, c.PID = fmt.Sprintf("%d.%s", m.ID, c.ID), m.ID, m.PID
	return c
}
