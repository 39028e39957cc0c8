package netserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"netserver/internal/admit"
	"netserver/internal/answer"
	"netserver/internal/deadline"
	"netserver/internal/hello"
	"netserver/internal/lograte"
	"netserver/internal/metric"
	"netserver/internal/session"
	"netserver/internal/slots"
	"netserver/logs"
	"netserver/outcome"
	"netserver/port"
	"netserver/proto"
	"netserver/sock"
)

// A run is one call of Serve.
type run struct {
	name string // that no other has
	srv  *Server
	cfg  effective // a copy, so that no caller can change it under us
	log  *slog.Logger
	ls   []*listening
	gate *slots.Gate
	// queue gives handshakes the CPU in turns; nil if they take it as they come
	queue   *admit.Queue
	limiter *admit.Limiter
	hellos  helloBuffers
	room    *hello.Room // nil if a goroutine waits for each hello
	parks   parks

	helpers     sync.WaitGroup // what runs beside the clients
	stopHelpers context.CancelFunc

	lastID   atomic.Uint64
	boxings  atomic.Uint64 // into the penalty box
	mix      metric.Mix    // of finished handshakes
	serving  atomic.Int64  // clients in the Handler
	served   atomic.Uint64 // that have been in it
	clients  clients
	pool     *slots.Pool[*Conn]
	packets  *slots.Pool[*Conn] // of datagrams
	answers  *answer.Answers    // of ports with Health
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
	place     int       // in run.ls
	cfg       effective // with the port's own values
	transport proto.Transport
	handler   Handler          // who serves its clients
	route     []step           // what its clients pass through
	woken     step             // what those pass through who were parked
	rules     *rules           // who may connect
	limiter   *admit.Limiter   // counts its clients by source for limits of its own; nil without such
	beside    *Admission       // those limits
	header    *headerRule      // for PROXY headers, if its clients begin with them
	recheck   recheck          // of clients' certificates
	answer    []byte           // what Health says to who connects; nil for none
	plain     bool             // Ready does not wait
	hello     bool             // its clients begin with a TLS record
	most      int              // as much of that as is waited for, in bytes
	traced    Tracing          // what is noted of its clients on their way
	passer    proto.Passer     // takes some clients undecrypted; nil for none
	own       bool             // its connections speak TLS by themselves
	deferral  hello.Deferral   // of clients that say nothing, while many reset
	price     int32            // bytes that a new connection takes
	stall     bool             // the kernel ends clients that take no bytes
	datagram  chan struct{}    // for datagram ports: a slot for each one being served
	sessions  *session.Table   // of a datagram port; nil if each datagram is a client
	limits    deadline.Values  // of its clients
	minimum   deadline.Minimum // rates of its clients
	slow      error            // of a client whose handshake is not finished in time
	lost      error            // who closed it was not us; for serve, when its accept loop has ended
	tally
}

func newRun(s *Server, rules []*rules, configs []*portConfig, ls []net.Listener) *run {
	r := &run{
		name:     rand.Text(),
		srv:      s,
		cfg:      s.Config.effective(s.greediest()),
		log:      s.log(),
		draining: make(chan struct{}),
		shut:     make(chan struct{}),
		now:      make(chan struct{}),
		done:     make(chan struct{}),
		freed:    make(chan struct{}, 1),
	}
	r.samples = lograte.New(r.log, logs.Notice, outcome.Names())
	r.packets = slots.NewPool((*Conn).packet)
	r.answers = answer.New()
	r.pool = slots.NewPool((*Conn).turn)
	r.clients.ports = len(ls)
	for i, l := range ls {
		r.ls = append(r.ls, r.listening(l, configs[i]))
		r.ls[i].rules, r.ls[i].place = rules[i], i
	}
	r.queue = r.newQueue()
	for _, l := range r.ls {
		l.route = r.routeOf(l)
		l.woken = step{StageHandler, laneWoken, (*Conn).goOn}
	}
	r.limiter = r.newLimiter()
	var gated []net.Listener
	for _, l := range r.ls {
		if l.sessions == nil && l.answer == nil {
			gated = append(gated, l.Listener)
		}
	}
	r.gate = slots.NewGate(r.cfg.Limits.MaxConns, r.cfg.Limits.MaxServing, gated)
	return r
}

func (r *run) listening(l net.Listener, pc *portConfig) *listening {
	v := &listening{
		Listener: l, spec: pc.spec, handler: r.srv.handlerOf(askedOf(l)), cfg: pc.effective, header: pc.header, limiter: pc.newLimiter(), beside: pc.beside,
		answer: pc.Health.answer(), price: priceWaiting, plain: true, recheck: recheck{wake: make(chan struct{}, 1)},
	}
	if o, ok := l.(*listener); ok {
		v.transport = o.transport
		p, ok := o.transport.(proto.Plain)
		v.plain = ok && p.Plain()
		if t, ok := o.transport.(proto.LineLimiter); ok && t.MaxLine() > 0 {
			v.cfg.Limits.MaxLine = t.MaxLine()
		}
	} else if proto.DoesTLS(l) {
		v.transport, v.plain, v.own = proto.Accepted{}, false, true
		v.spec.Proto = port.SSL
		if l.Addr().Network() == "unix" {
			v.spec.Proto = port.UnixSSL
		}
	}
	if t, ok := v.transport.(proto.TLSFirst); ok {
		v.hello = t.TLSFirst()
	}
	v.most = hello.Short
	if p := passerOf(v.handler); p != nil && v.hello {
		v.passer, v.most = p, hello.Longest
	}
	if f := r.srv.Hooks.Trace; f != nil {
		if v.traced = f(askedOf(l), v.spec); v.hello && v.traced&TraceHello != 0 {
			v.most = hello.Longest
		}
	}
	if t, ok := below(l).(sock.SendTimer); ok {
		v.stall = t.SendTimeout() > 0
	}
	if d, ok := below(l).(sock.Deferrer); ok {
		v.deferral.Init(d, v.cfg.deferAccept(v.transport))
	}
	if d, ok := below(l).(*sock.DatagramListener); ok {
		v.price = 0
		v.datagram = make(chan struct{}, v.cfg.Limits.MaxDatagrams)
		if n := sessionsOf(v.handler); n > 0 {
			v.sessions = session.NewTable(n)
		}
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
	l.slow = handshakeTimeout(c.Timeouts.Handshake)
	l.limits = deadline.Values{Idle: c.Timeouts.Idle, Write: c.Timeouts.Write, Life: c.Timeouts.Life, FirstRequest: c.Timeouts.FirstRequest}
	if l.stall {
		l.limits.Write = 0 // the kernel sees to it
	}
	l.minimum = deadline.Minimum{Read: c.Limits.MinReadRate, Write: c.Limits.MinWriteRate, Window: c.Limits.MinRateWindow}
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
	r.closeAnswering() // balancers are to notice before clients do
	r.clients.drain()
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
	r.pool.Stop()
	r.packets.Stop()
	r.answers.Close()
	r.room.Close()
	r.parks.close()
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
	r.runHandlers(ctx, wg)
	ts := make([]proto.Transport, len(r.ls))
	for i, l := range r.ls {
		ts[i] = l.transport
	}
	for _, w := range proto.Runners(ts) {
		wg.Go(func() { w.Run(ctx) })
	}
	for _, l := range r.ls {
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

// closeAnswering closes the ports with Health. Who connects there is refused from
// now on, and reset if it was not answered yet.
func (r *run) closeAnswering() {
	for _, l := range r.ls {
		if l.answer != nil {
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

func (r *run) isDraining() bool { return isDone(r.draining) }

const (
	// cutWait is how long drain waits, after cutting the clients, for handlers
	// that do not return although their context ended and their connection is
	// closed.
	cutWait = 10 * time.Second
	// cutStep is the time between two groups of clients that are cut.
	cutStep = 5 * time.Millisecond
)

// drain waits for the clients, up to the grace period or, once the server was
// shut down, until it is closed, and cuts the rest, one after the other: cut at
// once, they would all be back at once.
func (r *run) drain(shut bool) error {
	n := 0
	if grace := r.cfg.Shutdown.Grace; shut {
		if r.awaitClients(nil, nil, r.now, nil) {
			return nil
		}
	} else if grace > 0 {
		t := time.NewTimer(grace)
		defer t.Stop()
		if r.awaitClients(nil, nil, r.now, t.C) {
			return nil
		}
		n = r.cutSpread(r.cfg.Shutdown.Spread)
	}
	n += r.clients.cut()
	if n == 0 && r.awaitClients(nil, nil, nil, nil) {
		return nil
	}
	t := time.NewTimer(cutWait)
	defer t.Stop()
	if !r.awaitClients(nil, nil, nil, t.C) {
		return fmt.Errorf("%w (clients: %d; handlers that have not returned %v later: %d)",
			ErrCut, n, cutWait, r.clients.count())
	}
	return fmt.Errorf("%w (clients: %d)", ErrCut, n)
}

// cutSpread cuts the clients evenly over the window and returns how many. It
// returns early if the server is closed; those who are left have to be cut
// then.
func (r *run) cutSpread(window time.Duration) (n int) {
	if window <= 0 || r.isNow() {
		return 0
	}
	list := r.clients.all()
	gone := r.clients.gone()
	began := time.Now()
	tick := time.NewTicker(cutStep)
	defer tick.Stop()
	for at := 0; ; {
		due := len(list)
		if spent := time.Since(began); spent < window {
			due = min(due, 1+int(float64(len(list))*float64(spent)/float64(window)))
		}
		for ; at < due; at++ {
			if r.clients.has(list[at]) {
				n++
				list[at].cut(ErrCut)
			}
			list[at] = nil
		}
		if at == len(list) {
			return n
		}
		select {
		case <-r.now:
			return n
		case <-gone:
			return n
		case <-tick.C:
		}
	}
}
