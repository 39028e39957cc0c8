package control

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The changes of VerbTarget.
const (
	TargetAdd    = "add"
	TargetDrain  = "drain"
	TargetRemove = "remove"
)

// MaxTargets is how many targets one answer lists.
const MaxTargets = 4096

// maxTarget bounds the name of a backend and the text of a target, in bytes.
const maxTarget = 512

// Targets are the targets of backends.
type Targets struct {
	Targets []Target `json:"targets"`
	More    bool     `json:"more"` // there are others
	Silent  []Silent `json:"silent"`
}

// A Target is one address of a target, in all processes together.
type Target struct {
	Backend   string   `json:"backend"`
	Target    string   `json:"target"`  // as it is configured
	Address   string   `json:"address"` // what is connected to; "" if its name has none yet
	State     string   `json:"state"`   // up, down, drained or unknown, in the newest process
	Reason    string   `json:"reason"`  // why it is not up
	Check     string   `json:"check"`   // the last one: ok, or what failed; "" if there was none
	Weight    int      `json:"weight"`
	Max       int      `json:"max"` // clients at once, in each process; 0 is no limit
	Backup    bool     `json:"backup"`
	Since     float64  `json:"since_seconds"` // in this state
	Clients   int      `json:"clients"`
	Connected uint64   `json:"connected"`       // clients so far
	Failed    uint64   `json:"failed"`          // connections of clients that failed
	Connect   *float64 `json:"connect_seconds"` // how long connecting took of late; null: not known
	Checks    uint64   `json:"checks"`          // so far
	Faults    uint64   `json:"checks_failed"`   // of them
	Processes int      `json:"processes"`       // that have it
	Up        int      `json:"up"`              // of them, those in which it is up
}

// A TargetChanged is a change of a backend's targets.
type TargetChanged struct {
	Change    string   `json:"change"` // add, drain or remove
	Backend   string   `json:"backend"`
	Target    string   `json:"target"`
	Processes int      `json:"processes"` // in which it was made
	Silent    []Silent `json:"silent"`
}

// checkTarget checks what VerbTarget asks for.
func (r *Request) checkTarget() error {
	switch {
	case r.Change != TargetAdd && r.Change != TargetDrain && r.Change != TargetRemove:
		return fmt.Errorf("%q is not a change: it is add, drain or remove", cut(r.Change))
	case r.Backend == "" || r.Target == "":
		return errors.New("a change names a backend and a target")
	case len(r.Backend) > maxTarget || len(r.Target) > maxTarget:
		return fmt.Errorf("a name has more than %d bytes", maxTarget)
	}
	return nil
}

// Text writes the targets in readable form.
func (t *Targets) Text(w io.Writer) {
	var rows [][]string
	for _, x := range t.Targets {
		state := x.State
		switch {
		case x.Up > 0 && x.Up < x.Processes:
			state = fmt.Sprintf("up in %d of %d", x.Up, x.Processes)
		case x.Backup:
			state += ", backup"
		}
		limit := ""
		if x.Max > 0 {
			limit = strconv.Itoa(x.Max)
		}
		name := x.Target
		if x.Address != "" && !strings.HasSuffix(name, x.Address) {
			name += " (" + x.Address + ")"
		}
		rows = append(rows, []string{x.Backend, name, state, seconds(x.Since), x.Check, strconv.Itoa(x.Weight), strconv.Itoa(x.Clients), limit,
			strconv.FormatUint(x.Connected, 10), strconv.FormatUint(x.Failed, 10), known(x.Connect, seconds), x.Reason})
	}
	table(w, "BACKEND TARGET STATE FOR CHECK WEIGHT CLIENTS MAX CONNECTED FAILED CONNECT REASON", rows)
	if t.More {
		fmt.Fprintln(w, "there are more")
	}
	silentText(w, t.Silent)
}

// Text writes what was changed.
func (c *TargetChanged) Text(w io.Writer) {
	done := map[string]string{TargetAdd: "added", TargetDrain: "drained: it gets no more clients", TargetRemove: "removed"}
	fmt.Fprintf(w, "backend %s: target %s is %s, until the next reload or start (processes: %d)\n", Clean(c.Backend), Clean(c.Target), done[c.Change], c.Processes)
	silentText(w, c.Silent)
}
