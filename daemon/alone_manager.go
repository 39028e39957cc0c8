package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"netserver/daemon/internal/wire"
	"netserver/internal/systemd"
	"netserver/port"
	"netserver/sock"
)

// useManager finds the service manager of a program that serves in this
// process. One that passes sockets needs a supervisor, which knows how to hand
// them on.
func (p *program) useManager() error {
	if p.conf.Type == typeINET {
		return nil
	}
	p.manager = systemd.ManagerOf(os.Environ())
	given, err := systemd.Activated(os.Environ())
	wire.CloseFiles(given)
	if err == nil && len(given) > 0 {
		err = errors.New("the service manager opened sockets, which supervisor 0 cannot take: leave the key out")
	}
	return err
}

// tellManager tells the service manager something, if there is one.
func (p *program) tellManager(log *slog.Logger, lines ...string) {
	if err := p.manager.Notify(lines...); err != nil {
		log.Warn(err.Error())
	}
}

// ready notes that the program serves, and tells the service manager.
func (p *program) ready(log *slog.Logger) {
	p.begun.Store(true)
	p.tellManager(log, "READY=1", fmt.Sprintf("MAINPID=%d", os.Getpid()), "STATUS=serving")
}

// endingNow notes that the server ends, and tells the service manager and the
// program's hook once.
func (p *program) endingNow(log *slog.Logger) {
	if p.ending.Swap(true) {
		return
	}
	p.tellManager(log, systemd.StoppingLines(p.conf.graceTime()+p.conf.graceSpread()+2*wire.EndTime)...)
	if p.tellEnding != nil {
		p.tellEnding()
	}
}

// watchdog tells the service manager that the program is alive, as often as it
// wants to hear, until done is closed.
func (p *program) watchdog(log *slog.Logger, done <-chan struct{}) {
	every := p.manager.Watchdog() / 2
	if every <= 0 {
		return
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		p.tellManager(log, "WATCHDOG=1")
		select {
		case <-t.C:
		case <-done:
			return
		}
	}
}

// oneEnd is what is left of Hooks to run for a server in one process.
type oneEnd struct {
	h    Hooks
	once sync.Once
}

// begin runs what comes before the first client, where one process is both
// supervisor and worker.
func (h Hooks) begin(ctx context.Context, ls []net.Listener) (*oneEnd, error) {
	if h.Bound != nil {
		var ports []port.Spec
		for _, l := range ls {
			if b, ok := l.(sock.Named); ok {
				ports = append(ports, b.Spec())
			}
		}
		h.Bound(ports)
	}
	if h.WorkerStart != nil {
		if err := h.WorkerStart(ctx); err != nil {
			return nil, fmt.Errorf("Hooks.WorkerStart: %w", err)
		}
	}
	if h.Serving != nil {
		h.Serving()
	}
	return &oneEnd{h: h}, nil
}

// ending runs Ending, if that has not been done.
func (e *oneEnd) ending() {
	e.once.Do(func() {
		if e.h.Ending != nil {
			e.h.Ending()
		}
	})
}

// ended runs what comes after the last client.
func (e *oneEnd) ended() {
	e.ending() // all listeners have ended by themselves
	if e.h.WorkerStop != nil {
		e.h.WorkerStop()
	}
	if e.h.Ended != nil {
		e.h.Ended()
	}
}
