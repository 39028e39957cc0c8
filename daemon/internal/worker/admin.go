package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"netserver"
	"netserver/daemon/internal/wire"
	"netserver/internal/childproc"
	"netserver/internal/control"
	"netserver/internal/proc"
	"netserver/internal/sandbox"
	"netserver/sock"
	"netserver/tlsparams"
)

// runAdmin is what a process does that serves the admin listener: it has become
// who the workers are, and knows the server by the control protocol alone.
func (w *worker) runAdmin(ctx context.Context) int {
	signals := w.o.Signals()
	defer proc.SurviveBrokenPipes()()
	var err error
	if w.conf, err = w.o.Settings(w.init.Plan); err != nil {
		return w.fail(err)
	}
	endLog := w.openLog()
	defer endLog()
	ended := make(chan struct{})
	go w.listen(ended)
	talk, err := w.prepareAdmin()
	if err == nil {
		err = w.confineHelper(sandbox.Sandbox{Read: systemFiles[:]})
	}
	if err != nil {
		return w.fail(err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go w.obeyForAdmin(ctx, stop, signals, ended, talk)
	w.p.engine().OnServing(func() {
		w.started.Store(true)
		wire.Send(w.link, wire.Message{Op: wire.OpReady, Sandbox: w.confined})
	})
	switch err := w.p.Serve(ctx, w.ls); {
	case err != nil && !errors.Is(err, netserver.ErrCut):
		return w.fail(err)
	case ctx.Err() == nil:
		return wire.ExitFailed
	}
	return wire.ExitDone
}

// prepareAdmin makes the server, its listener and its ways to the supervisor.
func (w *worker) prepareAdmin() (*control.Conversation, error) {
	env := tlsparams.Env{ReadFile: w.readFile, ReadDir: w.readDir, Unfollowed: w.init.Follow, Log: w.log}
	if err := w.isolate(&env); err != nil {
		return nil, err
	}
	var err error
	if env.SelfSigned, err = w.selfSigned(); err != nil {
		return nil, err
	}
	files := w.o.Part.Files
	if len(files) != 1+w.init.Talks {
		return nil, fmt.Errorf("received %d files, not a socket and %d connections", len(files), w.init.Talks)
	}
	talks, err := connsOf(files[1:])
	if err != nil {
		return nil, err
	}
	talk := control.NewConversation(talks...)
	if w.p, err = w.conf.MakeAdmin(env, talk, w.log); err != nil {
		return nil, err
	}
	r := w.init.Admin.Port
	l, err := sock.FromFile(files[0], r.Network, r.Spec, r.Options)
	files[0].Close()
	if err != nil {
		return nil, err
	}
	w.ls = []net.Listener{netserver.NewListener(l, r.Spec, w.p.Transports[0])}
	return talk, nil
}

func connsOf(files []*os.File) (conns []net.Conn, err error) {
	for _, f := range files {
		c, err := childproc.ConnOf(f)
		f.Close()
		if err != nil {
			return nil, err
		}
		conns = append(conns, c)
	}
	return conns, nil
}

// confineHelper restricts a process that serves no client as a worker that runs
// nothing, to the files of box.
func (w *worker) confineHelper(box sandbox.Sandbox) error {
	if w.conf.Landlock != "0" {
		level, err := sandbox.Restrict(box)
		switch {
		case err == nil:
			w.confined = "Landlock (" + level + ")"
		case !errors.Is(err, errors.ErrUnsupported) || w.conf.Landlock == "1":
			return fmt.Errorf("landlock: %w", err)
		}
	}
	if w.conf.Seccomp != "0" {
		err := sandbox.RefuseCalls()
		switch {
		case err == nil:
			w.sealed = true
			w.confined += ", seccomp"
		case !errors.Is(err, errors.ErrUnsupported) || w.conf.Seccomp == "1":
			return fmt.Errorf("seccomp: %w", err)
		}
	}
	return nil
}

// obeyForAdmin ends the process when the supervisor says so or is gone. Signals
// but those that end it are for the supervisor.
func (w *worker) obeyForAdmin(ctx context.Context, stop func(), signals <-chan os.Signal, ended <-chan struct{}, talk *control.Conversation) {
	for {
		select {
		case s := <-signals:
			if !proc.IsStop(s) {
				continue
			}
		case c := <-w.commands:
			if c.Op == wire.OpFiles {
				go w.reloadFiles(c.Paths)
				continue
			}
			if c.Op != wire.OpStop {
				continue
			}
		case <-ended:
		case <-talk.Lost():
		case <-ctx.Done():
			return
		}
		stop()
		w.p.engine().Stop()
		return
	}
}
