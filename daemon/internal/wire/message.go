package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"netserver/cluster"
	"netserver/internal/childproc"
	"netserver/internal/identity"
	"netserver/internal/metric"
)

// What a supervisor and its processes say to each other, one JSON object a
// message. A process knows the operations of its own version only; unknown
// ones are skipped, so that an old supervisor can run a new program.
const (
	// to a worker
	OpIdentity = "identity" // what to become, first of all
	OpInit     = "init"     // the configuration; its ports and log are the inherited files
	OpLeave    = "leave"    // take no more clients; those here may stay
	OpDrain    = "drain"    // take no new clients; current ones have the grace time
	OpStop     = "stop"     // cut everyone
	OpData     = "data"     // answer to OpRead and OpLoad
	OpFiles    = "files"    // these were changed: read them again; without any, all
	OpTickets  = "tickets"  // make ticket keys of these secrets from now on
	OpStatus   = "status"   // both ways: how many clients there are

	// from a worker
	OpReady  = "ready"  // serving
	OpFailed = "failed" // cannot serve, and why
	OpRead   = "read"   // asks for the content of a file
	OpLoad   = "load"   // asks for a certificate whose key the supervisor keeps
	OpExit   = "exit"   // asks for the end of the server

	OpEcho      = "echo"      // both ways: whether a worker still answers
	OpDismissed = "dismissed" // takes no more clients: a signal ends it

	// from a check
	OpPlan = "plan" // the configuration is good, and this is it
)

// The longest messages. What comes from a worker is kept short, as it meets
// strangers; what goes to it may carry a file.
const (
	MaxToWorker   = 96 << 20
	MaxFromWorker = 64 << 10
	MaxPlan       = 32 << 20
)

// A Message is one of the above, with the fields that it needs.
type Message struct {
	Op       string
	ID       uint64             `json:",omitempty"`
	Identity *identity.Identity `json:",omitempty"`
	Init     *Start             `json:",omitempty"`
	Plan     *Plan              `json:",omitempty"`
	Leave    *Leave             `json:",omitempty"`
	Status   *Status            `json:",omitempty"`
	Path     string             `json:",omitempty"`
	Paths    []string           `json:",omitempty"`
	Data     []byte             `json:",omitempty"`
	Lines    []string           `json:",omitempty"`
	Fresh    bool               `json:",omitempty"`      // of OpRead and OpLoad: as it is now, not as it was checked
	Key      string             `json:",omitempty"`      // of OpLoad, beside the certificate's Path
	Have     []byte             `json:",omitempty"`      // of OpLoad: the digest of what is there
	Pair     *PairAnswer        `json:",omitempty"`      // answer to OpLoad
	Dir      bool               `json:",omitempty"`      // of OpRead: what is in a directory; the answer is a JSON list
	Sandbox  string             `json:"Fence,omitempty"` // of OpReady: what restricts the worker
	Tickets  *Secrets           `json:",omitempty"`      // of OpTickets
	// Contents, beside a plan, are of files that it names.
	Contents map[string][]byte `json:",omitempty"`
	Ask      *Ask              `json:",omitempty"` // see ask.go
	Answer   *Answer           `json:",omitempty"`
	Counts   *Counts           `json:",omitempty"`
	Metrics  []metric.Sample   `json:",omitempty"` // of OpMetrics
	Shared   *Shared           `json:",omitempty"` // of OpShare; see cluster.go
	Report   *cluster.Report   `json:",omitempty"`
	News     *cluster.News     `json:",omitempty"`
	Network  string            `json:",omitempty"` // of OpLifted
	Keep     *Keep             `json:",omitempty"` // see keep.go
	Kept     *Kept             `json:",omitempty"`
	Echoes   bool              `json:",omitempty"` // of OpReady: the worker answers OpEcho
	Failed   string            `json:",omitempty"` // "missing", "denied" or a text
}

// A Start is what a worker or a job starts from.
type Start struct {
	Plan       *Plan
	Generation int
	Worker     int
	LogForm    string        // of the records that go to the first inherited file
	Secret     []byte        // for ticket keys
	Past       [][]byte      // those before, whose tickets may open
	SelfSigned []byte        // PEM: a certificate and its key, or without that if Signer is set
	Foreign    bool          // the last inherited file, before that of Signer, leads to who makes sockets with foreign addresses
	Signer     bool          // the last inherited file leads to the private keys, which can sign handshakes
	SelfKey    uint32        // with Signer: by which the key of SelfSigned is known
	MaxServing int           // clients in the handler; 0 is what the configuration says
	MaxClients int           // after so many clients the worker ends; 0 is never
	Report     bool          // send a status soon after each change
	OneCPU     bool          // it serves one client at a time, and there may be a worker for each processor
	Follow     bool          // the supervisor follows the files of TLS
	Job        bool          // run a job instead of serving
	Challenges []Challenge   `json:",omitempty"` // of certificate authorities, which it answers
	Admin      *Admin        `json:",omitempty"` // serve the admin listener instead; the first inherited files after that of the log are its socket and Talks ways to the control protocol
	Talks      int           `json:",omitempty"`
	Cluster    *Cluster      `json:",omitempty"` // share with other nodes instead
	Shares     bool          `json:",omitempty"` // tell what there is for other nodes
	Quorum     bool          `json:",omitempty"` // and what checks of targets have found, and heed what others have
	News       *cluster.News `json:",omitempty"` // of other nodes, as last heard
}

// Leave says who may stay.
type Leave struct {
	Changed []int         // ports, by their place in the worker's plan, whose clients have Grace
	Grace   time.Duration // 0 is at once
	Spread  time.Duration // after each, over which clients are cut one after the other
	Limit   time.Duration // for all clients; 0 is none
}

// Status is how busy a worker is.
type Status struct {
	Clients int    // connected
	Serving int    // of these, in the handler
	Total   uint64 // that have been in the handler
	Leaving bool   // takes no more
}

func Send(l *childproc.Link, m Message) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("message %s: %w", m.Op, err)
	}
	return l.Send(b)
}

// Receive takes a message from the supervisor, or from one that was put into
// the background. No message carries files.
func Receive(l *childproc.Link, max int) (m Message, err error) {
	b, files, err := l.Receive(max)
	CloseFiles(files)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("a message that cannot be read: %w", err)
	}
	return m, nil
}

// ReceiveFrom takes a message from a process that the supervisor has started,
// within the bounds of what that may say.
func ReceiveFrom(l *childproc.Link, max int, s Peer) (Message, error) {
	b, _, err := l.Receive(max) // it takes no files
	if err != nil {
		return Message{}, err
	}
	return s.Read(b)
}

// FailureText puts the error of a file into a form that goes over a link.
func FailureText(err error) string {
	var pe *fs.PathError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, fs.ErrNotExist):
		return "missing"
	case errors.Is(err, fs.ErrPermission):
		return "denied"
	case errors.As(err, &pe):
		return pe.Err.Error()
	}
	return err.Error()
}

// FileError is the way back from FailureText.
func FileError(path, text string) error {
	var err error
	switch text {
	case "":
		return nil
	case "missing":
		err = fs.ErrNotExist
	case "denied":
		err = fs.ErrPermission
	default:
		err = errors.New(text)
	}
	return &fs.PathError{Op: "open", Path: path, Err: err}
}

// CloseFiles closes files that came with a message or are handed on.
func CloseFiles(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// GraceText says in words how long clients have.
func GraceText(d time.Duration) string {
	if d > 0 {
		return d.String()
	}
	return "no time"
}

// The exit statuses of the command.
const (
	ExitDone   = 0 // done, stopped as asked
	ExitFailed = 1 // failed at run time, or the client of --check is denied
	ExitUsage  = 2 // bad usage or configuration: nothing was started
)

// Secrets are what ticket keys are made from, newest first.
type Secrets struct {
	Current []byte
	Past    [][]byte `json:",omitempty"`
}

// The roles of processes.
const (
	RoleWorker     = "worker"     // serves clients, once it is who it is to be
	RoleBecome     = "become"     // is to become somebody first
	RoleCheck      = "check"      // checks the configuration for a running supervisor
	RoleBackground = "background" // a supervisor that was put into the background
)

const (
	// EndTime is how long a worker may take beyond the grace time.
	EndTime = 15 * time.Second
	// LeastTime is what a job has from TERM to KILL at the least: TERM would
	// mean nothing else.
	LeastTime = time.Second
)
