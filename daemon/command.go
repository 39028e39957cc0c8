package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"netserver/conf"
	"netserver/daemon/internal/convert"
	"netserver/daemon/internal/ctl"
	"netserver/daemon/internal/help"
	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/starter"
	"netserver/daemon/internal/wire"
	"netserver/proto"
)

// A Part is what the command has from a package that daemon does not link.
type Part func(*invocation)

// WithMetrics has handler answer /metrics of the admin listener, as
// Hooks.Metrics does in a program on Run.
func WithMetrics(handler func(fetch func(context.Context) ([]byte, error)) http.Handler) Part {
	return func(v *invocation) { v.hooks.Metrics = handler }
}

// WithTop has show be netserver ctl top, as top.Run is: it shows the server that
// has the control socket anew after each interval, count times or until it is told
// to end, in the terminal that stdout is; as lines where it is none or plain is
// set. It returns when ctx ends, which is no error.
func WithTop(show func(ctx context.Context, socket string, environ []string, interval time.Duration, count int, plain bool, stdout io.Writer) error) Part {
	return func(v *invocation) { v.top = show }
}

// Command is the command netserver: it runs the command line argv (without
// the program's name) under the environment environ and returns the exit
// status: 0 done, 1 failed at run time or the client of --check denied, 2 bad
// usage or configuration. Of the
// last it writes all problems to stderr at once, one on a line.
//
// The clients are served by further processes, for which Command starts the
// program of this one again, with the same arguments. It must call Command
// there too, before it does anything else that matters.
func Command(argv, environ []string, stdout, stderr io.Writer, parts ...Part) int {
	stderr = notToClient(stderr)
	v := &invocation{argv: argv, environ: environ, stdout: stdout, stderr: stderr}
	for _, p := range parts {
		p(v)
	}
	err := v.takePart()
	if err != nil {
		return fail(stderr, err)
	}
	ctx := context.Background()
	if v.part == nil && len(argv) > 0 && argv[0] == "ctl" {
		find := func(keys []string) (string, error) { return controlSocket(keys, environ) }
		return ctl.Run(argv[1:], ctl.Caller{Find: find, Environ: environ, Top: v.top}, stdout, stderr)
	}
	if v.part == nil && len(argv) > 0 {
		switch argv[0] {
		case "convert":
			return v.convert(argv[1:])
		case "init":
			return v.initialise(argv[1:])
		}
	}
	v.signals = takeSignals(v.role())
	defer v.signals.end()
	if r := v.role(); r == wire.RoleWorker || r == wire.RoleBecome {
		return v.work(ctx)
	}
	set, c := v.newSet()
	if v.part == nil {
		argv = firstWord(argv)
		v.argv = argv
	}
	args := set.ReadArgs(argv, types...)
	switch {
	case args.Help:
		return v.printHelp(set, helpWord(argv))
	case args.Version:
		printVersion(stdout, "netserver", argv)
		return wire.ExitDone
	}
	code, err := v.begin(ctx, set, c, &args)
	var seen logging.Logged
	if errors.As(err, &seen) {
		err = nil
		if c.LogFile != "" {
			err = seen.Unwrap() // it went there alone
		}
	}
	if err != nil {
		nextSteps(err)
		fail(stderr, err)
	}
	return code
}

// nextSteps adds to problems that have no hint the command that helps.
func nextSteps(err error) {
	switch e := err.(type) {
	case *conf.Problem:
		switch {
		case e.Hint != "" || e.Origin.Source == conf.SourceEnv:
		case errors.Is(e.Err, conf.ErrUnknownKey):
			e.Hint = "netserver --help WORD finds keys by a word"
		case e.Key == "conf_file" && errors.Is(e.Err, fs.ErrNotExist):
			e.Hint = "netserver init writes a first one"
		}
	case interface{ Unwrap() []error }:
		for _, each := range e.Unwrap() {
			nextSteps(each)
		}
	}
}

// begin reads the configuration, and prints it for --check, or does what the
// role of this process is. An error that it returns has not been shown to
// anybody yet.
func (v *invocation) begin(ctx context.Context, set *conf.Set, c *Config, args *conf.Args) (int, error) {
	p, pl, err := v.start(ctx, set, c, args)
	if c.check.on && p != nil {
		for _, s := range proto.Sources(p.transports) {
			for _, w := range s.Warnings() {
				logging.PrintWarning(v.stderr, errors.New(w)) // which a start would log
			}
		}
		allowed, cerr := p.printCheck(ctx, v.stdout, p.res)
		err = errors.Join(err, cerr)
		switch {
		case err == nil && !allowed:
			return wire.ExitFailed, nil
		case err == nil:
			return wire.ExitDone, nil
		}
	}
	return v.runAs(ctx, p, pl, err)
}

// runAs does what the role of this process is, after the configuration has
// been read; err is what was wrong with that.
func (v *invocation) runAs(ctx context.Context, p *program, pl *wire.Plan, err error) (int, error) {
	if v.role() == wire.RoleCheck {
		return v.answerCheck(p, pl, err), nil
	}
	if err != nil {
		return wire.ExitUsage, v.tellFront(err)
	}
	if err := p.conf.keepToItself(); err != nil {
		return wire.ExitFailed, v.tellFront(err)
	}
	if in, _ := p.conf.inProcess(); in {
		return p.run(ctx, v.stderr, v)
	}
	if (p.conf.Process.Background || p.conf.Process.Setsid) && v.role() != wire.RoleBackground {
		return v.background(p.conf)
	}
	return v.supervise(ctx, p, pl)
}

// fail prints problems, one on a line.
func fail(stderr io.Writer, err error) int {
	logging.PrintError(stderr, err)
	return wire.ExitUsage
}

const usage = `Usage: netserver [TYPE] [--key value | --key=value | key=value]... [-- PROGRAM [ARG]...]
       netserver ctl VERB      asks a running server; see netserver ctl --help
       netserver init JOB      writes a first conf file, and certificates to try it
       netserver convert FILE  writes a conf file of stunnel or hitch as a TOML file

Listens on any number of TLS, TCP, UDP and UNIX ports at once and gives every
client to PROGRAM (its stdin and stdout are the client), to the backend of
--proxy_to, or else to an echo. Without arguments: the echo on port 20203.

TYPE is Fork (many clients at once, the default), Single (one after the other),
PreForkSimple (max_servers processes), PreFork (as many as are needed) or INET
(the client is standard input, as inetd has it). Keys also come from
NETSERVER_KEY in the environment and from the file of --conf_file; the command
line goes before the environment, and both before the file.

Signals: INT and TERM stop at once, QUIT lets clients finish for --grace
seconds, a second signal cuts them. HUP reads the configuration again and
changes over to it, and to the program's new version if there is one, without
losing a client; if something is wrong with it, nothing changes. TTIN and TTOU
add one to max_servers or take one away, USR1 opens the log file again, USR2
logs what the server is doing.

Exit status: 0 done, or stopped as asked; 1 failed at run time, or --check was
asked about a peer that no port would let in; 2 bad usage or configuration,
with a line for each problem, and nothing was started.

`

// printHelp answers --help, and the word that stands behind it.
func (v *invocation) printHelp(set *conf.Set, word string) int {
	if help.Run(v.stdout, set, usage, word) {
		return wire.ExitDone
	}
	hint := "netserver --help has the first keys, netserver --help all all of them"
	if near := conf.Nearest(word, help.Words(set)); near != "" {
		hint = "did you mean " + near + "? " + hint
	}
	return fail(v.stderr, &conf.Problem{Err: fmt.Errorf("help has nothing about %.60q", word), Hint: hint})
}

// firstWord reads a command line that begins with help or version, as some
// programs have it, as the option of that name.
func firstWord(argv []string) []string {
	if len(argv) == 0 {
		return argv
	}
	switch name, word, valued := strings.Cut(argv[0], "="); {
	case argv[0] == "help", argv[0] == "version":
		return append([]string{"--" + argv[0]}, argv[1:]...)
	case argv[0] == "-help", argv[0] == "-version", argv[0] == "-?":
		return append([]string{"--" + strings.Replace(argv[0][1:], "?", "help", 1)}, argv[1:]...)
	case valued && name == "--help":
		return append([]string{name, word}, argv[1:]...)
	}
	return argv
}

// helpWord is the word behind --help.
func helpWord(argv []string) string {
	for i, a := range argv[:len(argv)-1] {
		if a == "--help" || a == "-h" {
			return argv[i+1]
		}
	}
	return ""
}

// maxForeign bounds the conf file of another program.
const maxForeign = 1 << 20

// convert answers netserver convert FILE.
func (v *invocation) convert(args []string) int {
	if len(args) != 1 || strings.HasPrefix(args[0], "-") {
		return v.usage(args, "write netserver convert FILE >netserver.toml, with a conf file of stunnel or hitch")
	}
	f, err := os.Open(args[0])
	if err != nil {
		return fail(v.stderr, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxForeign+1))
	if err == nil && len(data) > maxForeign {
		err = fmt.Errorf("%s: larger than 1 MiB, which no conf file of stunnel or hitch is", args[0])
	}
	if err == nil {
		err = convert.Convert(v.stdout, v.stderr, args[0], data)
	}
	if err != nil {
		return fail(v.stderr, err)
	}
	return wire.ExitDone
}

// usage says how a command is written: an error, unless that was asked for.
func (v *invocation) usage(args []string, text string) int {
	if len(args) == 1 && (args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
		fmt.Fprintln(v.stdout, text)
		return wire.ExitDone
	}
	return fail(v.stderr, errors.New(text))
}

// initialise answers netserver init JOB.
func (v *invocation) initialise(args []string) int {
	job := starter.Jobs[0].Name
	if len(args) > 0 {
		job = args[0]
	}
	r, err := starter.Result{}, starter.ErrJob
	if len(args) < 2 {
		r, err = starter.Write(".", job)
	}
	if errors.Is(err, starter.ErrJob) {
		text := "write netserver init JOB in the directory where the files are to be made; JOB is"
		for i, j := range starter.Jobs {
			text += strings.Repeat(",", min(i, 1)) + fmt.Sprintf(" %s (%s)", j.Name, j.What)
		}
		return v.usage(args, text)
	}
	if err != nil {
		return fail(v.stderr, err)
	}
	fmt.Fprintf(v.stdout, "wrote %s\n\nStart it, each in a terminal of its own:\n\n", strings.Join(r.Files, ", "))
	for _, line := range append(r.Start, r.Try) {
		fmt.Fprintf(v.stdout, "    %s\n", line)
	}
	fmt.Fprintf(v.stdout, "\n%s says what it means, and what to change.\n", starter.ConfName)
	if slices.Contains(r.Files, starter.ServerName) {
		fmt.Fprintln(v.stdout, "The certificates are for development: nobody else knows their authority, and nobody\ncan sign more. They end in a year.")
	}
	return wire.ExitDone
}

// meantOtherwise puts what they are taken for before what problems with keys that
// have no effect suggest.
func meantOtherwise(problems conf.Problems) {
	names := help.OtherNames()
	for _, e := range problems {
		if p, ok := e.(*conf.Problem); ok && names[p.Key] != "" {
			p.Hint = names[p.Key] + "; or else " + p.Hint
		}
	}
}
