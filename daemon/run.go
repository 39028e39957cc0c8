package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"time"

	"netserver"
	"netserver/conf"
	"netserver/logs"
	"netserver/port"
	"netserver/proto"
	"netserver/tlsparams"
)

// A program is a Server that is ready to be run.
type program struct {
	conf       *Config
	server     *netserver.Server
	transports []proto.Transport // of the ports; nil if they are wrong
	notes      []string          // lines for the log that the configuration caused
	stop       context.CancelFunc
}

// prepare makes everything that can be made before a port is opened, and
// collects what is wrong with it.
func (c *Config) prepare(ctx context.Context, res *conf.Result, environ []string) (*program, error) {
	p := &program{conf: c, server: new(netserver.Server), stop: func() {}}
	notes, err := c.resolvePorts(ctx, res, variables(environ))
	p.notes = notes
	errs := []error{err}
	if c.Type == "Single" {
		c.Server.MaxServing = 1
	}
	h, err := c.handler(p, res)
	errs = append(errs, err)
	p.server.Handler = h
	p.server.Config = c.Server
	if len(c.Server.Ports) > 0 {
		p.transports, err = p.server.Transports()
		errs = append(errs, err)
	}
	return p, errors.Join(errs...)
}

// run opens the ports and serves until a signal ends it.
func (p *program) run(stderr io.Writer) int {
	defer outlivePipes()()
	log, closeLog, err := p.openLog(stderr)
	if err != nil {
		return fail(stderr, err)
	}
	defer closeLog()
	p.server.Log = log
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	p.stop = stop
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, watched...)
	defer signal.Stop(signals)

	notice(log, fmt.Sprintf("%s starting! pid(%d)", p.conf.label(), os.Getpid()))
	for _, n := range p.notes {
		notice(log, n)
	}
	ls, err := p.server.Listen(ctx)
	if err != nil {
		for _, e := range lines(err) {
			log.Error(e.Error())
		}
		return exitFailed
	}
	for _, l := range ls {
		logBound(log, l)
	}
	logTLS(log, netserver.TransportsOf(ls))
	if err := p.checkTarget(ls); err != nil {
		for _, l := range ls {
			l.Close()
		}
		log.Error(err.Error())
		return exitUsage
	}
	done := make(chan struct{})
	defer close(done)
	go p.obey(log, signals, done)
	err = p.server.Serve(ctx, ls...)
	notice(log, "Server closing!")
	if err != nil && !errors.Is(err, netserver.ErrCut) {
		log.Error(err.Error())
		return exitFailed
	}
	if err != nil {
		notice(log, err.Error())
	}
	return exitDone
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

// exit ends the server as TERM does; the line "exit" of the echo calls it.
func (p *program) exit() { p.server.Close() }

// obey carries out signals until done is closed.
func (p *program) obey(log *slog.Logger, signals <-chan os.Signal, done <-chan struct{}) {
	stopping := false
	for {
		select {
		case <-done:
			return
		case s := <-signals:
			name := strings.ToUpper(signalName(s))
			switch {
			case s == sigReload:
				notice(log, "Received a SIG "+name+": a restart in place is not built yet; nothing is changed")
				continue
			case s == sigDrain && !stopping:
				notice(log, fmt.Sprintf("Received a SIG %s: no more clients; those here have %v", name, p.grace()))
				p.stop()
			default:
				notice(log, "Received a SIG "+name+": stopping")
				p.server.Close()
			}
			stopping = true
		}
	}
}

func (p *program) grace() string {
	if g := p.conf.Server.Grace; g > 0 {
		return g.String()
	}
	return "no time"
}

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

// logTLS names certificates that were made in memory, so that their owner can
// compare the fingerprint with what a client sees.
func logTLS(log *slog.Logger, ts []proto.Transport) {
	seen := make(map[string]bool)
	for _, t := range ts {
		s, ok := t.(interface{ Source() *tlsparams.Source })
		if !ok {
			continue
		}
		for _, w := range s.Source().Warnings() {
			log.Warn(w)
		}
		if c := s.Source().SelfSigned(); c != nil && !seen[c.Fingerprint()] {
			seen[c.Fingerprint()] = true
			notice(log, "TLS ports show a certificate made in memory, which clients cannot verify: "+c.Fingerprint())
		}
	}
}

func notice(log *slog.Logger, msg string) {
	log.Log(context.Background(), netserver.LevelNotice, msg)
}

// flushTime bounds how long the end of the program waits for the log.
const flushTime = 2 * time.Second

// openLog makes the logger. The function it returns writes out what is left.
// Nothing that logs ever waits for the disk or the reader of a pipe.
func (p *program) openLog(stderr io.Writer) (*slog.Logger, func(), error) {
	format := logs.NewLine
	if p.conf.LogFormat == "json" {
		format = logs.NewJSON
	}
	out, closeFile := stderr, func() error { return nil }
	if name := p.conf.LogFile; name != "" {
		f, err := logs.OpenFile(name)
		if err != nil {
			return nil, nil, fmt.Errorf("log_file %s: %w", name, err)
		}
		out, closeFile = f, f.Close
	}
	queue := logs.NewAsync(out, 0, format)
	end := func() {
		ctx, cancel := context.WithTimeout(context.Background(), flushTime)
		defer cancel()
		queue.Close(ctx)
		closeFile()
	}
	return slog.New(format(queue, logs.Options{Level: logs.Level(p.conf.LogLevel)})), end, nil
}
