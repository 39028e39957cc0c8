package control

import "time"

// The field names below are stable: programs read them. Times ending in
// _seconds are numbers; unknown values are null or omitted, as docs/CONTROL.md
// says.

// A Status is the state of a server.
type Status struct {
	PID         int          `json:"pid"`
	Version     string       `json:"version"`
	Type        string       `json:"type"`
	Supervisor  bool         `json:"supervisor"`
	State       string       `json:"state"` // starting, serving, reloading or ending
	Uptime      float64      `json:"uptime_seconds"`
	Clients     int          `json:"clients"`
	InHandler   int          `json:"in_handler"`
	Served      uint64       `json:"served"`
	Restarts    int          `json:"restarts"`
	Crashes     int          `json:"crashes"`
	Memory      *int64       `json:"memory_bytes"` // of all processes
	Descriptors *int         `json:"descriptors"`  // of all processes
	Handshakes  Handshakes   `json:"handshakes"`
	Generations []Generation `json:"generations"`
	Listeners   []Listener   `json:"listeners"`
	Silent      []Silent     `json:"silent"`

	Cluster *Cluster `json:"cluster,omitempty"` // with the key cluster
}

// Handshakes are the numbers of the handshake queues.
type Handshakes struct {
	Unfinished int    `json:"unfinished"`
	Waiting    int    `json:"waiting"`
	Running    int    `json:"running"`
	Sources    int    `json:"sources"`
	Shed       uint64 `json:"shed"`
}

// A Generation is the workers of one configuration.
type Generation struct {
	ID      int      `json:"generation"`
	State   string   `json:"state"` // starting, serving or ending
	Workers []Worker `json:"workers"`
}

// A Worker is a process that serves clients.
type Worker struct {
	ID          int     `json:"worker"`
	PID         int     `json:"pid"`
	State       string  `json:"state"` // starting, serving or ending
	Answers     bool    `json:"answers"`
	Uptime      float64 `json:"uptime_seconds"`
	Clients     int     `json:"clients"`
	InHandler   int     `json:"in_handler"`
	Served      uint64  `json:"served"`
	Memory      *int64  `json:"memory_bytes"`
	Descriptors *int    `json:"descriptors"`

	Signatures *Signatures `json:"signatures,omitempty"` // with key_isolation
}

// Signatures are a worker's requests to the key agent.
type Signatures struct {
	Signed  uint64 `json:"signed"`
	Refused uint64 `json:"refused"` // not part of a handshake
	Slowed  uint64 `json:"slowed"`  // delayed by the rate limit
}

// A Listener is a port and the outcomes of its clients since the start of the
// server, in all workers.
type Listener struct {
	Port     string            `json:"port"`
	Open     bool              `json:"open"`
	Outcomes map[string]uint64 `json:"outcomes"`
	Refused  map[string]uint64 `json:"refused"`
}

// A Silent is a worker that did not answer in time.
type Silent struct {
	Worker int     `json:"worker"`
	PID    int     `json:"pid"`
	For    float64 `json:"seconds"` // since the unanswered request
}

// A Client is a connected client.
type Client struct {
	ID         string    `json:"id"`
	Worker     int       `json:"worker"`
	PID        int       `json:"pid"`
	Port       string    `json:"port"`
	Peer       string    `json:"peer"`
	PeerName   string    `json:"peer_name"`
	TLS        string    `json:"tls"`
	ServerName string    `json:"server_name"`
	Stage      string    `json:"stage"`
	Doing      string    `json:"doing"`
	Since      time.Time `json:"since"`
	Connected  float64   `json:"connected_seconds"`
	In         uint64    `json:"bytes_in"`
	Out        uint64    `json:"bytes_out"`
	Idle       *float64  `json:"idle_seconds"`
}

// Conns is a list of clients.
type Conns struct {
	Clients []Client `json:"clients"`
	More    bool     `json:"more"` // there are more after the last one
	Next    string   `json:"next"` // the last one, for the next request
	Silent  []Silent `json:"silent"`
}

// A Killed is a client that ctl kill ended.
type Killed struct {
	ID string `json:"killed"`
}

// A Reload is the result of a reload, or of a dry run.
type Reload struct {
	DryRun     bool `json:"dry_run"`
	Generation int  `json:"generation"` // now serving
	Plan       Plan `json:"plan"`
}

// A Plan is the effect of a reload.
type Plan struct {
	Kept     []string `json:"kept"`
	Added    []string `json:"added"`
	Removed  []string `json:"removed"`
	Changed  []Change `json:"changed"`
	Handler  []string `json:"handler"`          // why the handler changes; empty: it stays
	Program  bool     `json:"program_replaced"` // the server's own file
	Settings []string `json:"settings"`         // other changed keys; they apply to new clients
	Stays    []string `json:"needs_start"`      // changed keys that take effect only after a restart
}

// A Change is a port whose clients are affected by a reload.
type Change struct {
	Port string `json:"port"`
	Why  string `json:"why"`
}

// A Leaving is the progress of a server that is ending.
type Leaving struct {
	Done    bool     `json:"done"`
	Elapsed float64  `json:"elapsed_seconds"` // since the server began to end
	Grace   float64  `json:"grace_seconds"`   // total grace time of clients; 0 is none
	Count   int      `json:"count"`           // remaining clients
	Clients []Client `json:"clients"`         // the first of them
	Silent  []Silent `json:"silent"`
}

// Waiting is progress before the drain of a server that is to wait for others of
// its cluster.
type Waiting struct {
	Ready   bool    `json:"others_ready"`    // it drains now
	Elapsed float64 `json:"elapsed_seconds"` // since it was asked for
	Timeout float64 `json:"timeout_seconds"`
	Why     string  `json:"why"` // it waits, and for whom
}

// Limits are the limits and their usage.
type Limits struct {
	Processes int      `json:"processes"` // that answered; the limits apply to each separately
	Limits    []Limit  `json:"limits"`
	Sources   []Source `json:"sources"`
	Silent    []Silent `json:"silent"`
}

// A Limit is one limit and its usage.
type Limit struct {
	Key     string   `json:"key"`
	Port    string   `json:"port"` // "" unless each port has it
	Unit    string   `json:"unit"`
	Value   *float64 `json:"value"` // per process; null: no limit
	Use     *float64 `json:"use"`   // total of all processes; null: not counted
	Most    *float64 `json:"most"`  // highest usage of one process
	Refused uint64   `json:"refused"`
}

// A Source is an address or network and its clients.
type Source struct {
	Network string `json:"network"`
	Clients int    `json:"clients"`
}

// Penalties is what is in the penalty boxes.
type Penalties struct {
	Boxed  []Boxed  `json:"boxed"`
	More   bool     `json:"more"` // there are others
	Silent []Silent `json:"silent"`
}

// A Boxed is a source or network in the penalty box.
type Boxed struct {
	Network   string  `json:"network"`
	Left      float64 `json:"left_seconds"` // the longest of all processes
	Offences  int     `json:"offences"`
	Processes int     `json:"processes"` // that have it in their box
}

// A Lifted is the number of entries removed from the penalty boxes.
type Lifted struct {
	Network string   `json:"network"`
	Lifted  int      `json:"lifted"`
	Silent  []Silent `json:"silent"`
}
