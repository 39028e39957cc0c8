package worker

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"netserver/daemon/internal/wire"
	"netserver/internal/childproc"
	"netserver/internal/descriptors"
	"netserver/internal/place"
	"netserver/internal/proc"
)

// runJob is what a process does that runs a job: it has become who the workers
// are, and has neither ports nor keys.
func (w *worker) runJob(ctx context.Context) int {
	signals := w.o.Signals()
	defer proc.SurviveBrokenPipes()()
	var err error
	if w.conf, err = w.o.Settings(w.init.Plan); err != nil {
		return w.fail(err)
	}
	endLog := w.openLog()
	defer endLog()
	reaped := make(chan struct{})
	defer close(reaped)
	childproc.TakeOrphans(reaped) // where it cannot, the system's process 1 does
	if err := w.confine(); err != nil {
		return w.fail(err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{}) // the supervisor's end
	go w.listen(ended)
	go w.obeyForJob(ctx, signals, ended, stop)
	if err := w.doJob(ctx); err != nil {
		return w.fail(err)
	}
	return wire.ExitDone
}

func (w *worker) doJob(ctx context.Context) error {
	if len(w.conf.JobCommand) > 0 {
		return runCommand(ctx, w.conf.JobCommand, w.conf.JobEnviron)
	}
	return w.conf.RunJob(ctx, w.log)
}

// obeyForJob ends the job when a signal or the supervisor says so, or when
// there is no supervisor any more; then nobody but itself can kill it.
func (w *worker) obeyForJob(ctx context.Context, signals <-chan os.Signal, ended <-chan struct{}, stop func()) {
	for {
		select {
		case s := <-signals:
			// The others are for the supervisor.
			if proc.IsStop(s) {
				stop()
			}
		case c := <-w.commands:
			if c.Op == wire.OpStop {
				stop()
			}
		case <-ended:
			ended = nil
			time.AfterFunc(max(w.conf.Grace, wire.LeastTime), childproc.KillOwnGroup)
			stop()
		case <-ctx.Done():
			// Another word from the supervisor could only be KILL, but it may
			// end while the job takes its time.
			if ended == nil {
				return
			}
			ctx = context.Background()
		}
	}
}

// runCommand runs a program in this process's own group, until it ends or ctx
// does; then it gets TERM, and what it has started too.
func runCommand(ctx context.Context, argv, environ []string) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	null, err := descriptors.Null()
	if err != nil {
		return err
	}
	defer null.Close()
	cmd.Env, cmd.Stdin = environ, null
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr // the pipe to the log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", argv[0], place.WithoutPath(err))
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		childproc.TerminateOwnGroup()
		return <-done
	}
}
