package worker

import (
	"context"
	"log/slog"
	"net"
	"os"
	"runtime"
	"time"

	"netserver"
	"netserver/daemon/internal/clustering"
	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/handler/httpd/challenge"
	"netserver/handler/proxy"
	"netserver/internal/bridge"
	"netserver/internal/childproc"
	"netserver/internal/control"
	"netserver/internal/foreign"
	"netserver/internal/metric"
	"netserver/proto"
	"netserver/tlsparams"
	"netserver/tlsparams/outbound"
)

// Options are what a worker has from its program.
type Options struct {
	Part    *childproc.Part // what it has from its supervisor
	Environ []string
	Signals func() chan os.Signal // takes them, with those that have come since the start
	Library bool                  // a Go program's own handler serves the clients

	// The program's hooks; nil is none.
	WorkerStart func(context.Context) error
	WorkerStop  func()

	// Stores open the store of a cluster.
	Stores clustering.Stores

	// Settings reads the configuration of a plan.
	Settings func(*wire.Plan) (*Settings, error)
}

// Settings are what a worker needs of its configuration.
type Settings struct {
	Log    logging.Config
	Grace  time.Duration // as it is in force
	Passed []os.Signal   // that are for the program's own handler

	RunsProgram bool   // for each client
	HandlerName string // for people

	Landlock, Seccomp string   // "1", "0" or automatic
	LandlockWrite     []string // directories
	AbstractSockets   bool     // it connects to some

	// PaceGC sets the garbage collector for a process that serves, until stop.
	PaceGC func() (stop func())

	JobCommand []string
	JobEnviron []string
	FindJob    func() error // looks for that command
	// RunJob is what a job does that has no command.
	RunJob func(context.Context, *slog.Logger) error

	// MakeAdmin makes the server of the admin listener, which asks by talk.
	MakeAdmin func(env tlsparams.Env, talk *control.Conversation, log *slog.Logger) (*Program, error)

	// Make makes the server; exit is what a client can ask of it, and access
	// writes the access log, if there is one.
	Make func(env tlsparams.Env, maxServing int, exit func(), access func(line []byte)) (*Program, error)
}

// A Program is a server that is ready to be run.
type Program struct {
	Server      *netserver.Server
	Transports  []proto.Transport
	Outbound    []*outbound.Source // TLS to targets
	Serve       func(context.Context, []net.Listener) error
	CheckTarget func([]net.Listener) error // refuses a proxy to itself
	Backends    []*proxy.Backend           // for the control socket
	// Samples are what is counted beside the engine, for metrics.
	Samples func() []metric.Sample
	// Explain answers AskExplain. It may look up names, until ctx ends.
	Explain func(ctx context.Context, q wire.Ask) wire.Answer
	ACMEDir string             // where certificates are that were ordered; "" for none
	ACMEBy  string             // the challenge by which they are ordered
	Answers *challenge.Answers // to authorities that ask by HTTP; nil if no port can answer
	Foreign *foreign.Source    // of sockets that connect from clients' addresses
}

func (p *Program) engine() bridge.Engine { return bridge.Of(p.Server.Monitor()) }

// useOneCPU has the command's worker that serves one client at a time run on
// one processor at once: there are other workers for the others. Handing each
// client from thread to thread takes as long as serving it. GOMAXPROCS in the
// environment goes before.
func (w *worker) useOneCPU() {
	if w.init.OneCPU && !w.o.Library && os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
}
