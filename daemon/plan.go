package daemon

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"netserver"
	"netserver/conf"
	"netserver/daemon/internal/acme"
	"netserver/daemon/internal/clustering"
	"netserver/daemon/internal/connlog"
	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/serving"
	"netserver/daemon/internal/wire"
	"netserver/daemon/internal/worker"
	"netserver/internal/bridge"
	"netserver/internal/certfile"
	"netserver/internal/systemd"
	"netserver/proto"
	"netserver/tlsparams"
)

// newPlan makes the plan of a program that has been prepared.
func newPlan(p *program, files *fileList) (*wire.Plan, error) {
	pl := &wire.Plan{
		Values: p.res.Given(), Blocks: p.res.Blocks, Tables: p.res.Tables, Serving: p.conf.own, Program: p.conf.Program, Notes: p.notes,
		Leftover: p.res.Leftover, FileKeys: p.res.FileKeys, NoFinalNewline: p.res.NoFinalNewline,
		Warn: p.warnings,
	}
	reqs, err := p.engine().Requests(p.transports)
	if err != nil {
		return nil, err
	}
	pl.Ports = reqs
	for i := range pl.Ports {
		if o := &pl.Ports[i].Options; o.UnixOwner == "" && p.conf.identity.Account != nil {
			// As Net::Server does.
			o.UnixOwner = p.conf.identity.Account.User
			if o.UnixGroup == "" {
				o.UnixGroup = strconv.Itoa(p.conf.identity.Account.GID)
			}
		}
	}
	pl.Files, pl.Dirs = files.names(), tlsDirs(pl)
	if a := &p.conf.ACME.config; !a.Zero() {
		pl.Dirs = append(pl.Dirs, acme.CertificateDir(a.Storage))
	}
	var notes []string
	pl.Isolate, notes, err = p.isolation()
	pl.Notes = append(pl.Notes, notes...)
	if err == nil {
		pl.Foreign, err = p.transparent()
	}
	if err == nil {
		pl.Admin, err = p.adminPlan(pl.Ports)
	}
	return pl, err
}

// fileList reads files and notes their names.
type fileList struct {
	mu       sync.Mutex
	list     []string
	contents map[string][]byte // of those that are not too long
	size     int
}

// The contents of checked files are kept up to these bounds: workers start with
// them even while a file is being replaced, or after it was replaced by an
// unusable one. Longer files, revocation lists mostly, are read again.
const (
	maxKept    = 1 << 20
	maxKeptAll = 8 << 20
)

func (f *fileList) read(path string) ([]byte, error) {
	path = filepath.Clean(path)
	data, err := certfile.Read(certfile.RoleCert, path)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, path)
	if err == nil && len(data) <= maxKept && f.size+len(data) <= maxKeptAll {
		if f.contents == nil {
			f.contents = make(map[string][]byte)
		}
		f.size += len(data) - len(f.contents[path])
		f.contents[path] = slices.Clone(data)
	}
	return data, err
}

func (f *fileList) names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	slices.Sort(f.list)
	return slices.Compact(f.list)
}

// tlsDirs returns the directories that TLS parameters name: files may appear
// there later.
func tlsDirs(p *wire.Plan) []string {
	var dirs []string
	add := func(v conf.Values) {
		for _, key := range []string{"SSL_cert_dir", "SSL_ca_path", "SSL_crl_path", "backend_ca_path"} {
			for _, val := range v[key] {
				for _, dir := range filepath.SplitList(val.Text) {
					dirs = append(dirs, filepath.Clean(dir))
				}
			}
		}
	}
	for _, v := range p.All() {
		add(v)
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// fromPlan makes the configuration that a plan holds. Keys that this version
// does not know are skipped: they are for the version that made the plan.
func (v *invocation) fromPlan(pl *wire.Plan, unknown conf.Unknown) (*Config, *conf.Result, error) {
	set, c := v.newSetFor(unknown)
	set.Strict = false // the sources were looked at before the plan was made
	res, err := set.Resolve(pl.Layers()...)
	if err != nil {
		return nil, nil, err
	}
	res.Leftover = pl.Leftover
	if err := v.configured(res); err != nil {
		return nil, nil, err
	}
	c.Program = pl.Program
	c.Server.Ports = nil
	for _, r := range pl.Ports {
		c.Server.Ports = append(c.Server.Ports, r.Spec)
	}
	c.own = pl.Serving
	c.defaultType(res)
	return c, res, errors.Join(c.resolveServices(res), c.useACME(v.server != nil))
}

// A program is a Server that is ready to be run.
type program struct {
	conf         *Config
	res          *conf.Result
	server       *netserver.Server
	files        *fileList // that TLS parameters name; nil in a worker
	transports   []proto.Transport
	listening    atomic.Pointer[[]proto.Transport] // those of the ports that clients come to
	staples      *clustering.Staples               // nil in a worker
	admin        *worker.Program                   // the admin listener; nil is none
	adminFiles   *fileList                         // that its TLS names
	made         *serving.Made                     // the handlers of the command
	notes        []string                          // lines for the log that the configuration caused
	manager      *systemd.Manager                  // nil is none, or it is the supervisor's
	opened       *logging.Log                      // where the log goes; nil but in a process that serves alone
	warnings     []string                          // the same as notes, of what somebody should look at
	stop         context.CancelFunc
	begun        atomic.Bool       // without a supervisor: it has begun to
	ending       atomic.Bool       // stop or Close was called by signal or control
	library      bool              // the program has a handler of its own
	orders       acme.Tally        // of certificates, by a process that serves alone
	exit         func()            // ends the server as TERM does
	access       func(line []byte) // writes the access log; nil is nowhere
	flush        func()            // type INET over pipes: waits for the client's output
	ticketSecret []byte            // of the first ticket keys of a process that serves alone in a cluster; nil: they are made elsewhere
	waits        bool              // type INET has a port for datagrams from inetd, and ends when it is idle
	tellEnding   func()            // without a supervisor: runs Hooks.Ending, once

	connections *connlog.Log // writes lines of connections to the access log; nil without
}

// prepare makes everything that needs no open port, and collects the problems.
// env says how TLS files are read.
func (v *invocation) prepare(c *Config, res *conf.Result, env tlsparams.Env) (*program, error) {
	p := &program{conf: c, res: res, stop: func() {}, server: new(netserver.Server), library: v.server != nil, made: new(serving.Made)}
	p.exit = func() { p.engine().Stop() }
	var errs []error
	if v.server != nil {
		p.server = v.server
	} else {
		errs = append(errs, p.makeHandlers(env))
	}
	log := func() *slog.Logger { return p.server.Log }
	p.server.Handler = logging.Connects(p.server.Handler, log)
	p.server.Handlers = maps.Clone(p.server.Handlers)
	for port, h := range p.server.Handlers {
		p.server.Handlers[port] = logging.Connects(h, log)
	}
	errs = append(errs, p.logConnections())
	p.server.Config = c.Server
	fillTLS(&p.server.TLS, env)
	if len(c.Server.Ports) > 0 {
		var err error
		p.transports, err = p.engine().Transports()
		p.listening.Store(&p.transports)
		errs = append(errs, err)
	}
	return p, errors.Join(errs...)
}

// makeHandlers makes the handlers of the command.
func (p *program) makeHandlers(env tlsparams.Env) (err error) {
	c := p.conf
	if c.services.RunPrograms() && c.Server.Limits.MaxServing == 0 {
		c.Server.Limits.MaxServing = serving.MaxPrograms
	}
	// A worker sets exit later.
	h := serving.Env{Exit: func() { p.exit() }, Type: c.Type, TLS: env, Jailed: c.identity.Chroot != "", ServesAs: c.servesAs(),
		Answers: c.ACME.Answers, Serves: p.serves}
	if c.logging().HasAccess() {
		h.Access = p.logAccess
	}
	p.made, err = c.services.Make(h)
	p.server.Handler, p.server.Handlers = p.made.Handler, p.made.Handlers
	p.notes = p.made.Notes
	return err
}

// serves reports whether a TLS port has a certificate for a host.
func (p *program) serves(host string) bool {
	ts := p.listening.Load()
	return ts != nil && slices.ContainsFunc(proto.Sources(*ts), func(s *tlsparams.Source) bool { return s.Serves(host) })
}

// servesAs returns the user that the serving processes become, if not root.
func (c *Config) servesAs() string {
	if a := c.identity.Account; a != nil && a.UID != 0 {
		return a.User
	}
	return ""
}

// logAccess writes a line of the access log.
func (p *program) logAccess(line []byte) {
	if w := p.access; w != nil {
		w(line)
	}
}

// engine is the server's side that only its command sees.
func (p *program) engine() bridge.Engine { return bridge.Of(p.server.Monitor()) }

// fillTLS copies what the program has not set itself.
func fillTLS(have *tlsparams.Env, env tlsparams.Env) {
	if have.ReadFile == nil {
		have.ReadFile = env.ReadFile
	}
	if have.Pair == nil {
		have.Pair = env.Pair
	}
	if env.SignOnly {
		have.SignOnly = true
	}
	if have.ReadDir == nil {
		have.ReadDir = env.ReadDir
	}
	if env.Unfollowed {
		have.Unfollowed = true
	}
	if have.Log == nil {
		have.Log = env.Log
	}
	if have.Staples == nil {
		have.Staples = env.Staples
	}
	if have.TicketSecret == nil {
		have.TicketSecret = env.TicketSecret
	}
	if env.Clustered {
		have.Clustered = true
	}
	if have.SelfSigned == nil {
		have.SelfSigned = env.SelfSigned
	}
}
