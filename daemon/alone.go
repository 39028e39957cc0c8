package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"netserver"
	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/internal/bridge"
	"netserver/internal/childproc"
	"netserver/internal/pidfile"
	"netserver/internal/proc"
	"netserver/proto"
)

// run opens the ports and serves in this process until a signal ends it.
func (p *program) run(ctx context.Context, stderr io.Writer, v *invocation) (int, error) {
	signals := v.signals.take()
	defer proc.SurviveBrokenPipes()() // until the log is written
	if os.Getpid() == 1 {
		reaped := make(chan struct{})
		defer close(reaped)
		go childproc.ReapOrphans(reaped)
	}
	if _, err := p.transparent(); err != nil {
		return wire.ExitUsage, err
	}
	opened, err := p.conf.logging().Open(stderr)
	if err != nil {
		return wire.ExitUsage, err
	}
	defer opened.Close()
	p.opened, p.access = opened, opened.AccessWriter()
	log := opened.Logger
	p.server.Log = log
	pid, err := holdPIDFile(log, p.conf.Process.PIDFile)
	if err != nil {
		return wire.ExitFailed, logging.Error(log, err)
	}
	defer removePID(log, pid)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	p.stop = stop
	if err := p.useManager(); err != nil {
		return wire.ExitFailed, logging.Error(log, err)
	}
	done := make(chan struct{})
	target := &alone{p: p, log: log, began: time.Now(), done: done}
	if target.cluster, err = p.newSharing(); err != nil {
		return wire.ExitFailed, logging.Error(log, err)
	}
	socket, err := p.conf.openControl(ctx, log, target)
	if err != nil {
		return wire.ExitFailed, logging.Error(log, err)
	}
	defer socket.Close()
	defer close(done) // before: those who wait for the end are told of it
	endAdmin, err := p.serveAdmin(ctx, v, log, target)
	if err != nil {
		return wire.ExitFailed, logging.Error(log, err)
	}
	defer endAdmin()
	ls, err := p.listen(ctx, log)
	if err != nil {
		return wire.ExitFailed, logging.Error(log, err)
	}
	if err := p.checkTarget(ls); err != nil {
		closeAll(ls)
		return wire.ExitUsage, logging.Error(log, err)
	}
	defer target.cluster.begin(log, v, ls)()
	end, err := v.hooks.begin(ctx, ls)
	if err != nil {
		closeAll(ls)
		return wire.ExitFailed, logging.Error(log, err)
	}
	p.tellEnding = end.ending
	defer context.AfterFunc(ctx, end.ending)()
	defer v.paceGC(p.conf)()()
	p.engine().OnServing(func() { p.ready(log) })
	go p.obey(log, signals, done)
	go p.watchdog(log, done)
	go opened.Follow(done, func() { opened.Reopen() })
	defer p.runACME(log, bridge.TransportsOf(ls), target.cluster)()
	err = p.serve(ctx, ls)
	if p.flush != nil {
		p.flush()
	}
	end.ended()
	return p.served(log, err)
}

// listen opens the ports, or takes the client of type INET.
func (p *program) listen(ctx context.Context, log *slog.Logger) ([]net.Listener, error) {
	if p.conf.Type == typeINET {
		l, err := inetListener(p)
		if err != nil {
			return nil, err
		}
		return []net.Listener{l}, nil
	}
	logging.Notice(log, fmt.Sprintf("%s starting! pid(%d)", p.conf.label(), os.Getpid()))
	for _, n := range p.notes {
		logging.Notice(log, n)
	}
	for _, n := range p.warnings {
		log.Warn(n)
	}
	ls, err := p.server.Listen(ctx)
	if err != nil {
		return nil, err
	}
	ts := bridge.TransportsOf(ls)
	p.listening.Store(&ts)
	for _, l := range ls {
		logging.Bound(log, l)
	}
	logging.TLSNotes(proto.Sources(ts), func(line string) { logging.Notice(log, line) })
	return ls, nil
}

// serve serves until the last client is gone, also if the program itself has
// shut its Server down.
func (p *program) serve(ctx context.Context, ls []net.Listener) error {
	p.made.LogTo(p.server.Log)
	defer p.connections.Flush()
	if p.waits {
		ctx, done := context.WithCancel(ctx)
		defer done()
		go p.endIdle(ctx)
	}
	defer p.made.Follow(ctx, p.server.Log)()
	err := p.server.Serve(ctx, ls...)
	if errors.Is(err, netserver.ErrServerClosed) {
		return p.server.Shutdown(context.WithoutCancel(ctx))
	}
	return err
}

// served logs how Serve ended and returns the exit status.
func (p *program) served(log *slog.Logger, err error) (int, error) {
	if p.conf.Type != typeINET {
		logging.Notice(log, "Server closing!")
	}
	switch {
	case err == nil:
		return wire.ExitDone, nil
	case errors.Is(err, netserver.ErrCut):
		logging.Notice(log, err.Error())
		return wire.ExitDone, nil
	}
	return wire.ExitFailed, logging.Error(log, err)
}

func closeAll(ls []net.Listener) {
	for _, l := range ls {
		l.Close()
	}
}

// checkTarget refuses a proxy whose backend is a port of its own: each client
// would be an endless chain of clients.
func (p *program) checkTarget(ls []net.Listener) error {
	for _, l := range ls {
		h := p.server.Handler
		if l, ok := l.(bridge.Listener); ok {
			if own, ok := p.server.Handlers[l.Asked().Short()]; ok {
				h = own
			}
		}
		if h, ok := netserver.HandlerAs[interface{ Check(...net.Addr) error }](h); ok {
			if err := h.Check(l.Addr()); err != nil {
				return err
			}
		}
	}
	return nil
}

// obey carries out signals until done is closed.
func (p *program) obey(log *slog.Logger, signals <-chan os.Signal, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case s := <-signals:
			name := strings.ToUpper(proc.SignalName(s))
			switch {
			case s == proc.ReloadSignal:
				logging.Notice(log, "Received a SIG "+name+": a restart in place requires a supervisor; nothing changed")
				continue
			case s == proc.ReopenSignal:
				p.opened.Reopen()
				continue
			case proc.ForSupervisor(s):
				continue
			case s == proc.DrainSignal && !p.ending.Load():
				logging.Notice(log, fmt.Sprintf("Received a SIG %s: no new clients; current ones have %v", name, p.grace()))
				p.endingNow(log)
				p.stop()
			default:
				logging.Notice(log, "Received a SIG "+name+": stopping")
				p.endingNow(log)
				p.engine().Stop()
			}
		}
	}
}

func (p *program) grace() string { return p.conf.grace() }

// holdPIDFile makes the pid file, if there is to be one.
func holdPIDFile(log *slog.Logger, name string) (*pidfile.File, error) {
	if name == "" {
		return nil, nil
	}
	f, err := pidfile.Create(name)
	if err == nil && f.Note() != "" {
		logging.Notice(log, f.Note())
	}
	return f, err
}

func removePID(log *slog.Logger, f *pidfile.File) {
	if err := f.Remove(); err != nil {
		log.Error(err.Error())
	}
}
