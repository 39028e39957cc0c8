package supervisor

import (
	"fmt"
	"os"
	"strings"
	"time"

	"netserver/daemon/internal/wire"
	"netserver/internal/childproc"
	"netserver/tlsparams"
)

// A helper is a process beside the workers that serves no client, and what its
// next one is started from: it has the workers' user and sandbox, is started
// again when it dies, outlives reloads and ends with the server. The loop owns
// its fields. It is as the server was started with: a reload changes nothing of
// it.
type helper struct {
	s        *supervisor
	task     helperTask
	gen      *generation   // which it alone is of; it serves no client
	proc     *child        // nil: it is not running
	gone     chan struct{} // closed when proc has ended
	failures int           // one after the other
	replaced *child        // was told to end, so that another takes its place
	ending   time.Duration // how long it may take to end
}

// A helperTask is what a helper process is there for.
type helperTask interface {
	// prepare completes what the process starts from, and says what it inherits
	// for that.
	prepare(in *wire.Start) (helperLinks, error)
	// peer says what the process may say, and how many messages a second.
	peer() (from wire.Peer, perSecond int)
	// hear acts on a message that its rule has found good and that is not one of
	// those that all helpers have. The loop calls it.
	hear(w *child, m wire.Message) error
	// ended is called by the loop when the process has ended.
	ended(w *child)
}

// helperLinks are a process's own ways to the supervisor.
type helperLinks struct {
	keep  []*os.File     // inherited files, which the next process has too
	files []*os.File     // inherited files behind those, closed when they were handed over
	begin func(w *child) // called once it runs; nil is nothing
	end   func()         // closes our ends, when it has ended or could not be started; nil is nothing
}

func (l helperLinks) close() {
	wire.CloseFiles(l.files)
	if l.end != nil {
		l.end()
	}
}

// start starts the process, or says why it cannot and tries again later.
func (h *helper) start() {
	if err := h.spawn(); err != nil {
		from, _ := h.task.peer()
		h.s.log.Error(fmt.Sprintf("cannot start the %s", from.Sender), "err", err)
		h.again()
	}
}

// again starts the process after a while, which grows.
func (h *helper) again() {
	d := min(firstDelay<<min(h.failures, 16), maxDelay)
	h.failures++
	h.s.after(d, func() {
		if !h.s.ending || h.s.count() > 0 {
			h.start()
		}
	})
}

func (h *helper) spawn() error {
	s, g := h.s, h.gen
	in := &wire.Start{Plan: g.plan, Follow: g.follows()}
	links, err := h.task.prepare(in)
	if err != nil {
		return err
	}
	keys, err := g.keyAgent.link(in)
	if err != nil {
		links.close()
		return err
	}
	files := append(links.keep[:len(links.keep):len(links.keep)], links.files...)
	w, err := s.startProcess(g, in, childproc.Start{Files: keys.add(files)})
	keys.begin(s, w)
	if err != nil {
		links.close()
		return err
	}
	wire.CloseFiles(links.files)
	w.id = 1
	h.proc, h.gone = w, make(chan struct{})
	g.workers[w] = struct{}{}
	if links.begin != nil {
		links.begin(w)
	}
	go h.attend(w, h.gone, links)
	return nil
}

// attend waits for the end of the process, and buries it.
func (h *helper) attend(w *child, gone chan<- struct{}, links helperLinks) {
	s := h.s
	heard := make(chan struct{})
	go func() { defer close(heard); h.listen(w) }()
	how := explainEnd(w.proc.Wait())
	w.proc.KillGroup()
	s.lastWords(w, heard)
	w.pipes.Finish()
	if links.end != nil {
		links.end() // it may have handed its end to another process
	}
	close(gone)
	s.post(func() { h.reap(w, how) })
	w.proc.Link.Close()
}

// listen takes the messages of the process until its link ends.
func (h *helper) listen(w *child) {
	s, g := h.s, h.gen
	limit := wire.Limiter{PerSecond: maxFileRate}
	from, perSecond := h.task.peer()
	err := s.listenTo(w, from, perSecond, func(m wire.Message) error {
		switch m.Op {
		case wire.OpRead:
			data, err := g.allowed.answer(m)
			limit.WaitFor(len(data) + minFileCost)
			return wire.Send(w.proc.Link, wire.Message{Op: wire.OpData, ID: m.ID, Data: data, Failed: wire.FailureText(err)})
		case wire.OpLoad:
			pair := g.keyAgent.load(tlsparams.Files{Cert: m.Path, Key: m.Key}, digestOf(m.Have), m.Fresh)
			return wire.Send(w.proc.Link, wire.Message{Op: wire.OpData, ID: m.ID, Pair: pair})
		case wire.OpReady:
			s.post(func() {
				if !w.ready {
					w.ready = true
					s.log.Info(fmt.Sprintf("the %s serves, pid %d", w.kind, w.proc.Pid()), "sandbox", m.Sandbox)
				}
			})
		case wire.OpFailed:
			s.post(func() { w.reason = m.Lines })
		default:
			s.post(func() {
				if !w.gone {
					s.obeyed(w, func() error { return h.task.hear(w, m) })
				}
			})
		}
		return nil
	})
	s.heardLast(w, err)
}

// reap acts on the end of the process: another is started.
func (h *helper) reap(w *child, how string) {
	s := h.s
	w.gone = true
	w.keyLink.end()
	close(w.outbox)
	delete(h.gen.workers, w)
	s.left.note()
	if h.proc == w {
		h.proc = nil
	}
	h.task.ended(w)
	if s.ending && s.count() == 0 {
		return
	}
	if how == "" {
		how = "by itself"
	}
	if len(w.reason) > 0 {
		how = strings.Join(w.reason, "; ")
	}
	if time.Since(w.began) >= steady || w == h.replaced {
		h.failures = 0
	}
	if !w.broke && w != h.replaced {
		s.log.Error(fmt.Sprintf("the %s (pid %d) ended unexpectedly: %s; starting a replacement", w.kind, w.proc.Pid(), how))
	}
	h.again()
}

// replace has another process take the place of this one.
func (h *helper) replace() {
	if h.proc != nil {
		h.replaced = h.proc
		h.proc.tell(wire.Message{Op: wire.OpStop})
	}
}

// end ends the process with the server, after the loop.
func (h *helper) end() {
	if h == nil {
		return
	}
	if w := h.proc; w != nil {
		w.tell(wire.Message{Op: wire.OpStop})
		t := time.NewTimer(h.ending)
		defer t.Stop()
		select {
		case <-h.gone:
		case <-t.C:
			w.proc.Kill()
			<-h.gone
		}
	}
	if h.gen != nil {
		h.gen.close()
	}
}
