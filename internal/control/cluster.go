package control

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// A Cluster is the server's part in a cluster, as it knows it.
type Cluster struct {
	Name      string            `json:"name"`      // of this node
	Running   bool              `json:"running"`   // the process that shares is there
	StoreUp   bool              `json:"store_up"`  // the store answers
	Synced    bool              `json:"synced"`    // it has, since the start
	Required  bool              `json:"required"`  // the server is not ready before that
	Since     *time.Time        `json:"since"`     // StoreUp is as it is; null: it never did
	Exchanged *time.Time        `json:"exchanged"` // something was written last
	Errors    map[string]uint64 `json:"errors"`    // of the store, by kind
	Sources   int               `json:"sources"`   // that others have told of
	Bans      int               `json:"bans"`      // that others have told of
	Targets   int               `json:"targets"`   // of this server that enough others find down
	Dropped   uint64            `json:"dropped"`   // left out because of a bound
	Sent      uint64            `json:"bytes_sent"`
	Epoch     uint64            `json:"ticket_epoch"` // 0: no ticket secret is shared yet
	Nodes     []Node            `json:"nodes"`        // that live, this one first
}

// A Node is a server of the cluster.
type Node struct {
	Name     string    `json:"name"`
	Host     string    `json:"host"`
	PID      int       `json:"pid"`
	Version  string    `json:"version"`
	Ports    []string  `json:"ports"`
	Clients  int       `json:"clients"`
	State    string    `json:"state"`               // ready, starting or draining
	Since    time.Time `json:"since"`               // its start, by its own clock
	Seen     float64   `json:"seen_seconds"`        // since it was heard last
	ClockOff float64   `json:"clock_ahead_seconds"` // 0 if within two seconds
}

// The states of a Node.
const (
	NodeReady    = "ready"
	NodeStarting = "starting"
	NodeDraining = "draining"
)

// Text writes the nodes in readable form.
func (c *Cluster) Text(w io.Writer) {
	store := "the store does not answer"
	if c.StoreUp {
		store = "the store answers"
	}
	if !c.Running {
		store = "the process that shares is not running"
	}
	if c.Since != nil {
		store += ", since " + c.Since.UTC().Format(time.DateTime)
	}
	fmt.Fprintf(w, "node %s: %s; ticket epoch %d, sources of others %d, bans of others %d\n", Clean(c.Name), store, c.Epoch, c.Sources, c.Bans)
	if c.Targets > 0 {
		fmt.Fprintf(w, "targets that enough others find down: %d\n", c.Targets)
	}
	for _, kind := range slices.Sorted(maps.Keys(c.Errors)) {
		fmt.Fprintf(w, "errors: %s %d\n", Clean(kind), c.Errors[kind])
	}
	var rows [][]string
	for i := range c.Nodes {
		n := &c.Nodes[i]
		clock := ""
		if n.ClockOff != 0 {
			clock = fmt.Sprintf("%+.1fs", n.ClockOff)
		}
		rows = append(rows, []string{n.Name, cmp.Or(n.Host, "-"), fmt.Sprint(n.PID), cmp.Or(n.Version, "-"), n.State, fmt.Sprint(n.Clients),
			fmt.Sprintf("%.0fs", math.Round(n.Seen)), clock, strings.Join(n.Ports, " ")})
	}
	table(w, "NODE HOST PID VERSION STATE CLIENTS SEEN CLOCK PORTS", rows)
}
