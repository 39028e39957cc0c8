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
	"netserver/internal/proc"
	"netserver/port"
	"netserver/proto"
)

// run opens the ports and serves in this process until a signal ends it.
func (p *program) run(ctx context.Context, stderr io.Writer, v *invocation) (int, error) {
	signals := v.signals.take()
	defer proc.SurviveBrokenPipes()() // until the log is written
	if os.Getpid() == 1 {
		reaped := make(chan struct{})
		defer close(reaped)
		go proc.ReapOrphans(reaped)
	}
	opened, err := p.conf.openLog(p.inetLog(stderr))
	if err != nil {
		return exitUsage, err
	}
	defer opened.end()
	p.opened = opened
	log := opened.log
	p.server.Log = log
	pid, err := p.pidFile(log)
	if err != nil {
		return exitFailed, logged(log, err)
	}
	defer removePID(log, pid)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	p.stop = stop
	if err := p.useManager(); err != nil {
		return exitFailed, logged(log, err)
	}
	done := make(chan struct{})
	ctl, err := p.conf.openControl(ctx, log, &alone{p: p, log: log, began: time.Now(), done: done})
	if err != nil {
		return exitFailed, logged(log, err)
	}
	defer ctl.close()
	defer close(done) // before: those who wait for the end are told of it
	ls, err := p.listen(ctx, log)
	if err != nil {
		return exitFailed, logged(log, err)
	}
	if err := p.checkTarget(ls); err != nil {
		closeAll(ls)
		return exitUsage, logged(log, err)
	}
	end, err := v.hooks.begin(ctx, ls)
	if err != nil {
		closeAll(ls)
		return exitFailed, logged(log, err)
	}
	p.tellEnding = end.ending
	defer context.AfterFunc(ctx, end.ending)()
	p.ready(log)
	go p.obey(log, signals, done)
	go p.watchdog(log, done)
	if opened.file != nil {
		go followLog(opened.file, done, func() { opened.reopen() })
	}
	err = p.server.Serve(ctx, ls...)
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
	notice(log, fmt.Sprintf("%s starting! pid(%d)", p.conf.label(), os.Getpid()))
	for _, n := range p.notes {
		notice(log, n)
	}
	for _, n := range p.warnings {
		log.Warn(n)
	}
	ls, err := p.server.Listen(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range ls {
		logBound(log, l)
	}
	logTLS(log, netserver.TransportsOf(ls))
	return ls, nil
}

// served logs how Serve ended and returns the exit status.
func (p *program) served(log *slog.Logger, err error) (int, error) {
	if p.conf.Type != typeINET {
		notice(log, "Server closing!")
	}
	switch {
	case err == nil:
		return exitDone, nil
	case errors.Is(err, netserver.ErrCut):
		notice(log, err.Error())
		return exitDone, nil
	}
	return exitFailed, logged(log, err)
}

// errLogged marks an error that has been logged.
type errLogged struct{ error }

func (e errLogged) Unwrap() error { return e.error }

// logged logs an error, a line each of those that it joins.
func logged(log *slog.Logger, err error) error {
	for _, e := range lines(err) {
		log.Error(e.Error())
	}
	return errLogged{err}
}

func closeAll(ls []net.Listener) {
	for _, l := range ls {
		l.Close()
	}
}

// checkTarget refuses a proxy whose backend is a port of its own.
func (p *program) checkTarget(ls []net.Listener) error {
	h, ok := p.server.Handler.(interface{ Check(...net.Addr) error })
	if !ok {
		return nil
	}
	addrs := make([]net.Addr, len(ls))
	for i, l := range ls {
		addrs[i] = l.Addr()
	}
	return h.Check(addrs...)
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
				notice(log, "Received a SIG "+name+": without a supervisor there is no restart in place; nothing is changed")
				continue
			case s == proc.ReopenSignal:
				p.opened.reopen()
				continue
			case proc.ForSupervisor(s):
				continue
			case s == proc.DrainSignal && !p.ending.Load():
				notice(log, fmt.Sprintf("Received a SIG %s: no more clients; those here have %v", name, p.grace()))
				p.endingNow(log)
				p.stop()
			default:
				notice(log, "Received a SIG "+name+": stopping")
				p.endingNow(log)
				p.server.Close()
			}
		}
	}
}

func (p *program) grace() string { return p.conf.grace() }

// logBound says what was bound, in Net::Server's words.
func logBound(log *slog.Logger, l net.Listener) {
	b, ok := l.(interface{ Spec() port.Spec })
	if !ok {
		return
	}
	s := b.Spec()
	asked := s.Port
	if a, ok := l.(interface{ Asked() port.Spec }); ok {
		asked = a.Asked().Port
	}
	proto := strings.ToUpper(s.Kind())
	if s.IsUnix() {
		notice(log, fmt.Sprintf("Binding to %s socket file %q", proto, s.Port))
		return
	}
	notice(log, fmt.Sprintf("Binding to %s port %s on host %s with IPv%s", proto, asked, s.Host, s.IPv))
	switch {
	case asked == "0":
		notice(log, "  Bound to auto-assigned port "+s.Port)
	case asked != s.Port:
		notice(log, fmt.Sprintf("  Bound to service port %s(%s)", asked, s.Port))
	}
}

// logTLS logs what collectTLS finds.
func logTLS(log *slog.Logger, ts []proto.Transport) {
	collectTLS(ts, func(line string) { notice(log, line) })
}

// collectTLS names what is odd about TLS ports, and certificates that were
// made in memory, so that their owner can compare the fingerprint with what a
// client sees.
func collectTLS(ts []proto.Transport, add func(line string)) {
	seen := make(map[string]bool)
	for _, s := range sourcesOf(ts) {
		for _, w := range s.Warnings() {
			add(w)
		}
		if c := s.SelfSigned(); c != nil && !seen[c.Fingerprint()] {
			seen[c.Fingerprint()] = true
			add("TLS ports show a certificate made in memory, which clients cannot verify: " + c.Fingerprint())
		}
	}
}

func notice(log *slog.Logger, msg string) {
	log.Log(context.Background(), netserver.LevelNotice, msg)
}
