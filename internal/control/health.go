package control

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The reasons of a Health that is not ready.
const (
	ReasonStarting = "starting" // nothing serves yet
	ReasonDraining = "draining" // the server takes no more clients
	ReasonSilent   = "silent"   // no worker answers
	ReasonCluster  = "cluster"  // its store has not answered since the start, with cluster_start refuse
)

// Health says whether the server can be given clients.
type Health struct {
	Ready    bool     `json:"ready"`
	Reason   string   `json:"reason"`   // why it is not ready; "" if it is
	State    string   `json:"state"`    // as in Status
	Answered int      `json:"answered"` // workers that answered
	Silent   []Silent `json:"silent"`
}

// HealthOf computes the health from a status.
func HealthOf(s *Status) *Health {
	h := &Health{State: s.State, Silent: s.Silent}
	for _, g := range s.Generations {
		for _, w := range g.Workers {
			if w.Answers && w.State == "serving" {
				h.Answered++
			}
		}
	}
	switch {
	case s.State == "starting":
		h.Reason = ReasonStarting
	case s.State == "ending":
		h.Reason = ReasonDraining
	case h.Answered == 0:
		h.Reason = ReasonSilent
	case s.Cluster != nil && s.Cluster.Required && !s.Cluster.Synced:
		h.Reason = ReasonCluster
	}
	h.Ready = h.Reason == ""
	return h
}

// Text writes one line.
func (h *Health) Text(w io.Writer) {
	fmt.Fprintf(w, "%s: the server is %s, workers that answer: %d\n", cmp.Or(Clean(h.Reason), "ready"), Clean(h.State), h.Answered)
	silentText(w, h.Silent)
}

// Bounds of VerbBan.
const (
	MaxBan     = 30 * 24 * 60 * 60 // seconds
	DefaultBan = 600
	// The widest networks that a ban takes: a slip must not keep everybody out.
	minBan4, minBan6 = 8, 16
)

// A Banned is what VerbBan put into the penalty boxes.
type Banned struct {
	Network   string   `json:"network"`
	Seconds   float64  `json:"seconds"`
	Processes int      `json:"processes"` // in which it was done
	Silent    []Silent `json:"silent"`
}

// Text writes what was put into the box.
func (b *Banned) Text(w io.Writer) {
	fmt.Fprintf(w, "%s: in the penalty box for %s (processes: %d)\n", Clean(b.Network), seconds(b.Seconds), b.Processes)
	silentText(w, b.Silent)
}

// checkBan checks what VerbBan asks for.
func (r *Request) checkBan() error {
	p, err := ParseNetwork(r.Network)
	if err != nil {
		return err
	}
	least := minBan6
	if p.Addr().Unmap().Is4() {
		least = minBan4
	}
	switch {
	case p.Bits() < least:
		return fmt.Errorf("%s is too wide: a network in the penalty box has at least /%d", p, least)
	case r.Seconds < 0 || r.Seconds > MaxBan:
		return fmt.Errorf("%d seconds are not between 1 and %d", r.Seconds, MaxBan)
	}
	return nil
}

// ReadOnly reports whether the verb changes nothing.
func (r *Request) ReadOnly() bool {
	switch r.Verb {
	case VerbReload, VerbDrain, VerbStop, VerbKill, VerbLift, VerbBan, VerbTarget:
		return r.DryRun
	}
	return true
}

// errNotHere is why a connection that is not the control socket's may not ask
// for something.
var errNotHere = errors.New("this cannot be asked here")

// ForAdmin returns an error unless the admin listener may ask for r: whatever
// changes nothing, but for explain, which looks up names that it is given, and, if write is set, the end of single clients and changes
// of the penalty box. Nothing else, whoever asks: that listener meets strangers.
func (r *Request) ForAdmin(write bool) error {
	switch r.Verb {
	case VerbKill, VerbLift, VerbBan:
		if write {
			return nil
		}
		return errors.New("admin_write is not set: the admin listener only shows")
	case VerbReload, VerbDrain, VerbStop, VerbTarget, VerbExplain:
		return fmt.Errorf("%s: %w", strings.ToLower(r.Verb), errNotHere)
	}
	return nil
}
