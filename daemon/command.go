package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"netserver/conf"
)

// The exit statuses of the command.
const (
	exitDone   = 0 // done, stopped as asked
	exitFailed = 1 // failed at run time
	exitUsage  = 2 // bad usage or configuration: nothing was started
)

// Command is the command netserver: it runs the command line argv (without
// the program's name) under the environment environ and returns the exit
// status: 0 done, 1 failed at run time, 2 bad usage or configuration. Of the
// last it writes all problems to stderr at once, one on a line.
func Command(argv, environ []string, stdout, stderr io.Writer) int {
	set := new(conf.Set)
	c := new(Config)
	c.Define(set)
	args := set.ReadArgs(argv, types...)
	switch {
	case args.Help:
		printHelp(stdout, set)
		return exitDone
	case args.Version:
		fmt.Fprintln(stdout, "netserver", Version())
		return exitDone
	}
	res, err := c.load(set, args, environ)
	if err != nil {
		return fail(stderr, err)
	}
	for _, w := range res.Warnings {
		fmt.Fprintf(stderr, "netserver: warning: %v\n", w)
	}
	p, err := c.prepare(context.Background(), res, environ)
	if c.check.on {
		if cerr := p.printCheck(context.Background(), stdout, res); cerr != nil {
			err = errors.Join(err, cerr)
		}
		if err == nil {
			return exitDone
		}
	}
	if err != nil {
		return fail(stderr, err)
	}
	return p.run(stderr)
}

// load reads every source and sets the fields of c.
func (c *Config) load(set *conf.Set, args conf.Args, environ []string) (*conf.Result, error) {
	if args.Type != "" {
		o := conf.Origin{Source: conf.SourceArgs, Line: 1}
		args.Layer.Entries = append(args.Layer.Entries, conf.Entry{
			Key: "server_type", Origin: o, Values: []conf.Value{{Text: args.Type, Origin: o}},
		})
	}
	layers := set.WithConfFile([]conf.Layer{args.Layer, set.ReadEnv(environ)})
	res, err := set.Resolve(layers...)
	if err != nil {
		return nil, err
	}
	c.Program = args.Program
	return res, nil
}

// fail prints problems, one on a line.
func fail(stderr io.Writer, err error) int {
	for _, e := range lines(err) {
		fmt.Fprintf(stderr, "netserver: %v\n", e)
	}
	return exitUsage
}

// lines takes joined errors apart: those whose text has several lines.
func lines(err error) []error {
	many, ok := err.(interface{ Unwrap() []error })
	if !ok || !strings.Contains(err.Error(), "\n") {
		return []error{err}
	}
	var all []error
	for _, e := range many.Unwrap() {
		all = append(all, lines(e)...)
	}
	return all
}

// Version returns the version that was built, or "devel".
func Version() string {
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" && b.Main.Version != "(devel)" {
		return b.Main.Version
	}
	return "devel"
}

const usage = `Usage: netserver [TYPE] [--key value | --key=value | key=value]... [-- PROGRAM [ARG]...]

Listens on any number of TLS, TCP, UDP and UNIX ports at once and gives every
client to PROGRAM (its stdin and stdout are the client), to the backend of
--proxy_to, or else to an echo. Without arguments: the echo on port 20203.

TYPE is Fork (many clients at once, the default) or Single (one after the
other). Keys also come from NETSERVER_KEY in the environment and from the file
of --conf_file; the command line goes before the environment, and both before
the file.

Signals: INT and TERM stop at once, QUIT lets clients finish for --grace
seconds; a second signal cuts them.

`

func printHelp(w io.Writer, set *conf.Set) {
	io.WriteString(w, usage)
	set.Help(w)
}
