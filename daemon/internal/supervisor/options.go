package supervisor

import (
	"context"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"time"

	"netserver/daemon/internal/acme"
	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/internal/identity"
	"netserver/port"
	"netserver/tlsparams"
)

// Options are what a supervisor has from its program, for all its life. Nil
// functions of the first group are not called; the others must be there.
type Options struct {
	Args    []string // of the command line, without the program's name
	Environ []string
	Stderr  io.Writer
	Signals chan os.Signal // with those that have come since the start
	Version string
	Library bool // a Go program's own handler serves the clients

	// The program's hooks, which the supervisor's loop calls.
	Bound                              func([]port.Spec)
	Serving, Restarting, Ending, Ended func()

	// TellFront tells the process that waits for the start how it went. It
	// returns the error if there is none to tell it to.
	TellFront func(error) error
	// TLSEnv is what the program's own code gives to the TLS of a port: the
	// hooks that matter for reading keys.
	TLSEnv func(port.Spec) tlsparams.Env
	// Settings reads the configuration that a checking process has found good.
	Settings func(*wire.Plan) (*Settings, error)
	// KeyKinds tells the keys apart whose change is seen elsewhere.
	KeyKinds func() map[string]KeyKind
	// HoldPIDFile makes the pid file, if there is to be one.
	HoldPIDFile func(*slog.Logger) (release func(), err error)
	// Admin answers the requests of the admin process that come by a connection,
	// until its end. The error is that it does not keep to the protocol.
	Admin func(ctx context.Context, log *slog.Logger, s *Controlled, c net.Conn, write bool) error
	// Cluster reads what the process that shares with other nodes starts from;
	// nil is that there is none.
	Cluster func() (*wire.Cluster, error)
	// OpenControl opens the control socket, if there is to be one.
	OpenControl func(context.Context, *slog.Logger, *Controlled) (end func(), err error)
}

// Settings are what a supervisor needs of one resolved configuration.
// Durations are as they are in force: 0 is at once, or not at all.
type Settings struct {
	Type  string // of the server
	Label string // of the program, in the log
	Log   logging.Config

	Umask    *fs.FileMode // nil is not changed
	Identity identity.Identity
	Passed   []os.Signal // sent to the workers too
	Scale    Scale

	Grace, GraceSpread time.Duration
	HUPGrace           time.Duration // 0 is until they end
	CutOnHUP           bool
	WorkerTimeout      time.Duration // 0 is not to look

	JobEvery time.Duration
	JobMax   int // there are no jobs if one of them is 0

	StrictFiles    bool
	ClientsMayExit bool // those of the echo, which has rules of its own for that

	TLS      tlsparams.Params   // of ports that say nothing else
	Outbound []tlsparams.Params // what names the files of TLS to targets
	SignRate int                // signatures a second for each worker; 0 is the key agent's default

	ACME acme.Config // which certificates are ordered

	Targets []wire.TargetName // that it names

	AtStart []FixedKey // keys that hold only from a start
}

// A FixedKey is a key that holds only from a start, and its value as a text
// that can be compared.
type FixedKey struct{ Key, Value string }

// A KeyKind says where a change of a key is seen.
type KeyKind uint8

// The kinds of keys.
const (
	OtherKey   KeyKind = iota
	HandlerKey         // another handler serves the clients
	PortKey            // in the ports that it makes
)

// hasJobs reports whether there are jobs.
func (c *Settings) hasJobs() bool { return c.JobEvery > 0 && c.JobMax > 0 }

// stderrFile returns what processes inherit as standard error.
func (o *Options) stderrFile() *os.File {
	if f, ok := o.Stderr.(*os.File); ok {
		return f
	}
	return os.Stderr
}
