package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"netserver"
	"netserver/cluster"
	"netserver/conf"
	"netserver/daemon/internal/serving"
	"netserver/daemon/internal/wire"
	"netserver/port"
)

// Hooks are functions that Run calls at fixed points of the program's life.
// Nil ones are skipped. Those of the supervisor run in its one loop and must
// return quickly. Without a supervisor all run in the one process, one at a
// time, in the order Bound, WorkerStart, Serving, Ending, WorkerStop, Ended.
type Hooks struct {
	// Keys defines the program's own keys beside the command's. It runs in
	// every process each time a configuration is read, and sets that process's
	// variables: the supervisor's change at a restart, a worker's never do.
	Keys func(s *conf.Set)
	// Configured runs in every process after a configuration has been read,
	// accepted and stored in s.Config: at the start before a port is opened, at
	// a restart in the process that checks the new configuration, and in each
	// worker before WorkerStart (post_configure_hook). res.Leftover has the keys
	// that nobody defined, with their places. An error rejects the
	// configuration: the server does not start, or the current one stays. A
	// server that goes into the background calls it before and after.
	Configured func(res *conf.Result) error
	// Bound runs in the supervisor when all ports are open, with the identity
	// of the start (post_bind_hook). A restart runs it again.
	Bound func(ports []port.Spec)
	// WorkerStart runs in each worker after it has dropped its privileges and
	// before it serves (child_init_hook). An error ends the start.
	WorkerStart func(ctx context.Context) error
	// Serving runs in the supervisor when all workers of a start or restart
	// serve.
	Serving func()
	// Restarting runs in the supervisor when a new configuration has been
	// accepted, before its ports are opened and its workers started.
	Restarting func()
	// RunDequeue does the work of a job, as often as Config.Jobs says
	// (run_dequeue, dequeue). It runs in a process of its own with the identity
	// of the workers, without ports, keys and clients, and with an empty standard
	// input. What it writes to os.Stdout and os.Stderr goes to the log. ctx ends
	// when the server does; after the grace time the job is killed. An error is
	// logged and changes nothing else. WorkerStart and WorkerStop do not run
	// there.
	RunDequeue func(ctx context.Context) error
	// Metrics makes what answers /metrics of the admin listener, in the process
	// that serves it; fetch returns the counters of all processes as JSON. nil
	// is none: the answer is 404. Handler of package daemon/prommetrics is one;
	// it links Prometheus's library, which package daemon does not.
	Metrics func(fetch func(context.Context) ([]byte, error)) http.Handler
	// Stores open the stores that the key cluster can name beside a directory, by
	// the scheme of their URLs; package daemon links none of them. See
	// cluster/redisstore and cluster/natsstore.
	Stores map[string]cluster.Opener
	// WorkerStop runs in each worker that ends normally, after its last client
	// (child_finish_hook).
	WorkerStop func()
	// Ending runs in the supervisor before the workers are told to end
	// (pre_server_close_hook), and Ended when they have
	// (post_child_cleanup_hook).
	Ending, Ended func()
}

// Run runs s as a program: it reads the layers, stronger ones over c and
// s.Config, opens the ports, and has worker processes serve the clients, until
// a signal ends it or ctx is done, which drains. Signals, restarts and
// identities are as in the command.
//
// Workers are this program, started again with the same arguments. It must
// call Run there too, with the same s, c and h, before it does anything that
// is not for every process; Run then serves until the supervisor ends it, and
// returns. Descriptors that the program was started with, other than the first
// three, do not reach workers. All problems of the configuration are returned
// at once, before anything is started.
//
// What the program keeps in memory lives in one worker: a restart in place
// begins without it, and with PreFork and PreForkSimple each worker has its
// own. A program whose state must be one sets c.Process.Supervisor to "0",
// serves with one worker and hands its state over itself (in WorkerStop and
// WorkerStart, through a file or another service), or keeps it elsewhere.
//
// c.Server is ignored: s has it. Every program has the
// command's --help, --version and --check, which Run answers, returning nil. Run
// refuses keys that nobody defined; c.UnknownKeys leaves them over for
// h.Configured, in a program that shares its conf file or its arguments with
// other parts.
func Run(ctx context.Context, s *netserver.Server, c Config, h Hooks, layers ...conf.Layer) error {
	v := &invocation{
		argv: os.Args[1:], environ: os.Environ(), stdout: os.Stdout, stderr: os.Stderr,
		server: s, base: c, hooks: h, layers: layers,
	}
	if err := v.takePart(); err != nil {
		return err
	}
	v.signals = takeSignals(v.role())
	defer v.signals.end()
	if r := v.role(); r == wire.RoleWorker || r == wire.RoleBecome {
		if code := v.work(ctx); code != wire.ExitDone {
			return errWorker
		}
		return nil
	}
	set, conf := v.newSet()
	v.layers = set.Read(layers)
	if v.part == nil && v.asked(set) {
		return nil
	}
	code, err := v.begin(ctx, set, conf, nil)
	switch {
	case err != nil || code == wire.ExitDone:
		return err
	case conf.check.on:
		return errDenied
	}
	return errWorker
}

// asked answers --help and --version, and reports whether either was given.
func (v *invocation) asked(set *conf.Set) bool {
	for _, l := range v.layers {
		switch {
		case l.Help:
			v.printProgramHelp(set)
			return true
		case l.Version:
			printVersion(v.stdout, programName(), v.argv)
			return true
		}
	}
	return false
}

// programName is what this program is called.
func programName() string { return filepath.Base(os.Args[0]) }

// printProgramHelp prints the help of a program that uses Run.
func (v *invocation) printProgramHelp(set *conf.Set) {
	text := v.base.Usage
	if text == "" {
		text = fmt.Sprintf("Usage: %s [TYPE] [--key value | --key=value | key=value]...", programName())
	}
	fmt.Fprintf(v.stdout, "%s\n\n", strings.TrimRight(text, "\n"))
	fmt.Fprintf(v.stdout, "TYPE is one of %s.\n"+
		"Keys also come from NETSERVER_KEY in the environment and from the file of\n"+
		"--conf_file; the command line goes before the environment, and both before the\nfile.\n\n",
		strings.Join(Types(), ", "))
	// The ready handlers are the command's.
	set.Help(v.stdout, slices.DeleteFunc(set.Groups(), func(g string) bool { return g == serving.Group })...)
}

// errDenied is what Run returns where --check found that the client it was
// asked about would not be let in.
var errDenied = errors.New("the client that --check was asked about would not be let in")

// errWorker is returned when the reason has been reported elsewhere.
var errWorker = errors.New("daemon: startup failed; the log or the starting process has the reason")

// Layers returns what a command line, without the program's name, and an
// environment give, as layers for Run, which reads them with the program's own
// keys beside those of the command.
func Layers(argv, environ []string) []conf.Layer {
	set := new(conf.Set)
	new(Config).Define(set)
	argv, environ = slices.Clone(argv), slices.Clone(environ)
	return []conf.Layer{
		argsLayer(set, argv).Deferred(func(s *conf.Set) conf.Layer { return argsLayer(s, argv) }),
		set.ReadEnv(environ).Deferred(func(s *conf.Set) conf.Layer { return s.ReadEnv(environ) }),
	}
}

// argsLayer reads the command line of a program, which serves its clients
// itself.
func argsLayer(set *conf.Set, argv []string) conf.Layer {
	args := set.ReadArgs(argv, types...)
	addType(&args)
	if args.Program != nil && set.Unknown != conf.KeepUnknown {
		args.Layer.Problems = append(args.Layer.Problems, &conf.Problem{
			Origin: conf.Origin{Source: conf.SourceArgs, Line: len(argv) - len(args.Program)},
			Err:    errors.New("nothing can follow --: this program serves its clients itself"),
		})
	}
	return args.Layer
}
