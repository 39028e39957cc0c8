package supervisor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"syscall"
	"time"

	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/tlsparams"
)

// lastWordsTime bounds how long what a process said before its end is waited
// for.
const lastWordsTime = 5 * time.Second

// attend waits for a worker's end, and buries it: whatever becomes of its
// link, which a child that it leaves behind may keep open.
func (s *supervisor) attend(w *child, allowed *allowed) {
	heard := make(chan struct{})
	go func() { defer close(heard); s.hearWorker(w, allowed) }()
	ended := explainEnd(w.proc.Wait())
	s.lastWords(w, heard)
	w.pipes.Finish()
	s.post(func() { s.reap(w, ended) })
	w.proc.Link.Close()
}

// lastWords waits until heard is closed, when all that a process has said
// before its end has been heard.
func (s *supervisor) lastWords(w *child, heard <-chan struct{}) {
	w.proc.Link.CloseRead() // what has been sent is still to be had
	t := time.NewTimer(lastWordsTime)
	defer t.Stop()
	select {
	case <-heard:
	case <-t.C:
	}
}

// hearWorker takes a worker's messages until its link ends.
func (s *supervisor) hearWorker(w *child, allowed *allowed) {
	from := wire.Peer{Sender: wire.FromWorker, Ports: len(w.gen.plan.Ports), Exit: w.gen.conf.ClientsMayExit, Targets: w.gen.conf.Targets}
	files := wire.Limiter{PerSecond: maxFileRate}
	err := s.listenTo(w, from, 2000, func(m wire.Message) error {
		switch m.Op {
		case wire.OpRead:
			data, err := allowed.answer(m)
			files.WaitFor(len(data) + minFileCost)
			return wire.Send(w.proc.Link, wire.Message{Op: wire.OpData, ID: m.ID, Data: data, Failed: wire.FailureText(err)})
		case wire.OpLoad:
			pair := w.gen.keyAgent.load(tlsparams.Files{Cert: m.Path, Key: m.Key}, digestOf(m.Have), m.Fresh)
			return wire.Send(w.proc.Link, wire.Message{Op: wire.OpData, ID: m.ID, Pair: pair})
		case wire.OpStaple:
			return s.hearStaple(w, m)
		default:
			s.post(func() { s.obeyed(w, func() error { return s.hear(w, m) }) })
		}
		return nil
	})
	s.heardLast(w, err)
}

// heardLast acts on the end of what a process says.
func (s *supervisor) heardLast(c *child, err error) {
	if linkEnded(err) {
		// It closes its link last of all.
		time.AfterFunc(wire.EndTime, func() { c.proc.Kill() })
		return
	}
	s.broke(c, err)
}

// linkEnded reports whether err is that of a link whose other end is closed.
func linkEnded(err error) bool {
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, syscall.EPIPE, syscall.ECONNRESET} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// write sends what tell queues, until the outbox is closed.
func (s *supervisor) write(c *child) {
	var failed bool
	for m := range c.outbox {
		if !failed {
			err := wire.Send(c.proc.Link, m)
			if failed = err != nil; failed && !linkEnded(err) {
				s.broke(c, err)
			}
		}
	}
}

// What a worker may have read for it in a second, in bytes; each file counts
// as minFileCost more.
const (
	maxFileRate = 64 << 20
	minFileCost = 16 << 10
)

// listenTo has act carry out the messages of c until its link ends, or it
// breaks the protocol, or act fails or panics.
func (s *supervisor) listenTo(c *child, from wire.Peer, perSecond int, act func(wire.Message) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = panicked(r)
		}
	}()
	limit := wire.Limiter{PerSecond: perSecond}
	for {
		c.busy.Store(false)
		m, err := wire.ReceiveFrom(c.proc.Link, from.Longest(), from)
		c.busy.Store(true)
		limit.Wait()
		if err == wire.ErrSkip {
			continue
		}
		if err == nil {
			err = act(m)
		}
		if err != nil {
			return err
		}
	}
}

// obeyed is called by the loop with what does something that w said. That does
// not end the supervisor, whatever it is.
func (s *supervisor) obeyed(w *child, f func() error) {
	defer func() {
		if r := recover(); r != nil {
			s.brokeNow(w, panicked(r))
		}
	}()
	if err := f(); err != nil {
		s.brokeNow(w, err)
	}
}

func panicked(r any) error {
	return fmt.Errorf("panic in the supervisor, which continues: %v\n%s", r, debug.Stack())
}

// broke ends a process that does not keep to the protocol, or does not listen.
func (s *supervisor) broke(c *child, err error) {
	s.post(func() { s.brokeNow(c, err) })
}

func (s *supervisor) brokeNow(c *child, err error) {
	if c.gone || c.broke {
		return
	}
	c.broke = true
	s.log.Error(fmt.Sprintf("%s %d (pid %d) violates the supervisor's protocol; killing it: %v", c.kind, c.id, c.proc.Pid(), err))
	c.proc.Kill()
}

// hear acts on a worker's message, which its rule has found good.
func (s *supervisor) hear(w *child, m wire.Message) error {
	if w.gone {
		return nil
	}
	switch m.Op {
	case wire.OpReady:
		if w.ready {
			return errors.New("ready: sent twice")
		}
		s.hearReady(w, m)
	case wire.OpFailed:
		w.reason = m.Lines
	case wire.OpStatus:
		s.hearStatus(w, *m.Status)
		s.manage(w.gen)
	case wire.OpCounts:
		s.hearCounts(w, m)
	case wire.OpMetrics:
		if !w.metrics.Take(m.Metrics, wire.MaxSeries(len(w.gen.plan.Ports), len(w.gen.conf.Targets))) {
			return errors.New("metrics: too many series")
		}
	case wire.OpAnswer:
		m.Answer.NameCerts(w.gen.plan.PortNames(), w.gen.mayServe)
		m.Answer.NamePorts(w.gen.plan.PortNames())
		return w.asks.answered(m.ID, m.Answer)
	case wire.OpShare:
		s.hearShared(w, m.Shared)
	case wire.OpEcho:
		s.echoed(w, m.ID)
	case wire.OpDismissed:
		s.dismiss(w)
	case wire.OpExit:
		if !s.ending {
			logging.Notice(s.log, "a client requested shutdown")
			s.end(true)
		}
	}
	return nil
}

func (s *supervisor) hearReady(w *child, m wire.Message) {
	w.ready = true
	w.gen.sandbox = m.Sandbox
	w.echo = echoState{echoes: m.Echoes}
	if w.id == 1 {
		for _, line := range m.Lines {
			logging.Notice(s.log, line)
		}
	}
	s.tellChanges(w)
	if n := s.cluster.known(); n != nil { // what has come since its start
		n.Others = s.beside(n.Others)(w)
		w.tell(wire.Message{Op: wire.OpNews, News: n})
	}
	s.isReady(w.gen)
	if w.gen.follows() {
		// What was changed since the check may be good.
		w.tell(wire.Message{Op: wire.OpFiles})
	}
	switch {
	case s.ending:
		s.finish(w, s.cutting)
	case w.gen.failed:
		s.finish(w, false)
	case w.gen.leaving:
		w.tell(wire.Message{Op: wire.OpLeave, Leave: &wire.Leave{}})
	default:
		s.manage(w.gen)
	}
}

func (s *supervisor) hearStatus(w *child, st wire.Status) {
	if st.Total > w.status.Total {
		w.gen.client = time.Now()
	}
	w.status = st
	w.leaving = w.leaving || st.Leaving
}
