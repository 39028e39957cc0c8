package control

import "time"

// The names of fields below are stable: programs read them. Times ending in
// _seconds are numbers; what is not known is null or left out, as
// docs/CONTROL.md says.

// A Status tells how a server is.
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

// Signatures are what a worker had its supervisor sign.
type Signatures struct {
	Signed  uint64 `json:"signed"`
	Refused uint64 `json:"refused"` // that belong to no handshake
	Slowed  uint64 `json:"slowed"`  // that had to wait, as there were too many
}

// A Listener is a port and what has become of its clients since the start of
// the server, whichever worker they had.
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
	For    float64 `json:"seconds"` // since it was asked what it has not answered
}

// A Client is one that is connected.
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
	More    bool     `json:"more"` // there are others behind the last one
	Next    string   `json:"next"` // the last one, for the next request
	Silent  []Silent `json:"silent"`
}

// A Killed is a client that was ended.
type Killed struct {
	ID string `json:"killed"`
}

// A Reload is what became, or would become, of a reload.
type Reload struct {
	DryRun     bool `json:"dry_run"`
	Generation int  `json:"generation"` // that serves now
	Plan       Plan `json:"plan"`
}

// A Plan is what a reload does.
type Plan struct {
	Kept     []string `json:"kept"`
	Added    []string `json:"added"`
	Removed  []string `json:"removed"`
	Changed  []Change `json:"changed"`
	Handler  []string `json:"handler"`          // why another handler serves; none: the same one
	Program  bool     `json:"program_replaced"` // the server's own file
	Settings []string `json:"settings"`         // other keys that differ; they hold for new clients
	Stays    []string `json:"needs_start"`      // keys that differ, but hold only after a stop and a start
}

// A Change is a port whose clients a reload concerns.
type Change struct {
	Port string `json:"port"`
	Why  string `json:"why"`
}

// A Leaving is a look at a server that is ending.
type Leaving struct {
	Done    bool     `json:"done"`
	Elapsed float64  `json:"elapsed_seconds"` // since the server is ending
	Grace   float64  `json:"grace_seconds"`   // that clients have in all; 0 is none
	Count   int      `json:"count"`           // of clients that are still here
	Clients []Client `json:"clients"`         // the first of them
	Silent  []Silent `json:"silent"`
}

// Limits are the limits and their use.
type Limits struct {
	Processes int      `json:"processes"` // that answered; each has the limits for itself
	Limits    []Limit  `json:"limits"`
	Sources   []Source `json:"sources"`
	Silent    []Silent `json:"silent"`
}

// A Limit is one of them.
type Limit struct {
	Key     string   `json:"key"`
	Port    string   `json:"port"` // "" unless each port has it
	Unit    string   `json:"unit"`
	Value   *float64 `json:"value"` // of each process; null: no limit
	Use     *float64 `json:"use"`   // of all processes together; null: not counted
	Most    *float64 `json:"most"`  // in one process
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
	Left      float64 `json:"left_seconds"` // the longest, of all processes
	Offences  int     `json:"offences"`
	Processes int     `json:"processes"` // that have it in their box
}

// A Lifted is what was taken out of the penalty boxes.
type Lifted struct {
	Network string   `json:"network"`
	Lifted  int      `json:"lifted"`
	Silent  []Silent `json:"silent"`
}
