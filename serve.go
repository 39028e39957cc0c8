package netserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"netserver/internal/admit"
	"netserver/internal/deadline"
	"netserver/internal/hello"
	"netserver/internal/lograte"
	"netserver/internal/slots"
	"netserver/logs"
	"netserver/port"
	"netserver/proto"
	"netserver/sock"
	"netserver/tlsparams"
)

// A run is one call of Serve.
type run struct {
	srv   *Server
	cfg   effective // a copy, so that no caller can change it under us
	log   *slog.Logger
	ls    []*listening
	gate  *slots.Gate
	rules rules
	// queue gives handshakes the CPU in turns; nil if they take it as they come
	queue   *admit.Queue
	limiter *admit.Limiter
	room    *hello.Room // nil if a goroutine waits for each hello

	helpers     sync.WaitGroup // what runs beside the clients
	stopHelpers context.CancelFunc

	lastID   atomic.Uint64
	serving  atomic.Int64  // clients in the Handler
	served   atomic.Uint64 // that have been in it
	clients  clients
	pool     *slots.Pool[*Conn]
	samples  *lograte.Sampler
	draining chan struct{} // closed when the server stops taking clients
	shut     chan struct{} // closed by shutdown: drain, without a grace time
	shutOnce sync.Once
	now      chan struct{} // closed by cutNow: cut everybody
	nowOnce  sync.Once
	done     chan struct{} // closed when the last client is gone
	starved  atomic.Bool   // an accept loop is out of descriptors
	freed    chan struct{} // a client has been closed while starved
}

// A listening is one listener being served.
type listening struct {
	net.Listener
	spec      port.Spec
	cfg       effective // with the port's own values
	transport proto.Transport
	header    *headerRule      // for PROXY headers, if its clients begin with them
	recheck   recheck          // of clients' certificates
	plain     bool             // Ready does not wait
	hello     bool             // its clients begin with a TLS record
	deferral  hello.Deferral   // of clients that say nothing, while many reset
	price     int64            // bytes that a new connection takes
	stall     bool             // the kernel ends clients that take no bytes
	datagram  chan struct{}    // for datagram ports: a slot for each one being served
	limits    deadline.Values  // of its clients
	minimum   deadline.Minimum // rates of its clients
	lost      error            // who closed it was not us; for serve, when its accept loop has ended
	tally
}

func newRun(s *Server, rules rules, configs []*portConfig, ls []net.Listener) *run {
	r := &run{
		srv:      s,
		cfg:      s.Config.effective(s.Handler),
		log:      s.log(),
		rules:    rules,
		draining: make(chan struct{}),
		shut:     make(chan struct{}),
		now:      make(chan struct{}),
		done:     make(chan struct{}),
		freed:    make(chan struct{}, 1),
	}
	r.samples = lograte.New(r.log, logs.Notice, outcomeNames[:])
	r.pool = slots.NewPool((*Conn).resume)
	for i, l := range ls {
		r.ls = append(r.ls, r.listening(l, configs[i]))
	}
	r.queue = r.newQueue()
	r.limiter = r.newLimiter()
	r.gate = slots.NewGate(r.cfg.MaxConns, r.cfg.MaxServing, ls)
	return r
}

func (r *run) listening(l net.Listener, pc *portConfig) *listening {
	v := &listening{
		Listener: l, spec: pc.spec, cfg: pc.effective, header: pc.header,
		price: priceWaiting, plain: true, recheck: recheck{wake: make(chan struct{}, 1)},
	}
	if o, ok := l.(*listener); ok {
		v.transport = o.transport
		p, ok := o.transport.(proto.Plain)
		v.plain = ok && p.Plain()
		if t, ok := o.transport.(interface{ Source() *tlsparams.Source }); ok {
			if n := t.Source().Params().MaxLine; n > 0 {
				v.cfg.MaxLine = n
			}
		}
		_, v.hello = o.transport.(*proto.TLSTransport)
	}
	if t, ok := below(l).(*sock.StreamListener); ok {
		v.stall = t.SendTimeout() > 0
		v.deferral.Init(t, v.cfg.deferAccept(v.transport))
	}
	if d, ok := below(l).(*sock.DatagramListener); ok {
		v.price = 0
		v.datagram = make(chan struct{}, v.cfg.MaxDatagrams)
		d.OnOversize = func(from net.Addr, size int) { r.logOversize(v.spec, d, from, size) }
	}
	v.prepareLimits()
	return v
}

// prepareLimits works out, once, the time limits of the port's clients.
func (l *listening) prepareLimits() {
	if l.datagram != nil {
		return // a datagram waits for nothing
	}
	c := &l.cfg
	l.limits = deadline.Values{Idle: c.IdleTimeout, Write: c.WriteTimeout, Life: c.MaxLife, FirstRequest: c.FirstRequestTimeout}
	if l.stall {
		l.limits.Write = 0 // the kernel sees to it
	}
	l.minimum = deadline.Minimum{Read: c.MinReadRate, Write: c.MinWriteRate, Window: c.MinRateWindow}
}

// serve accepts until ctx is done, the listeners have ended or the server was
// stopped, and then sees the clients off: after shutdown in the background.
func (r *run) serve(ctx context.Context) error {
	var loops sync.WaitGroup
	helpersCtx, stopHelpers := context.WithCancel(context.WithoutCancel(ctx))
	r.stopHelpers = stopHelpers
	r.startHelpers(helpersCtx, &r.helpers)
	if r.room = r.newRoom(); r.room != nil {
		r.helpers.Go(r.room.Run)
	}
	for _, l := range r.ls {
		loops.Go(func() { r.acceptLoop(l) })
	}
	ended := make(chan struct{})
	go waitThenClose(&loops, ended)

	select {
	case <-ctx.Done():
	case <-r.shut:
	case <-r.now:
	case <-ended:
		// The listeners are gone but the clients may stay.
		r.awaitClients(ctx.Done(), r.shut, r.now, nil)
	}
	shut := r.isShut()
	close(r.draining)
	r.interruptAccept()
	<-ended
	closeListening(r.ls)
	if shut {
		go r.seeOff(true)
		return ErrServerClosed
	}
	return r.seeOff(false)
}

// seeOff waits for the clients, cuts those who have to go, and frees what the
// run has.
func (r *run) seeOff(shut bool) error {
	err := r.drain(shut)
	r.clients.release()
	r.pool.Stop()
	r.room.Close()
	r.samples.Flush()
	r.stopHelpers()
	r.helpers.Wait()
	for _, l := range r.ls {
		err = errors.Join(err, l.lost)
	}
	r.srv.untrack(r)
	return err
}

// startHelpers starts what the ports' Transports do beside serving clients.
// Ports that share a Transport share its work.
func (r *run) startHelpers(ctx context.Context, wg *sync.WaitGroup) {
	r.warnDescriptors()
	r.followRules(ctx, wg)
	running := make(map[any]bool)
	for _, l := range r.ls {
		if w, ok := l.transport.(proto.Runner); ok {
			key := any(w)
			if st, ok := l.transport.(proto.Startable); ok {
				key = st.TLS
			}
			if !running[key] {
				running[key] = true
				wg.Go(func() { w.Run(ctx) })
			}
		}
		if j, ok := l.transport.(proto.Judge); ok {
			wg.Go(func() { r.judgeLoop(ctx, l, j) })
		}
	}
}

// interruptAccept makes the accept loops return from Accept: to take what is
// in the backlog and end, or to end at once if the server was closed.
func (r *run) interruptAccept() {
	for _, l := range r.ls {
		if r.isNow() || slots.SetAcceptDeadline(l.Listener, time.Now().Add(backlogPause)) != nil {
			l.Close()
		}
	}
}

func closeListening(ls []*listening) {
	for _, l := range ls {
		l.Close()
	}
}

// awaitClients waits until the last client is gone and then returns true. It
// returns false when one of the channels has something earlier; nil channels
// never do.
func (r *run) awaitClients(stop, shut, now <-chan struct{}, t <-chan time.Time) bool {
	gone := r.clients.gone()
	select {
	case <-gone:
		return true
	case <-stop:
	case <-shut:
	case <-now:
	case <-t:
	}
	return false
}

// shutdown makes serve return and leaves the clients, cutNow cuts them, and
// closeNow does both.
func (r *run) shutdown() { r.shutOnce.Do(func() { close(r.shut) }) }
func (r *run) cutNow()   { r.nowOnce.Do(func() { close(r.now) }) }
func (r *run) closeNow() { r.shutdown(); r.cutNow() }

func (r *run) isNow() bool  { return isDone(r.now) }
func (r *run) isShut() bool { return isDone(r.shut) }

func isDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func waitThenClose(wg *sync.WaitGroup, c chan struct{}) {
	wg.Wait()
	close(c)
}

// acceptLoop takes clients from one listener. It does nothing that can wait
// for a client, and ends only when the listener has.
func (r *run) acceptLoop(l *listening) {
	defer r.acceptBacklog(l)
	b := backoff{run: r, port: l.spec}
	for r.gate.Wait(l.Listener, r.draining) {
		if l.datagram != nil {
			select {
			case l.datagram <- struct{}{}:
			case <-r.draining:
				return
			}
		}
		nc, err := l.Accept()
		if err == nil {
			b.reset()
			r.take(l, nc)
			continue
		}
		l.datagramDone()
		if r.isDraining() || errors.Is(err, io.EOF) {
			return
		}
		if errors.Is(err, net.ErrClosed) {
			r.lose(l, err)
			return
		}
		if deadline.IsTimeout(err) {
			continue // the gate interrupted us
		}
		if !b.wait(err) {
			return
		}
	}
}

// lose notes that somebody closed the listener under us.
func (r *run) lose(l *listening, err error) {
	if o, ok := l.Listener.(*listener); ok && o.retired.Load() {
		return
	}
	l.lost = &Error{Stage: StageAccept, Port: l.spec, Err: fmt.Errorf("the listener was closed while it was served: %w", err)}
	r.log.LogAttrs(context.Background(), slog.LevelError, "the listener was closed while it was served; nothing more is accepted on this port",
		slog.String("port", l.spec.Short()), slog.Any("err", err))
}

// backlogPause is how long a draining accept loop waits for one more client,
// and backlogTime how long it goes on while they come.
const (
	backlogPause = 10 * time.Millisecond
	backlogTime  = 500 * time.Millisecond
)

// acceptBacklog takes the clients that have connected but were not accepted
// when the drain began. Their connect has succeeded, and closing the listener
// would reset them. (datagrams: they were sent, and are in the socket.)
func (r *run) acceptBacklog(l *listening) {
	if !r.isDraining() {
		return // the listener has ended by itself
	}
	for end := time.Now().Add(backlogTime); time.Now().Before(end) && !r.isNow() && r.gate.HasRoom(); {
		if slots.SetAcceptDeadline(l.Listener, time.Now().Add(backlogPause)) != nil || !l.tryDatagram() {
			return
		}
		nc, err := l.Accept()
		if err != nil {
			l.datagramDone()
			return
		}
		r.take(l, nc)
	}
}

// take sees to a connection that was accepted. It waits for nothing.
func (r *run) take(l *listening, nc net.Conn) {
	first := hello.Unseen
	if l.hello && l.header == nil && r.queue != nil {
		first = hello.Peek(nc)
		l.deferral.Took(first.Err != nil)
		if first.Err != nil && !r.srv.Hooks.seeClients() {
			r.gone(l, nc, first.Err)
			return
		}
	}
	if r.enter(l, nc) {
		r.start(l, nc, first)
	} else if l.datagram != nil {
		<-l.datagram
	}
}

// tryDatagram takes a place for a datagram, if there is one; on stream ports
// there always is.
func (l *listening) tryDatagram() bool {
	if l.datagram == nil {
		return true
	}
	select {
	case l.datagram <- struct{}{}:
		return true
	default:
		return false
	}
}

// datagramDone gives the place back.
func (l *listening) datagramDone() {
	if l.datagram != nil {
		<-l.datagram
	}
}

// start counts a client and sends it on its way.
func (r *run) start(l *listening, nc net.Conn, first hello.State) {
	if l.header != nil && l.header.optional {
		nc = proto.Peekable(nc)
	}
	c := newConn(r, l, nc)
	if d := l.deferral.Now(); d > 0 && !first.Begun() {
		c.begin = c.begin.Add(-d) // it said nothing for so long
	}
	r.gate.Opened()
	r.clients.prepare(c)
	if l.plain || r.queue == nil && l.header != nil {
		r.clients.add(c)
		go c.live(StageAccept)
		return
	}
	if l.header == nil {
		c.enqueue()
	}
	r.clients.add(c)
	if r.queue == nil {
		r.pool.Run(c)
		return
	}
	if l.header != nil || r.srv.Hooks.seeClients() {
		go c.arrive(first) // what a program adds may wait
		return
	}
	// Rules for addresses take less than starting a goroutine.
	c.arrive(first)
}

func (r *run) isDraining() bool { return isDone(r.draining) }

// A backoff slows an accept loop down while the system refuses, and logs that
// at most once a second.
type backoff struct {
	run    *run
	port   port.Spec
	delay  time.Duration
	logged time.Time
	errors int
}

// maxBackoff is short: what frees a descriptor may be no client.
const maxBackoff = 50 * time.Millisecond

func (b *backoff) reset() {
	if b.delay == 0 {
		return
	}
	b.run.log.Log(context.Background(), logs.Notice, "accepting again",
		"port", b.port.Short(), "failed", b.errors)
	b.delay, b.errors, b.logged = 0, 0, time.Time{}
}

// wait pauses after err, a little longer each time. It returns false when the
// server drains.
func (b *backoff) wait(err error) bool {
	if errors.Is(err, syscall.ECONNABORTED) {
		return true // that client left before we came: nobody's fault
	}
	b.errors++
	if now := time.Now(); now.Sub(b.logged) >= time.Second {
		b.logged = now
		b.run.log.Log(context.Background(), slog.LevelError,
			"cannot accept; clients wait in the backlog: "+acceptAdvice(err),
			"port", b.port.Short(), "err", err, "failed", b.errors,
			"clients", b.run.clients.count())
	}
	b.delay = min(max(2*b.delay, 5*time.Millisecond), maxBackoff)
	b.run.starved.Store(true)
	t := time.NewTimer(b.delay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-b.run.freed: // a descriptor came back: try at once
	case <-b.run.draining:
		return false
	}
	return true
}

func acceptAdvice(err error) string {
	switch {
	case errors.Is(err, syscall.EMFILE):
		return "the process is out of descriptors (raise its limit, ulimit -n, or set max_connections)"
	case errors.Is(err, syscall.ENFILE):
		return "the system is out of descriptors (raise fs.file-max)"
	default:
		return "the system refuses"
	}
}
