package cluster

import (
	"math/rand/v2"
	"net/netip"
	"time"
)

// Bounds of what a Node takes and tells. More is left out, and counted in Status.
const (
	MaxNodes  = 128    // in one cluster
	MaxCounts = 10_000 // sources and networks in a Report, and in Others
	MaxBans   = 1000   // of one node
	MaxTold   = 4096   // bans of all other nodes together, in News
	MaxLifted = 256    // bans that a node has lifted, and that would not be over yet
	MaxPorts  = 64     // in a Report
)

// A Report is what a node shares of itself. It is plain data that can cross
// between two processes as JSON. Give one to Node.Report twice a second.
type Report struct {
	Version   string   `json:"version,omitempty"` // of the program; at most 64 bytes
	Ports     []string `json:"ports,omitempty"`   // that it serves; at most MaxPorts of 64 bytes
	Clients   int      `json:"clients,omitempty"`
	Ready     bool     `json:"ready,omitempty"`     // it takes clients
	Draining  bool     `json:"draining,omitempty"`  // it is on its way out
	Leave     uint64   `json:"leave,omitempty"`     // a number while it asks to drain when others are ready, and while it then drains; see Status.Leave
	Processes int      `json:"processes,omitempty"` // that count clients each for itself; 0 means one

	// Targets are what this node's own checks have found; they are shared with
	// Config.Quorum only.
	Targets Findings `json:"targets,omitempty"`

	// Counts are the sources and networks with the most clients.
	Counts Counts `json:"counts,omitempty"`
	// CountsSame tells that they are those of the Report before, and not given.
	CountsSame bool `json:"counts_same,omitempty"`

	// Bans are all that is in the penalty box by this node's own doing, never
	// what News brought. One that is missing is over, or was lifted by Lift.
	Bans []Ban `json:"bans,omitempty"`
	// Lifted are bans, of whichever node, that were lifted here and would not be
	// over yet. What Lift takes need not be among them, as long as the Node runs:
	// they are for the next one, which has to know. At most MaxLifted.
	Lifted []Lift `json:"lifted,omitempty"`
}

// A Ban is a source or network in the penalty box.
type Ban struct {
	Prefix netip.Prefix `json:"prefix"`
	// Left is how long it stays there.
	Left time.Duration `json:"left"`
	// Manual is true if an operator has put it there.
	Manual bool `json:"manual,omitempty"`
	// Node is the node that banned it; empty in a Report.
	Node string `json:"node,omitempty"`
	// ID tells it from a later ban of the same network by the same node. Zero in
	// a Report has the Node choose one. That is forgotten with the Node, and a lift
	// that the others then have to tell again misses what the next Node reports: so
	// whoever outlives a Node gives the ID, by NewBanID, when the ban is made.
	ID BanID `json:"id,omitzero"`
}

// A BanID is the identity of a ban among those of its node.
type BanID struct {
	Process uint64 `json:"process"` // a later one is larger
	Number  uint64 `json:"number,omitempty"`
}

// NewBanID returns the identity of a ban that is made at t. Those made later have
// larger ones; two of one moment differ.
func NewBanID(t time.Time) BanID { return BanID{Process: newBoot(t, rand.Uint64())} }

// A Lift is a ban that was lifted: see Report.Lifted.
type Lift struct {
	Node string        `json:"node"`
	ID   BanID         `json:"id"`
	Left time.Duration `json:"left"` // for which it would have been in force
}

// News is what a Node tells: what is set has changed. It is plain data, as
// Report is.
type News struct {
	Tickets *Tickets `json:"tickets,omitempty"`
	// Bans are all that is banned in the cluster, by this node too, so that a
	// worker that starts later has them. They take the place of those told
	// before, and must not be found in the next Report.
	Bans *[]Ban `json:"bans,omitempty"`
	// Lifted are to be taken out of the penalty box although they were put there
	// by this node itself: another node's operator has lifted them.
	Lifted []netip.Prefix `json:"lifted,omitempty"`
	Others *Others        `json:"others,omitempty"`
	Status *Status        `json:"status,omitempty"`
}

// Tickets are the secrets that session tickets are made with, 32 bytes each.
// Its text forms hide them; its JSON form does not.
type Tickets struct {
	Epoch   uint64   `json:"epoch"`   // of Current, to be shown
	Current []byte   `json:"current"` // seals
	Past    [][]byte `json:"past"`    // also open: those before, and the next, which a node whose clock is ahead seals with already; at most MaxTickets
}

// MaxTickets bounds Tickets.Past.
const MaxTickets = 32

// Others are the clients of the other nodes together, and what they have found of
// targets, as last heard.
type Others struct {
	// Processes is how many processes of other nodes count clients, each for
	// itself: with those of this node they share what is left below a limit.
	Processes int    `json:"processes"`
	Counts    Counts `json:"counts,omitempty"`
	// Targets are those of the last Report that at least Config.Quorum other
	// nodes find down, in the order of ID; at most MaxTargets.
	Targets []Opinion `json:"targets,omitempty"`
}

// Status is how a Node stands. It holds no secrets.
type Status struct {
	Name   string `json:"name"`
	Up     bool   `json:"up"`     // the store answers, and all in it was seen
	Synced bool   `json:"synced"` // it has been up since the start
	// Since is when Up changed; zero if it never was up.
	Since time.Time `json:"since,omitzero"`
	// Exchanged is when this node last wrote to the store.
	Exchanged time.Time         `json:"exchanged,omitzero"`
	Errors    map[string]uint64 `json:"errors,omitempty"`  // of the store by ErrorKind; "refused": values that were not believed
	Sources   int               `json:"sources,omitempty"` // sources and networks that others have told of
	Bans      int               `json:"bans,omitempty"`    // that others have told of
	Targets   int               `json:"targets,omitempty"` // of this node that Config.Quorum others find down
	Dropped   uint64            `json:"dropped,omitempty"` // counts, bans and targets left out because of a bound
	Sent      uint64            `json:"sent,omitempty"`    // bytes written to the store
	Epoch     uint64            `json:"epoch,omitempty"`   // of the tickets in use; 0 if none is shared yet
	Nodes     []NodeStatus      `json:"nodes,omitempty"`   // those that live, this one first
	Leave     *Leave            `json:"leave,omitempty"`   // what became of Report.Leave; nil: nothing yet
}

// A NodeStatus is what is known of a node.
type NodeStatus struct {
	Name     string        `json:"name"`
	Host     string        `json:"host,omitempty"`
	PID      int           `json:"pid,omitempty"`
	Version  string        `json:"version,omitempty"`
	Ports    []string      `json:"ports,omitempty"`
	Clients  int           `json:"clients"`
	Ready    bool          `json:"ready,omitempty"`
	Draining bool          `json:"draining,omitempty"`
	Since    time.Time     `json:"since,omitzero"`  // its start, by its own clock
	Seen     time.Duration `json:"seen"`            // how long ago it was heard last
	Clock    time.Duration `json:"clock,omitempty"` // how far its clock is ahead of this node's; 0 if within two seconds
}
