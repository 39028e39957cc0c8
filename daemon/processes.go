package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"

	"netserver/conf"
	"netserver/daemon/internal/clustering"
	"netserver/daemon/internal/ctl"
	"netserver/daemon/internal/serving"
	"netserver/daemon/internal/supervisor"
	"netserver/daemon/internal/wire"
	"netserver/daemon/internal/worker"
	"netserver/internal/childproc"
	"netserver/internal/control"
	"netserver/port"
	"netserver/tlsparams"
)

// supervise runs the program with a supervisor until its end.
func (v *invocation) supervise(ctx context.Context, p *program, pl *wire.Plan) (int, error) {
	o := v.supervisorOptions(p.conf.Process.PIDFile, p.conf.Process.Control, p.conf.Type)
	if share, longest := p.conf.cluster, p.conf.Server.Admission.Penalty.MaxTime; share.Enabled() {
		o.Cluster = func() (*wire.Cluster, error) { return share.Load(longest) }
	}
	return supervisor.Run(ctx, o, v.settings(p.conf), pl, p.files.contents)
}

// supervisorOptions are what a supervisor has from this program. They keep
// nothing of the configuration that it starts with: memory matters there.
func (v *invocation) supervisorOptions(pidFile string, socket ControlConfig, serverType string) *supervisor.Options {
	h := v.hooks
	return &supervisor.Options{
		Args: v.argv, Environ: v.environ, Stderr: v.stderr, Signals: v.signals.take(), Version: Version(), Library: v.server != nil,
		Bound: h.Bound, Serving: h.Serving, Restarting: h.Restarting, Ending: h.Ending, Ended: h.Ended,
		TellFront: v.tellFront, TLSEnv: v.keyEnv, Settings: v.plannedSettings, KeyKinds: keyKinds,
		HoldPIDFile: func(log *slog.Logger) (func(), error) {
			f, err := holdPIDFile(log, pidFile)
			return func() { removePID(log, f) }, err
		},
		Admin: func(ctx context.Context, log *slog.Logger, s *supervisor.Controlled, c net.Conn, write bool) error {
			return ctl.New(log, s).Admin(ctx, c, write)
		},
		OpenControl: func(ctx context.Context, log *slog.Logger, s *supervisor.Controlled) (func(), error) {
			c := &Config{Type: serverType, Process: ProcessConfig{Control: socket}}
			k, err := c.openControl(ctx, log, s)
			return k.Close, err
		},
	}
}

// keyEnv is what the program's own code gives to the reading of private keys.
func (v *invocation) keyEnv(spec port.Spec) (env tlsparams.Env) {
	if own := v.server; own != nil {
		env.Hooks.Password, env.Hooks.Config = own.TLS.Hooks.Password, own.TLS.Hooks.Config
		env.TLSConfig = own.TLSConfig
		if own.TLS.ForPort != nil {
			own.TLS.ForPort(spec, &env)
		}
	}
	return env
}

// plannedSettings makes the settings of a plan that was found good.
func (v *invocation) plannedSettings(pl *wire.Plan) (*supervisor.Settings, error) {
	c, _, err := v.fromPlan(pl, conf.KeepUnknown)
	if err == nil {
		c.identity, err = c.Process.identify()
	}
	if err != nil {
		return nil, err
	}
	return v.settings(c), nil
}

// settings are what a supervisor needs of c.
func (v *invocation) settings(c *Config) *supervisor.Settings {
	pr := &c.Process
	passed, _ := pr.passed()
	scale, _ := c.scale()
	return &supervisor.Settings{
		Type: c.Type, Label: c.label(), Log: *c.logging(),
		Umask: pr.Umask, Identity: c.identity, Passed: passed, Scale: scale,
		Grace: c.graceTime(), GraceSpread: c.graceSpread(), HUPGrace: pr.HUPGrace, CutOnHUP: pr.CutOnHUP,
		WorkerTimeout: c.workerTimeout(), JobEvery: c.Jobs.Every, JobMax: c.Jobs.Max,
		StrictFiles: pr.StrictFiles, ClientsMayExit: v.server == nil && c.services.ClientsMayExit(),
		TLS: c.Server.TLS, Outbound: c.outboundFiles(), SignRate: pr.SignRate, AtStart: c.atStart(),
		ACME: c.ACME.config, Targets: c.targetNames(),
	}
}

// atStart are the keys that hold only from a start. Those of the log, and
// umask, the supervisor compares itself.
func (c *Config) atStart() []supervisor.FixedKey {
	pr, socket := &c.Process, c.Process.Control
	var list []supervisor.FixedKey
	for _, k := range [][2]string{
		{"log_file", c.LogFile}, {"access_log_file", c.AccessLog}, {"log_format", c.LogFormat},
		{"syslog_ident", c.Syslog.Ident}, {"syslog_facility", c.Syslog.Facility},
		{"syslog_logopt", c.Syslog.LogOpt}, {"syslog_logsock", c.Syslog.LogSock},
		{"pid_file", pr.PIDFile},
		{keyAdmin, pr.Admin.Address}, {"admin_public", fmt.Sprint(pr.Admin.Public)}, {"admin_write", fmt.Sprint(pr.Admin.Write)},
		{"admin_hosts", strings.Join(pr.Admin.Hosts, "\x00")}, {"admin_pprof", fmt.Sprint(pr.Admin.Pprof)},
		{keyControlSocket, socket.Socket}, {keyControlMode, fmt.Sprint(cmp.Or(socket.Mode, 0o600))}, {keyControlOwner, socket.Owner},
		{"background", fmt.Sprint(pr.Background)}, {"setsid", fmt.Sprint(pr.Setsid)}, {"supervisor", pr.Supervisor},
		{clustering.KeyURL, c.cluster.URL}, {clustering.KeyFile, c.cluster.KeyFile}, {clustering.KeyPassword, c.cluster.PasswordFile},
		{clustering.KeyCA, c.cluster.CAFile}, {clustering.KeyCert, c.cluster.CertFile},
		{clustering.KeyStart, c.cluster.Start}, {clustering.KeyName, c.cluster.Name}, {clustering.KeySpace, c.cluster.Namespace}, {clustering.KeyQuorum, fmt.Sprint(c.cluster.Quorum)},
		{"sig_passthrough", strings.Join(pr.SigPassthrough, "\x00")},
	} {
		list = append(list, supervisor.FixedKey{Key: k[0], Value: k[1]})
	}
	return list
}

// keyKinds tells the keys apart that make ports and handlers.
func keyKinds() map[string]supervisor.KeyKind {
	set := new(conf.Set)
	new(Config).Define(set)
	m := make(map[string]supervisor.KeyKind)
	for _, k := range set.Keys() {
		switch k.Group {
		case serving.Group:
			m[k.Name] = supervisor.HandlerKey
		case groupPorts:
			m[k.Name] = supervisor.PortKey
		}
	}
	return m
}

// work is the life of a process that serves clients or runs a job.
func (v *invocation) work(ctx context.Context) int {
	return worker.Run(ctx, &worker.Options{
		Part: v.part, Environ: v.environ, Signals: v.signals.take, Library: v.server != nil,
		WorkerStart: v.hooks.WorkerStart, WorkerStop: v.hooks.WorkerStop, Settings: v.workerSettings, Stores: v.stores(),
	})
}

// worker.Settings are what a worker needs of the configuration of a plan.
func (v *invocation) workerSettings(pl *wire.Plan) (*worker.Settings, error) {
	unknown := conf.WarnUnknown // the supervisor has warned
	if v.server != nil {
		unknown = conf.KeepUnknown
	}
	c, res, err := v.fromPlan(pl, unknown)
	if err != nil {
		return nil, err
	}
	pr := &c.Process
	passed, _ := pr.passed()
	return &worker.Settings{
		Log: *c.logging(), Grace: c.graceTime(), Passed: passed,
		RunsProgram: v.server == nil && c.services.RunPrograms(), HandlerName: c.handlerName(v.server != nil),
		Landlock: pr.Landlock, LandlockWrite: pr.LandlockWrite, Seccomp: pr.Seccomp,
		AbstractSockets: slices.ContainsFunc(pl.Targets(), func(to string) bool { return strings.Contains(to, "@") }),
		PaceGC:          v.paceGC(c),
		JobCommand:      c.Jobs.Command, JobEnviron: childproc.ProgramEnviron(v.environ, c.handler.ExecEnv),
		FindJob: c.Jobs.find,
		RunJob:  func(ctx context.Context, log *slog.Logger) error { return v.runJob(ctx, c, log) },
		MakeAdmin: func(env tlsparams.Env, talk *control.Conversation, log *slog.Logger) (*worker.Program, error) {
			p, err := c.makeAdmin(env)
			if err == nil && p == nil {
				err = errors.New("there is no admin listener in this configuration")
			}
			if err != nil {
				return nil, err
			}
			v.useAdmin(p, &pr.Admin, talk.Do, log)
			return p, nil
		},
		Make: func(env tlsparams.Env, maxServing int, exit func(), access func(line []byte)) (*worker.Program, error) {
			if maxServing > 0 {
				c.Server.Limits.MaxServing = maxServing
			}
			p, err := v.prepare(c, res, env)
			if err != nil {
				return nil, err
			}
			p.exit, p.access = exit, access
			serve := func(ctx context.Context, ls []net.Listener) error { return p.serve(ctx, ls) }
			return &worker.Program{Server: p.server, Transports: p.transports, Outbound: p.made.Outbound, Serve: serve, CheckTarget: p.checkTarget, Backends: p.made.Backends(), Samples: p.samples, Explain: p.explainNow, ACMEDir: p.conf.ACME.config.Storage, ACMEBy: p.conf.ACME.config.Kind(), Answers: p.conf.ACME.Answers, Foreign: p.made.Foreign}, nil
		},
	}, nil
}

// runJob is what a job does that has no command.
func (v *invocation) runJob(ctx context.Context, c *Config, log *slog.Logger) error {
	if s := v.server; s != nil {
		s.Config, s.Log = c.Server, log
	}
	if f := v.hooks.RunDequeue; f != nil {
		if err := f(ctx); err != nil {
			return fmt.Errorf("Hooks.RunDequeue: %w", err)
		}
	}
	return nil
}
