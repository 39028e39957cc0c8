package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"netserver/conf"
	"netserver/daemon/internal/wire"
	"netserver/daemon/internal/worker"
	"netserver/internal/proc"
	"netserver/tlsparams"
)

// work is the life of a process that serves clients or runs a job.
func (v *invocation) work(ctx context.Context) int {
	return worker.Run(ctx, &worker.Options{
		Part: v.part, Environ: v.environ, Signals: v.signals.take, Library: v.server != nil,
		WorkerStart: v.hooks.WorkerStart, WorkerStop: v.hooks.WorkerStop, Settings: v.workerSettings,
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
		RunsProgram: len(c.Program) > 0, HandlerName: c.handlerName(v.server != nil),
		Landlock: pr.Landlock, LandlockWrite: pr.LandlockWrite, Seccomp: pr.Seccomp,
		AbstractSockets: strings.Contains(c.Handler.ProxyTo, "@"),
		JobCommand:      c.Jobs.Command, JobEnviron: proc.ProgramEnviron(v.environ, c.Handler.ExecEnv),
		FindJob: c.Jobs.find,
		RunJob:  func(ctx context.Context, log *slog.Logger) error { return v.runJob(ctx, c, log) },
		Make: func(env tlsparams.Env, maxServing int, exit func()) (*worker.Program, error) {
			if maxServing > 0 {
				c.Server.Limits.MaxServing = maxServing
			}
			p, err := v.prepare(c, res, env)
			if err != nil {
				return nil, err
			}
			p.exit = exit
			serve := func(ctx context.Context, ls []net.Listener) error { return p.serve(ctx, ls) }
			return &worker.Program{Server: p.server, Transports: p.transports, Serve: serve, CheckTarget: p.checkTarget}, nil
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
