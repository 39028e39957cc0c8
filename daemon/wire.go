package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"netserver/internal/proc"
)

// What a supervisor and its processes say to each other, one JSON object a
// message. A process knows the operations of its own version only; unknown
// ones are skipped, so that an old supervisor can run a new program.
const (
	// to a worker
	opIdentity = "identity" // what to become, first of all
	opInit     = "init"     // the configuration; its ports and log are the inherited files
	opLeave    = "leave"    // take no more clients; those here may stay
	opDrain    = "drain"    // take no more clients; those here have the grace time
	opStop     = "stop"     // cut everyone
	opData     = "data"     // answer to opRead and opLoad
	opFiles    = "files"    // these were changed: read them again; without any, all
	opTickets  = "tickets"  // make ticket keys of these secrets from now on
	opStatus   = "status"   // both ways: how many clients there are

	// from a worker
	opReady  = "ready"  // serving
	opFailed = "failed" // cannot serve, and why
	opRead   = "read"   // asks for the content of a file
	opLoad   = "load"   // asks for a certificate whose key the supervisor keeps
	opExit   = "exit"   // asks for the end of the server

	opEcho      = "echo"      // both ways: whether a worker still answers
	opDismissed = "dismissed" // takes no more clients: a signal ends it

	// from a check
	opPlan = "plan" // the configuration is good, and this is it
)

// The longest messages. What comes from a worker is kept short, as it meets
// strangers; what goes to it may carry a file.
const (
	maxToWorker   = 96 << 20
	maxFromWorker = 64 << 10
	maxPlan       = 32 << 20
)

// A message is one of the above, with the fields that it needs.
type message struct {
	Op       string
	ID       uint64         `json:",omitempty"`
	Identity *proc.Identity `json:",omitempty"`
	Init     *initial       `json:",omitempty"`
	Plan     *plan          `json:",omitempty"`
	Leave    *leave         `json:",omitempty"`
	Status   *status        `json:",omitempty"`
	Path     string         `json:",omitempty"`
	Paths    []string       `json:",omitempty"`
	Data     []byte         `json:",omitempty"`
	Lines    []string       `json:",omitempty"`
	Fresh    bool           `json:",omitempty"` // of opRead and opLoad: as it is now, not as it was checked
	Key      string         `json:",omitempty"` // of opLoad, beside the certificate's Path
	Have     []byte         `json:",omitempty"` // of opLoad: the digest of what is there
	Pair     *pairAnswer    `json:",omitempty"` // answer to opLoad
	Dir      bool           `json:",omitempty"` // of opRead: what is in a directory; the answer is a JSON list
	Fence    string         `json:",omitempty"` // of opReady: what restricts the worker
	Tickets  *secrets       `json:",omitempty"` // of opTickets
	// Contents, beside a plan, are of files that it names.
	Contents map[string][]byte `json:",omitempty"`
	Ask      *ask              `json:",omitempty"` // see controlwire.go
	Answer   *answer           `json:",omitempty"`
	Counts   *counts           `json:",omitempty"`
	Echoes   bool              `json:",omitempty"` // of opReady: the worker answers opEcho
	Failed   string            `json:",omitempty"` // "missing", "denied" or a text
}

// initial is what a worker starts from.
type initial struct {
	Plan       *plan
	Generation int
	Worker     int
	LogForm    string   // of the records that go to the first inherited file; see logforms.go
	Secret     []byte   // for ticket keys
	Past       [][]byte // those before, whose tickets may open
	SelfSigned []byte   // PEM: a certificate and its key, or without that if Signer is set
	Signer     bool     // the last inherited file leads to the private keys, which can sign handshakes
	SelfKey    uint32   // with Signer: by which the key of SelfSigned is known
	MaxServing int      // clients in the handler; 0 is what the configuration says
	MaxClients int      // after so many clients the worker ends; 0 is never
	Report     bool     // send a status with every change
	Follow     bool     // the supervisor follows the files of TLS
	Job        bool     // run a job instead of serving
}

// leave says who may stay.
type leave struct {
	Changed []int         // ports, by their place in the worker's plan, whose clients have Grace
	Grace   time.Duration // 0 is at once
	Spread  time.Duration // after each, over which clients are cut one after the other
	Limit   time.Duration // for all clients; 0 is none
}

// status is how busy a worker is.
type status struct {
	Clients int    // connected
	Serving int    // of these, in the handler
	Total   uint64 // that have been in the handler
	Leaving bool   // takes no more
}

func send(l *proc.Link, m message) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("message %s: %w", m.Op, err)
	}
	return l.Send(b)
}

// receive takes a message from the supervisor, or from one that was put into
// the background. No message carries files.
func receive(l *proc.Link, max int) (m message, err error) {
	b, files, err := l.Receive(max)
	closeFiles(files)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("a message that cannot be read: %w", err)
	}
	return m, nil
}

// receiveFrom takes a message from a process that the supervisor has started,
// within the bounds of what that may say.
func receiveFrom(l *proc.Link, max int, s source) (message, error) {
	b, _, err := l.Receive(max) // it takes no files
	if err != nil {
		return message{}, err
	}
	return s.read(b)
}

// failure puts the error of a file into a form that goes over a link.
func failure(err error) string {
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

// failed is the way back.
func failed(path, text string) error {
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

func closeFiles(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// The exit statuses of the command.
const (
	exitDone   = 0 // done, stopped as asked
	exitFailed = 1 // failed at run time, or the client of --check is denied
	exitUsage  = 2 // bad usage or configuration: nothing was started
)

// secrets are those of the epochs, newest first.
type secrets struct {
	Current []byte
	Past    [][]byte `json:",omitempty"`
}

// The roles of processes.
const (
	roleWorker     = "worker"     // serves clients, once it is who it is to be
	roleBecome     = "become"     // is to become somebody first
	roleCheck      = "check"      // checks the configuration for a running supervisor
	roleBackground = "background" // a supervisor that was put into the background
)

// leastTime is what they have at the least: TERM would mean nothing else.
const leastTime = time.Second

// endTime is how long a worker may take beyond the grace time, and
// startEndTime one that is starting when all are to stop at once.
const endTime = 15 * time.Second
