package netserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"netserver/proto"
)

// clients is the set of all clients of a run, counted from accept to the end
// of close. Draining, cutting and limits all use this one set. It is split so
// that clients do not share a lock.
type clients struct {
	n      atomic.Int64
	wg     sync.WaitGroup
	ctx    context.Context // parent of the clients' contexts
	ports  int             // of the run
	shards [16]shard
	over   *clientEnd // has ended; of all who are gone
	seen   lastCensus
}

type shard struct {
	mu  sync.Mutex
	set map[*Conn]struct{}
	// past is what clients have read and written that are gone, by port.
	past []passed
	_    [64]byte // its own cache line
}

// init makes the set ready. The clients' contexts carry ctx's values but not
// its end: that means drain, and clients may finish.
func (cs *clients) init(ctx context.Context) {
	cs.ctx = context.WithoutCancel(ctx)
	cs.over = new(clientEnd)
	cs.over.context(cs.ctx)
	cs.over.end(context.Canceled)
	for i := range cs.shards {
		cs.shards[i].set = make(map[*Conn]struct{})
		cs.shards[i].past = make([]passed, cs.ports)
	}
}

// A passed is how many bytes handlers have read and written.
type passed struct{ in, out uint64 }

// A census is the clients of a port at one moment, and what has passed there so
// far.
type census struct {
	passed
	stages [StageClose + 1]int
}

// A lastCensus is one that is told again while it is new enough.
type lastCensus struct {
	mu   sync.Mutex
	at   time.Time
	list []census
}

const (
	// fewClients are counted whenever somebody asks, and more of them not again
	// before censusShare for each has passed, so that counting takes a small part
	// of a CPU however often it is asked for; but after maxCensusAge at the latest.
	fewClients   = 1000
	censusShare  = 200 * time.Microsecond
	maxCensusAge = 5 * time.Second
)

// census returns the clients by port, of many of them as they were some seconds
// ago. The caller must not change it.
func (cs *clients) census(ports int) []census {
	n := cs.count()
	last := &cs.seen
	last.mu.Lock()
	defer last.mu.Unlock()
	if n < fewClients || last.list == nil || time.Since(last.at) >= min(time.Duration(n)*censusShare, maxCensusAge) {
		last.list = cs.countAll(ports)
		last.at = time.Now()
	}
	return last.list
}

// countAll counts the clients by port. A client's bytes are either those of a
// client that is here or of one that is gone, at each moment.
func (cs *clients) countAll(ports int) []census {
	all := make([]census, ports)
	for i := range cs.shards {
		s := &cs.shards[i]
		s.mu.Lock()
		for c := range s.set {
			p := &all[c.l.place]
			p.stages[c.stage.get()]++
			p.in += c.traffic.in.Load()
			p.out += c.traffic.out.Load()
		}
		for at, p := range s.past {
			all[at].in += p.in
			all[at].out += p.out
		}
		s.mu.Unlock()
	}
	return all
}

func (cs *clients) shard(c *Conn) *shard { return &cs.shards[c.id%uint64(len(cs.shards))] }

// prepare gives c its context. From then on it may be cut. Its parent never
// ends, and so keeps no list of all clients; cut ends each.
func (cs *clients) prepare(c *Conn) { c.ctx = (*clientCtx)(c) }

// A clientCtx is a Conn as the context of its client. What ends it is made when
// somebody wants to know of its end, which for most clients nobody does.
type clientCtx Conn

func (c *clientCtx) parent() context.Context { return c.run.clients.ctx }

func (c *clientCtx) made() *clientEnd {
	if e := c.ending.Load(); e != nil {
		return e
	}
	c.ending.CompareAndSwap(nil, new(clientEnd))
	return c.ending.Load()
}

// end ends the context of a client that is gone.
func (c *clientCtx) end() {
	if !c.ending.CompareAndSwap(nil, c.run.clients.over) {
		c.ending.Load().end(context.Canceled)
	}
}

// now returns what the context is at this moment.
func (c *clientCtx) now() context.Context {
	if e := c.ending.Load(); e != nil {
		return e.now(c.parent())
	}
	return c.parent()
}

func (c *clientCtx) Deadline() (time.Time, bool) { return c.now().Deadline() }
func (c *clientCtx) Done() <-chan struct{}       { return c.made().context(c.parent()).Done() }
func (c *clientCtx) Err() error                  { return c.now().Err() }
func (c *clientCtx) Value(key any) any           { return c.now().Value(key) }

// AfterFunc has f called, on a goroutine of its own, when the context has ended;
// stop prevents that, and reports whether it has. It costs a third of what
// context.AfterFunc does, which uses it where it can.
func (c *clientCtx) AfterFunc(f func()) (stop func() bool) { return c.made().afterFunc(f) }

// String keeps the Conn from being printed, whose fields change.
func (c *clientCtx) String() string { return fmt.Sprintf("netserver client %d", c.id) }

// A clientEnd is what is made of the end of a client's context once somebody
// wants to know of it: functions to call, and a context only for who asks for one.
type clientEnd struct {
	mu     sync.Mutex
	ctx    context.Context // nil until somebody asks
	cancel context.CancelCauseFunc
	over   bool
	why    error
	after  *afterEnd
}

// An afterEnd is a function to call.
type afterEnd struct {
	f    func()
	next *afterEnd
}

// context returns the context, whose parent is the first call's.
func (e *clientEnd) context(parent context.Context) context.Context {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ctx == nil {
		e.ctx, e.cancel = context.WithCancelCause(parent)
		if e.over {
			e.cancel(e.why)
		}
	}
	return e.ctx
}

// now returns what the context is at this moment: parent, if nobody has asked
// for another and the end has not come.
func (e *clientEnd) now(parent context.Context) context.Context {
	e.mu.Lock()
	ctx, over := e.ctx, e.over
	e.mu.Unlock()
	switch {
	case ctx != nil:
		return ctx
	case over:
		return e.context(parent)
	}
	return parent
}

// end ends it. Only the first call has an effect.
func (e *clientEnd) end(why error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return
	}
	e.over, e.why = true, why
	if e.ctx != nil {
		e.cancel(why)
	}
	for a := e.after; a != nil; a = a.next {
		go a.f()
	}
	e.after = nil
}

// afterFunc is AfterFunc of a context.
func (e *clientEnd) afterFunc(f func()) (stop func() bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		go f()
		return func() bool { return false }
	}
	a := &afterEnd{f, e.after}
	e.after = a
	return func() bool { return e.remove(a) }
}

// remove takes a out, and reports whether it was still there.
func (e *clientEnd) remove(a *afterEnd) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for at := &e.after; *at != nil; at = &(*at).next {
		if *at == a {
			*at = a.next
			return true
		}
	}
	return false
}

func (cs *clients) add(c *Conn) {
	cs.wg.Add(1)
	cs.n.Add(1)
	s := cs.shard(c)
	s.mu.Lock()
	s.set[c] = struct{}{}
	s.mu.Unlock()
}

func (cs *clients) remove(c *Conn) {
	s := cs.shard(c)
	s.mu.Lock()
	delete(s.set, c)
	p := &s.past[c.l.place]
	p.in += c.traffic.in.Load()
	p.out += c.traffic.out.Load()
	s.mu.Unlock()
	cs.n.Add(-1)
	cs.wg.Done()
}

func (cs *clients) count() int { return int(cs.n.Load()) }

// gone returns a channel that is closed when the last client is gone.
func (cs *clients) gone() <-chan struct{} {
	c := make(chan struct{})
	go waitThenClose(&cs.wg, c)
	return c
}

// on returns the clients of a port.
func (cs *clients) on(l *listening) (all []*Conn) {
	for i := range cs.shards {
		s := &cs.shards[i]
		s.mu.Lock()
		for c := range s.set {
			if c.l == l {
				all = append(all, c)
			}
		}
		s.mu.Unlock()
	}
	return all
}

// drain ends a read of those who asked for that.
func (cs *clients) drain() {
	cs.each(func(c *Conn) {
		if c.limits.Drain(c.raw); c.limits.Due() {
			c.Wake()
		}
	})
}

// cut ends every client and returns how many there were that drain had not cut
// before.
func (cs *clients) cut() (n int) {
	for i := range cs.shards {
		s := &cs.shards[i]
		s.mu.Lock()
		for c := range s.set {
			if !errors.Is(c.cause(), ErrCut) {
				n++
			}
			c.cut(ErrCut)
		}
		s.mu.Unlock()
	}
	return n
}

// all returns the clients, in no order.
func (cs *clients) all() (list []*Conn) {
	for i := range cs.shards {
		s := &cs.shards[i]
		s.mu.Lock()
		for c := range s.set {
			list = append(list, c)
		}
		s.mu.Unlock()
	}
	return list
}

// has reports whether the client is still here.
func (cs *clients) has(c *Conn) bool {
	s := cs.shard(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.set[c]
	return ok
}

// clients returns a page of the clients, for Monitor.
func (s *Server) clients(after uint64, n int) []Record {
	if n <= 0 {
		return nil
	}
	list := lowest{after: after, n: n}
	for _, r := range s.running() {
		r.clients.each(list.add)
	}
	list.settle()
	recs := make([]Record, len(list.conns))
	for i, c := range list.conns {
		recs[i] = c.view()
	}
	return recs
}

// cut ends the client of that ID.
func (s *Server) cut(id uint64, why error) (found bool) {
	for _, r := range s.running() {
		sh := &r.clients.shards[id%uint64(len(r.clients.shards))]
		sh.mu.Lock()
		for c := range sh.set {
			if c.id == id {
				c.cut(why)
				found = true
			}
		}
		sh.mu.Unlock()
	}
	return found
}

// running returns the runs of Serve that there are.
func (s *Server) running() []*run {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*run, 0, len(s.runs))
	for r := range s.runs {
		list = append(list, r)
	}
	return list
}

// each calls f for each client, one shard locked at a time.
func (cs *clients) each(f func(*Conn)) {
	for i := range cs.shards {
		s := &cs.shards[i]
		s.mu.Lock()
		for c := range s.set {
			f(c)
		}
		s.mu.Unlock()
	}
}

// A lowest collects the n clients of the lowest numbers above one.
type lowest struct {
	after, below uint64 // below: of no use any more; 0 is none
	n            int
	conns        []*Conn
}

func (l *lowest) add(c *Conn) {
	if c.id <= l.after || l.below > 0 && c.id >= l.below {
		return
	}
	if l.conns = append(l.conns, c); len(l.conns)/2-8 >= l.n {
		l.settle()
	}
}

// settle sorts them and forgets those beyond n.
func (l *lowest) settle() {
	slices.SortFunc(l.conns, func(a, b *Conn) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	if len(l.conns) > l.n {
		l.conns = slices.Delete(l.conns, l.n, len(l.conns))
		l.below = l.conns[l.n-1].id + 1
	}
}

// view is the record of a client that is still here. It reads nothing that the
// client's goroutine writes without a lock.
func (c *Conn) view() Record {
	r := Record{
		ID: c.id, Port: c.l.spec, Peer: c.raw.RemoteAddr(), Host: c.host(), Stage: c.stage.get(),
		Begin: c.begin, Time: time.Since(c.begin), Idle: c.idle(),
		In: c.traffic.in.Load(), Out: c.traffic.out.Load(), Unseen: c.lines.marks.has(markUncounted),
	}
	if h := c.forwarded(); h != nil {
		r.Via, r.Peer = r.Peer, h.Source
	}
	r.Waiting = r.Stage == StageHandler && !c.isPlaced()
	if v := c.verdicts.cert.Load(); v != nil {
		if t, ok := v.nc.(proto.Secured); ok {
			st := t.ConnectionState()
			r.TLS = &st
			if len(st.PeerCertificates) > 0 {
				r.Verdict = v.reason
			}
		}
	}
	return r
}
