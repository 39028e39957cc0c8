package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"netserver"
	"netserver/access"
	"netserver/conf"
	"netserver/daemon/internal/admin"
	"netserver/daemon/internal/admin/page"
	"netserver/daemon/internal/ctl"
	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/daemon/internal/worker"
	"netserver/internal/bridge"
	"netserver/internal/control"
	"netserver/internal/identity"
	"netserver/port"
	"netserver/proto"
	"netserver/sock"
	"netserver/tlsparams"
)

// ControlConfig is where the socket of `netserver ctl` is, and who may use it.
type ControlConfig struct {
	Socket string      // absolute path; "" is no socket
	Mode   fs.FileMode // of its file; 0 means 0600
	Owner  string      // USER[:GROUP], who may use it beside root and the server's own user
}

// The keys of ControlConfig. The command ctl reads the first one too.
const (
	keyControlSocket = "control_socket"
	keyControlMode   = "control_mode"
	keyControlOwner  = "control_owner"
)

func (c *ControlConfig) define(s *conf.Set) {
	c.defineSocket(s)
	s.Define(conf.Key{Name: keyControlMode, Group: groupProcess, When: keyControlSocket, Arg: "MODE", Default: "0600", Help: "mode of that socket's file: 0600, or 0660 with a group in control_owner"}, conf.FileMode(&c.Mode))
	s.Define(conf.Key{Name: keyControlOwner, Group: groupProcess, When: keyControlSocket, Arg: "USER[:GROUP]", Help: "owner of that socket's file, who may use it beside root and the user of the server"}, conf.String(&c.Owner))
}

func (c *ControlConfig) defineSocket(s *conf.Set) {
	s.Define(conf.Key{Name: keyControlSocket, Group: groupProcess, Empty: conf.EmptyTakesOff, When: conf.Always, Arg: "FILE", Help: "UNIX socket by which netserver ctl asks the running server and tells it things (default: none)"}, conf.String(&c.Socket))
}

// controlSocket finds the socket for netserver ctl as the server does: command
// line, environment, conf file. Nothing else of them is looked at: the conf file
// may be one that the server is about to refuse.
func controlSocket(args, environ []string) (string, error) {
	set := &conf.Set{Unknown: conf.KeepUnknown}
	var c ControlConfig
	var confFile string
	c.defineSocket(set)
	set.Define(conf.Key{Name: "conf_file"}, conf.String(&confFile))
	new(Config).DefineTables(set) // so that they are known, and can be left out
	layers := []conf.Layer{set.ReadArgs(args).Layer, set.ReadEnv(environ)}
	layers = set.Read(set.WithConfFile(layers))
	for i := range layers {
		layers[i].Blocks, layers[i].Tables = nil, nil
	}
	_, err := set.Resolve(layers...)
	return c.Socket, err
}

// AdminConfig is the admin listener: HTTP for operators and their programs, with
// health checks, metrics and the live page. docs/ADMIN.md is its manual.
type AdminConfig struct {
	Address string   // HOST:PORT or a socket's absolute path, with |KEY=VALUE for its own SSL_ parameters; "" is no listener
	Public  bool     // Address may be one that others than this machine reach
	Write   bool     // clients may be ended there, and networks banned
	Hosts   []string // further names by which browsers may ask for it
	Pprof   bool     // profiles of the process that serves it, at /debug/pprof/
}

const keyAdmin = "admin"

func (a *AdminConfig) define(s *conf.Set) {
	define := func(name, arg, help string, b conf.Binder) {
		s.Define(conf.Key{Name: name, Group: groupProcess, When: keyAdmin, Arg: arg, Help: help}, b)
	}
	s.Define(conf.Key{Name: keyAdmin, Group: groupProcess, Empty: conf.EmptyTakesOff, When: factListens, Arg: "ADDRESS", Help: "address for operators' HTTP: the live page, /metrics, /livez, /readyz, /status; HOST:PORT or a socket's absolute path, with SSL_ parameters of its own as |SSL_KEY=VALUE (default: none)"}, conf.String(&a.Address))
	define("admin_public", "0|1", "let admin be an address that others reach: they see who is connected to which port, limits, targets and certificates, no keys", conf.Bool(&a.Public))
	define("admin_write", "0|1", "let clients of admin end clients of the server, and put networks into the penalty box; on an address that others reach it needs SSL_verify_mode", conf.Bool(&a.Write))
	s.Define(conf.Key{Name: "admin_hosts", Group: groupProcess, When: keyAdmin, Arg: "NAME", List: true, Help: "name by which browsers may ask for admin, beside its address and localhost"}, conf.Strings(&a.Hosts))
	define("admin_pprof", "0|1", "Go profiles of the process that serves admin, at /debug/pprof/; not on an address that others reach", conf.Bool(&a.Pprof))
}

// spec reads the address; false is that there is none.
func (a *AdminConfig) spec() (port.Spec, bool, error) {
	if a.Address == "" {
		return port.Spec{}, false, nil
	}
	s, err := admin.ParseAddress(conf.Value{Text: a.Address})
	if err != nil {
		return s, true, fmt.Errorf("admin: %w", err)
	}
	return s, true, nil
}

// makeAdmin makes the server of the admin listener, nil if there is none; env
// says how its files are read.
func (c *Config) makeAdmin(env tlsparams.Env) (*worker.Program, error) {
	a := &c.Process.Admin
	spec, ok, err := a.spec()
	if err != nil || !ok {
		return nil, err
	}
	params, err := c.Server.TLS.With(spec.Params)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	verified := spec.IsTLS() && params.VerifyMode == tlsparams.VerifyRequired && len(params.Clients) == 0
	if err := admin.CheckPublic(spec, a.Public, a.Write, a.Pprof, verified); err != nil {
		return nil, err
	}
	base := c.Server.TLS
	if !spec.IsTLS() {
		base = tlsparams.Params{} // whose files this process may not have
	}
	s := admin.Server(spec, base, env)
	p := &worker.Program{Server: s, Serve: func(ctx context.Context, ls []net.Listener) error { return s.Serve(ctx, ls...) }}
	if p.Transports, err = bridge.Of(s.Monitor()).Transports(); err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	return p, nil
}

// useAdmin has p answer requests by what it asks the server.
func (v *invocation) useAdmin(p *worker.Program, a *AdminConfig, ask admin.Ask, log *slog.Logger) {
	o := admin.Options{Ask: ask, Metrics: v.hooks.Metrics, Page: page.Files(), Version: Version(), Hosts: a.Hosts, Write: a.Write, Pprof: a.Pprof}
	o.Name, _ = os.Hostname()
	if spec := p.Server.Config.Ports[0]; !spec.IsUnix() {
		o.Host = spec.Host
	}
	admin.Use(p.Server, admin.New(o), log)
}

// adminPlan is what a supervisor needs of the admin listener beside the server's
// ports; nil if there is none.
func (p *program) adminPlan(ports []sock.Request) (*wire.Admin, error) {
	if p.admin == nil {
		return nil, nil
	}
	spec := p.admin.Server.Config.Ports[0]
	for _, r := range ports {
		if admin.Same(spec, r.Spec) {
			return nil, fmt.Errorf("admin: %s is a port of the server, %s; clients and operators need different ones", spec.Short(), r.Spec.Short())
		}
	}
	reqs, err := bridge.Of(p.admin.Server.Monitor()).Requests(p.admin.Transports)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	dirs := tlsDirs(&wire.Plan{Ports: reqs})
	for _, s := range proto.Sources(p.admin.Transports) {
		if dir := s.Params().CertDir; dir != "" { // which may be that of the server's other ports
			dirs = append(dirs, filepath.Clean(dir))
		}
	}
	return &wire.Admin{Port: reqs[0], Write: p.conf.Process.Admin.Write, Files: p.adminFiles.names(), Dirs: dirs}, nil
}

// serveAdmin serves the admin listener in a process without a supervisor, until
// end.
func (p *program) serveAdmin(ctx context.Context, v *invocation, log *slog.Logger, t ctl.Target) (end func(), err error) {
	if p.admin == nil {
		return func() {}, nil
	}
	s := p.admin.Server
	ls, err := s.Listen(ctx)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	logging.Admin(log, ls[0])
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var talks []net.Conn
	answers := ctl.New(log, t)
	for range adminTalks {
		mine, theirs := net.Pipe()
		talks = append(talks, mine)
		go answers.Admin(ctx, theirs, p.conf.Process.Admin.Write)
	}
	v.useAdmin(p.admin, &p.conf.Process.Admin, control.NewConversation(talks...).Do, log)
	served := make(chan error, 1)
	go func() { served <- p.admin.Serve(ctx, ls) }()
	return func() {
		bridge.Of(s.Monitor()).Stop()
		stop()
		if err := <-served; err != nil && !errors.Is(err, netserver.ErrCut) {
			log.Error("the admin listener has ended", "err", err)
		}
	}, nil
}

// adminTalks is how many requests of the admin listener are answered at once.
const adminTalks = 4

// A controlAccess is a ControlConfig with its names looked up.
type controlAccess struct {
	socket control.Socket
	group  bool // the group may use it
}

// openControl opens the control socket, if there is to be one; nil is none.
func (c *Config) openControl(ctx context.Context, log *slog.Logger, t ctl.Target) (*ctl.Server, error) {
	a, err := c.Process.Control.access(c.Type == typeINET)
	if err != nil || a.socket.Path == "" {
		return nil, err
	}
	return ctl.Open(ctx, ctl.Access{Socket: a.socket, Allow: a.allow}, log, t)
}

// access looks the names up and checks the keys.
func (c *ControlConfig) access(inet bool) (controlAccess, error) {
	a := controlAccess{socket: control.Socket{Path: c.Socket, Mode: c.Mode, UID: -1, GID: -1}}
	switch {
	case c.Socket == "":
		return a, nil
	case !control.Supported:
		return a, errors.New("control_socket: this system does not tell who a client is; leave the key out")
	case inet:
		return a, errors.New("control_socket has no use with type INET, whose processes serve one client each; leave it out")
	case !filepath.IsAbs(c.Socket):
		return a, fmt.Errorf("control_socket: %s must be an absolute path: netserver ctl may be run in another directory", c.Socket)
	}
	if a.socket.Mode == 0 {
		a.socket.Mode = 0o600
	}
	owner, group, grouped := strings.Cut(c.Owner, ":")
	var errs []error
	if owner != "" || group != "" {
		errs = append(errs, a.lookUp(owner, group))
	}
	a.group = grouped && group != "" && a.socket.Mode&0o060 == 0o060
	switch m := a.socket.Mode; {
	case m&0o007 != 0:
		errs = append(errs, fmt.Errorf("control_mode: %04o is for everybody, and who can use the socket can stop the server; give 0600 or 0660", m))
	case m&0o600 != 0o600:
		errs = append(errs, fmt.Errorf("control_mode: %04o keeps the owner out; give 0600 or 0660", m))
	case m&0o070 != 0 && !a.group:
		errs = append(errs, fmt.Errorf("control_mode: %04o is for a group, and no group is named; give control_owner USER:GROUP and control_mode 0660", m))
	}
	return a, errors.Join(errs...)
}

func (a *controlAccess) lookUp(owner, group string) error {
	name := owner
	if name == "" {
		name = fmt.Sprint(os.Geteuid())
	}
	acc, err := identity.LookupAccount(name, group)
	if err != nil {
		return fmt.Errorf("control_owner: %w", err)
	}
	if owner != "" {
		a.socket.UID = acc.UID
		if !identity.IsRoot() && acc.UID != os.Geteuid() {
			return fmt.Errorf("control_owner: only root can give the socket to user %s (%d); leave the user out, or start the server as root", acc.User, acc.UID)
		}
	}
	if group != "" {
		a.socket.GID = acc.GID
	}
	return nil
}

// allow says whether a process may use the socket: root's, this user's, those
// of control_owner. The file's mode comes before that.
func (a *controlAccess) allow(c *access.Cred) error {
	uid := int(c.UID)
	switch {
	case uid == 0, uid == os.Geteuid(), a.socket.UID >= 0 && uid == a.socket.UID:
		return nil
	case a.group && (int(c.GID) == a.socket.GID || slices.Contains(c.Groups, uint32(a.socket.GID))):
		return nil
	}
	return fmt.Errorf("user %d may not control this server: root may, user %d, and whom control_owner names", uid, os.Geteuid())
}
