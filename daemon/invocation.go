package daemon

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"netserver"
	"netserver/conf"
	"netserver/daemon/internal/clustering"
	"netserver/daemon/internal/convert"
	"netserver/daemon/internal/ctl"
	"netserver/daemon/internal/help"
	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/serving"
	"netserver/daemon/internal/wire"
	"netserver/internal/childproc"
	"netserver/internal/descriptors"
	"netserver/internal/sandbox"
	"netserver/tlsparams"
)

// An invocation says how this process was started and what it has to do. It
// does not change.
type invocation struct {
	argv    []string // without the program's name
	environ []string
	stdout  io.Writer
	stderr  io.Writer
	part    *childproc.Part // nil unless a supervisor, or the front of one, started this process
	signals *earlySignals
	top     ctl.Viewer // of the command; nil: it has none

	// Of Run; zero for the command.
	server *netserver.Server
	base   Config
	hooks  Hooks
	layers []conf.Layer
}

func (v *invocation) role() string {
	if v.part == nil {
		return ""
	}
	return v.part.Role
}

// takePart takes what this process inherited from its parent, and keeps
// everything else that it has from the processes that it starts.
func (v *invocation) takePart() (err error) {
	descriptors.CloseInherited()
	if err := childproc.TakeZone(); err != nil {
		return err
	}
	if v.part, err = childproc.TakePart(); err != nil {
		return err
	}
	if v.part == nil || v.role() == wire.RoleBackground {
		return nil
	}
	return sandbox.KeepToItself()
}

// keepToItself protects a process that keeps its identity: programs of the same
// user could take its sockets and keys.
func (c *Config) keepToItself() error {
	if !c.services.RunPrograms() && len(c.Jobs.Command) == 0 {
		return nil
	}
	return sandbox.KeepToItself()
}

// newSet returns a configuration with its defaults, and its keys.
func (v *invocation) newSet() (*conf.Set, *Config) {
	if v.server != nil {
		return v.newSetFor(v.base.UnknownKeys)
	}
	return v.newSetFor(conf.RefuseUnknown)
}

// newSetFor is newSet with the default for unknown keys.
func (v *invocation) newSetFor(unknown conf.Unknown) (*conf.Set, *Config) {
	set, c := &conf.Set{Unknown: unknown, Strict: true, Instead: help.OtherNames(), Foreign: convert.Foreign}, new(Config)
	if v.role() == wire.RoleCheck {
		set.StableFor = stableTime
	}
	*c = v.base
	if v.server != nil {
		c.Server = v.server.Config
	}
	c.Define(set)
	if v.server == nil {
		c.DefineTables(set)
	}
	if h := v.hooks.Keys; h != nil {
		h(set)
	}
	return set, c
}

// load reads every source. args is what the command line gave; nil for Run.
func (v *invocation) load(set *conf.Set, c *Config, args *conf.Args) (*conf.Result, error) {
	layers := v.layers
	if args != nil {
		addType(args)
		layers = []conf.Layer{args.Layer, set.ReadEnv(v.environ)}
		c.Program = args.Program
	}
	return set.Resolve(set.WithConfFile(layers)...)
}

// addType makes a value of server_type of the TYPE word, before any other.
func addType(args *conf.Args) {
	if args.Type == "" {
		return
	}
	o := conf.Origin{Source: conf.SourceArgs, Line: 1}
	if args.Type == typeHTTP { // it is built on what server_type says
		args.Layer.Entries = slices.Insert(args.Layer.Entries, 0, conf.Entry{
			Key: serving.KeyHTTP, Origin: o, Values: []conf.Value{{Text: "1", Origin: o}},
		})
		return
	}
	args.Layer.Entries = slices.Insert(args.Layer.Entries, 0, conf.Entry{
		Key: "server_type", Origin: o, Values: []conf.Value{{Text: args.Type, Origin: o}},
	})
}

// configured runs Hooks.Configured.
func (v *invocation) configured(res *conf.Result) error {
	if h := v.hooks.Configured; h != nil {
		return h(res)
	}
	return nil
}

// complete checks a resolved configuration, and fills in what follows from it.
func (v *invocation) complete(ctx context.Context, c *Config, res *conf.Result) (notes []string, err error) {
	var errs []error
	c.defaultType(res)
	if v.server != nil && c.handler.Web.HTTP {
		errs = append(errs, errors.New("type HTTP is for the command: a program of one's own serves HTTP by a httpd.Handler, with any type"))
	}
	inProcess, err := c.inProcess()
	errs = append(errs, err)
	_, err = c.Process.Control.access(c.Type == typeINET)
	errs = append(errs, err)
	if !inProcess {
		c.identity, err = c.Process.identify()
		errs = append(errs, err)
		_, err = c.Process.passed()
		errs = append(errs, err)
	}
	ported := len(c.Server.Ports) > 0 && len(res.Get("port"))+len(res.Blocks) == 0
	if c.Type == typeINET {
		err = c.readPorts(res, variables(v.environ))
	} else if notes, err = c.resolvePorts(ctx, res, variables(v.environ)); ported {
		notes = nil // they tell of the default port, which the program's own take the place of
	}
	errs = append(errs, err, c.resolveServices(res), c.useACME(v.server != nil))
	errs = append(errs, c.checkSeccomp(), v.checkCluster(c))
	errs = append(errs, c.Jobs.check(res, v.hooks.RunDequeue != nil, c.Process.Chroot != ""))
	errs = append(errs, c.logging().Check())
	_, more := c.scale()
	return slices.Concat(notes, more), errors.Join(errs...)
}

// start reads the configuration and makes the program that it describes: the
// beginning of every process but workers.
func (v *invocation) start(ctx context.Context, set *conf.Set, c *Config, args *conf.Args) (*program, *wire.Plan, error) {
	res, err := v.load(set, c, args)
	if err != nil {
		return nil, nil, err
	}
	unnamed := len(res.Get("port"))+len(res.Blocks) == 0
	ported := len(c.Server.Ports) > 0 && unnamed // by the program's own code
	ports := c.Server.Ports
	notes, err := v.complete(ctx, c, res)
	unnamed = unnamed && !ported
	err = errors.Join(err, emptyFile(c, res, unnamed), c.checkBacklog(res, unnamed && c.Type != typeINET))
	if ported {
		c.Server.Ports = ports
	}
	idle, ierr := v.idleKeys(c, res)
	err = errors.Join(err, ierr)
	if !ported {
		idle = append(idle, c.unusedParts(res, variables(v.environ))...)
	}
	files := new(fileList)
	env := tlsparams.Env{ReadFile: files.read, SignOnly: c.mayIsolate(), TicketSecret: c.ticketSecret(), Clustered: c.cluster.Enabled()}
	if aerr := c.prepareACME(&env); aerr != nil {
		err = errors.Join(err, aerr)
		c.withoutACME()
	}
	staples := new(clustering.Staples) // which a process that serves alone uses
	if c.cluster.Enabled() {
		env.Staples = staples
	}
	p, perr := v.prepare(c, res, env)
	p.staples = staples
	p.notes, p.files, p.ticketSecret = append(notes, p.notes...), files, env.TicketSecret
	p.warnings = append(p.warnings, p.warnACME()...)
	p.adminFiles = new(fileList)
	if c.Process.Admin.Address != "" && c.Type != typeINET {
		var aerr error
		p.admin, aerr = c.makeAdmin(tlsparams.Env{ReadFile: p.adminFiles.read, SignOnly: c.mayIsolate()})
		perr = errors.Join(perr, aerr)
	}
	if c.confFile != "" && res.FileKeys == 0 && !unnamed && err == nil && perr == nil {
		idle = append(idle, "conf_file: "+c.confFile+" sets no key")
	}
	v.warn(p, res.Warnings, append(idle, p.made.Warnings...))
	if err == nil && perr == nil {
		err = errors.Join(p.room(), p.preflight(), p.strictFiles())
	}
	if err := errors.Join(err, perr); err != nil {
		return p, nil, err
	}
	if err := v.configured(res); err != nil {
		return p, nil, err
	}
	if c.Type == typeINET {
		return p, nil, nil
	}
	pl, err := newPlan(p, files)
	if pl != nil {
		pl.Unnamed = unnamed
	}
	return p, pl, err
}

// stderrFile returns what processes inherit as standard error.
func (v *invocation) stderrFile() *os.File {
	if f, ok := v.stderr.(*os.File); ok {
		return f
	}
	return os.Stderr
}

// warn reports warnings: at a start on standard error, at a restart in the log.
func (v *invocation) warn(p *program, warnings []error, idle []string) {
	for _, w := range idle {
		warnings = append(warnings, errors.New(w))
	}
	for _, w := range warnings {
		switch v.role() {
		case "":
			logging.PrintWarning(v.stderr, w)
		case wire.RoleCheck:
			p.warnings = append(p.warnings, w.Error())
		}
	}
}

// stableTime is how long a conf file must have been unchanged before a reload
// reads it: usually, whoever writes it in place is done by then.
const stableTime = 100 * time.Millisecond
