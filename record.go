package netserver

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"netserver/internal/admit"
	"netserver/internal/bridge"
	"netserver/internal/hello"
	"netserver/internal/metric"
	"netserver/outcome"
	"netserver/port"
	"netserver/proto"
)

// A Record is what is known of a client: at its end, when it is one log line,
// and while it is here, from Monitor.Clients.
type Record struct {
	ID      uint64
	Port    port.Spec
	Peer    net.Addr
	Via     net.Addr             // who sent the PROXY header that names Peer; nil without one
	Host    string               // its looked-up name; "" if there is none or it is not known yet
	Stage   Stage                // the last one reached
	Begin   time.Time            // when it was accepted
	Time    time.Duration        // from then to the end, or until now
	In, Out uint64               // bytes that the Handler read and wrote
	Unseen  bool                 // In and Out are not known: the Handler gave the socket away
	TLS     *tls.ConnectionState // nil without TLS, and of a client that is here before the end of its handshake
	// Truncated tells that a TLS client ended its connection without
	// close_notify, so that it may have sent more than has arrived.
	Truncated bool
	Verdict   string // why a client with a certificate could come in, or was cut later by the same rules

	// Only a client that has ended has these.
	Notes   []slog.Attr   // what the Handler added with Conn.Note
	Outcome outcome.Class // the class that it ended in
	Err     error         // an *Error, or nil
	Quiet   bool          // a health check, which no log has: see Config.QuietFrom
	Trace   *Trace        // for Hooks.Logged and Hooks.Closed: what Hooks.Trace asked for; nil without it

	// Only a client that is here has these.
	Waiting bool // in StageHandler, for a place there
	// Idle is how long no byte has passed; negative if that is not known: on
	// systems other than Linux, and for clients of UNIX sockets, only an idle
	// limit counts it.
	Idle time.Duration
}

// Tracing says what Record.Trace has. The zero Tracing is nothing.
type Tracing uint8

// What can be noted of a client, joined by |.
const (
	TraceTimes Tracing = 1 << iota // when it came to each stage
	TraceHello                     // JA4, for which its ClientHello is looked at once more
)

// A Trace is what was noted on the way of a client. Times count from
// Record.Begin and are exact to a microsecond, for the first hour of a client;
// 0 is not reached.
type Trace struct {
	// Entered is when the client came to each stage. That of StageClose is
	// there at its end only.
	Entered [StageClose + 1]time.Duration
	Hello   time.Duration // when its ClientHello was whole, where that is waited for
	Turn    time.Duration // when the handshake began, after it had waited for its turn
	Placed  time.Duration // when the Handler began, after it had waited for a place
	// JA4 is the fingerprint of its ClientHello, as
	// https://github.com/FoxIO-LLC/ja4 describes it; "" without one, of a
	// client that begins TLS later (STARTTLS), and on systems other than Linux
	// and its like, where a hello cannot be looked at.
	JA4 string
}

// A trace is a Trace as it is kept in a client, in 64 bytes.
type trace struct {
	passed *proto.ClientHello // of a client that is served undecrypted
	ja4    hello.JA4
	// Microseconds since Conn.begin.
	entered     [StageHandler + 1]atomic.Uint32
	hello, turn atomic.Uint32
}

// newTrace returns what notes are kept in; nil if none are asked for.
func (l *listening) newTrace() *trace {
	if l.traced == 0 {
		return nil
	}
	return new(trace)
}

// enter notes that the client has come to a stage.
func (t *trace) enter(s Stage, begin time.Time) { t.mark(&t.entered[s], begin) }

// mark notes the time in p, if there is none.
func (t *trace) mark(p *atomic.Uint32, begin time.Time) {
	if p.Load() == 0 {
		p.Store(uint32(min(max(time.Since(begin).Microseconds(), 1), math.MaxUint32)))
	}
}

// pass notes the hello of a client that is served undecrypted.
func (c *Conn) pass(h *proto.ClientHello) {
	if c.trace == nil {
		c.trace = new(trace)
	}
	c.trace.passed = h
}

// traceHandshake notes that the handshake begins.
func (c *Conn) traceHandshake() {
	c.trace.mark(&c.trace.turn, c.begin)
	if c.l.traced&TraceHello == 0 || !hello.Bare(c.raw) {
		return
	}
	b := c.run.hellos.get()
	defer c.run.hellos.Put(b)
	if n, err := hello.Copy(c.raw, b[:]); err == nil {
		c.trace.ja4 = hello.Fingerprint(b[:n])
	}
}

// traced returns what was noted of the client, which began to close at ended; nil
// if nothing was asked for.
func (c *Conn) traced(ended time.Time) *Trace {
	if c.l.traced == 0 {
		return nil
	}
	t := new(Trace)
	if c.l.traced&TraceTimes != 0 {
		c.times(t)
		t.Entered[StageClose] = ended.Sub(c.begin)
	}
	t.JA4 = c.trace.ja4.String()
	return t
}

// times copies what has been noted by now.
func (c *Conn) times(to *Trace) {
	t := c.trace
	us := func(n *atomic.Uint32) time.Duration { return time.Duration(n.Load()) * time.Microsecond }
	for s := range t.entered {
		to.Entered[s] = us(&t.entered[s])
	}
	to.Hello, to.Turn = us(&t.hello), us(&t.turn)
	if c.isPlaced() {
		to.Placed = time.Duration(max(c.admission.placed, 1)) * time.Microsecond
	}
}

// logged calls f for a client that has ended. It is not part of release, where r
// would be allocated for every client.
func (c *Conn) logged(f func(*Conn, *Record), r Record) { c.hook(func() { f(c, &r) }) }

// logged calls f for a connection that does not become a client.
func (r *run) logged(a *arrival, f func(*Conn, *Record), s Stage, o outcome.Class, err error) {
	defer func() {
		if v := recover(); v != nil {
			r.log.Error("panic in a hook", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	peer := a.nc.RemoteAddr()
	f(nil, &Record{Port: a.l.spec, Peer: peer, Begin: time.Now(), Stage: s, Outcome: o, Quiet: o == outcome.Probe && a.l.quiets(a.peer), Err: &Error{Stage: s, Port: a.l.spec, Peer: peer, Err: err}})
}

func (c *Conn) record() Record {
	r := Record{
		ID: c.id, Port: c.l.spec, Peer: c.RemoteAddr(), Host: c.host(), Stage: c.stage.get(),
		Begin: c.begin, Time: time.Since(c.begin),
		In: c.traffic.in.Load(), Out: c.traffic.out.Load(), Unseen: c.lines.marks.has(markUncounted), TLS: c.TLS(), Notes: c.notes,
	}
	if t, ok := c.nc.(proto.Truncater); ok {
		r.Truncated = t.Truncated()
	}
	if c.forwarded() != nil {
		r.Via = c.nc.RemoteAddr()
	}
	if v := c.verdicts.cert.Load(); v != nil && r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		r.Verdict = v.reason
	}
	if c.err != nil { // a nil *Error in an error would not be nil
		r.Err = c.err
	}
	r.Outcome = outcomeOf(c.stage.get(), r.Err)
	if r.Quiet = c.isCheck(&r); r.Quiet || c.isProbe(&r) {
		r.Outcome = outcome.Probe
	}
	return r
}

// Attrs returns the record as attributes, in the order in which they are
// logged.
func (r Record) Attrs() []slog.Attr {
	a := make([]slog.Attr, 0, 14+len(r.Notes))
	a = append(a, slog.Uint64("client", r.ID), slog.String("port", r.Port.Short()))
	if r.Peer != nil && r.Peer.String() != "" {
		a = append(a, slog.String("peer", r.Peer.String()))
	}
	if r.Via != nil {
		via := r.Via.String()
		if u, ok := r.Via.(*net.UnixAddr); ok {
			via = u.Net // such a client has no name, as a rule
		}
		a = append(a, slog.String("via", via))
	}
	a = append(a, slog.String("stage", r.Stage.String()))
	if t := r.TLS; t != nil && t.HandshakeComplete {
		a = append(a, slog.String("tls", tls.VersionName(t.Version)), slog.String("cipher", metric.SuiteName(t.CipherSuite)))
		if t.ServerName != "" {
			a = append(a, slog.String("sni", t.ServerName))
		}
		if len(t.PeerCertificates) > 0 {
			a = append(a, slog.String("certificate", t.PeerCertificates[0].Subject.String()), slog.String("verdict", r.Verdict))
		}
		if t.DidResume {
			a = append(a, slog.Bool("resumed", true))
		}
		if r.Truncated {
			a = append(a, slog.String("close_notify", "missing"))
		}
	}
	if r.Unseen {
		a = append(a, slog.Any("in", unknown{}), slog.Any("out", unknown{}))
	} else {
		a = append(a, slog.Uint64("in", r.In), slog.Uint64("out", r.Out))
	}
	a = append(a, slog.Duration("time", r.Time.Round(time.Microsecond)))
	a = append(a, r.Notes...)
	var e *Error
	if errors.As(r.Err, &e) {
		a = append(a, slog.String("err", e.Err.Error()))
		var p *PanicError
		if errors.As(e.Err, &p) {
			a = append(a, slog.String("stack", string(p.Stack)))
		}
	}
	if r.Outcome != outcome.Served {
		a = append(a, slog.String("outcome", r.Outcome.String()))
	}
	return a
}

// clientNow tells more of the client of that ID than its record does.
func (s *Server) clientNow(id uint64) (n bridge.ClientNow, found bool) {
	var c *Conn
	for _, r := range s.running() {
		sh := &r.clients.shards[id%uint64(len(r.clients.shards))]
		sh.mu.Lock()
		for one := range sh.set {
			if one.id == id {
				c, n.Notes = one, slices.Clone(one.notes)
			}
		}
		sh.mu.Unlock()
	}
	if c == nil {
		return n, false
	}
	c.now(&n)
	return n, true
}

// now tells of a client that is still here. It reads nothing that the client's
// goroutine may be writing.
func (c *Conn) now(n *bridge.ClientNow) {
	stage, since := c.stage.look()
	n.Stage, n.Since, n.Peer = stage.String(), since, c.raw
	if c.place.Load() == isEnded {
		n.Stage = StageClose.String()
	}
	n.Times = c.timesNow(stage)
	if c.l.traced&TraceHello != 0 && stage >= StageAccess { // until then its goroutine may write it
		n.JA4 = c.trace.ja4.String()
	}
	n.Lane = bridge.LaneGoroutine
	switch stage {
	case StageHeader:
		n.Waits = "its PROXY header"
		c.endsAt(n, outcome.Header, c.begin, c.l.cfg.Timeouts.ProxyHeader)
	case StageHandshake:
		c.shaking(n)
	case StageAccess:
		n.Waits = "access rules"
	case StageHandler:
		c.handled(n)
	}
	if c.l.header == nil || stage > StageAdmit { // or its address is about to change
		n.Source, _ = admit.Tiers(c.admission.source)
		n.Limits = c.countedBy(n.Limits)
	}
}

// timesNow returns what is known of a client's way up to a stage.
func (c *Conn) timesNow(stage Stage) (list []bridge.TimeOf) {
	add := func(name string, after time.Duration) {
		if after > 0 {
			list = append(list, bridge.TimeOf{Name: name, After: after})
		}
	}
	if c.l.traced&TraceTimes == 0 {
		if c.isPlaced() {
			add("placed", time.Duration(c.admission.placed)*time.Microsecond)
		}
		return list
	}
	var t Trace
	c.times(&t)
	for s := StageAccept; s <= min(stage, StageHandler); s++ {
		add(s.String(), t.Entered[s])
		if s == StageHandshake {
			add("hello", t.Hello)
			add("turn", t.Turn)
		}
	}
	add("placed", t.Placed)
	return list
}

// shaking tells of a client in its handshake.
func (c *Conn) shaking(n *bridge.ClientNow) {
	if c.l.plain {
		return
	}
	c.endsAt(n, outcome.Handshake, c.begin, c.l.cfg.Timeouts.Handshake)
	if t := c.admission.ticket.Load(); t != nil {
		switch waits, has := t.Turn(); {
		case waits:
			n.Lane, n.Waits = bridge.LaneTurn, "a turn of the handshake scheduler"
		case has:
			n.Lane, n.Waits = bridge.LaneTurn, "the handshake"
		}
		n.Limits = append(n.Limits, bridge.LimitNow{Key: limitKeys[admit.OverHandshakes], Unit: unitHandshakes,
			Value: float64(c.run.cfg.Admission.Handshakes.All), Use: float64(c.run.queue.Stats().Unfinished)})
		n.Limits = append(n.Limits, c.run.handshakeLimits(c.l, c.admission.source)...)
	}
	if end, begun, here := c.run.room.Look(c.id); here {
		n.Lane, n.Waits = bridge.LaneHello, "its ClientHello"
		why := outcome.FirstByte
		if begun {
			n.Waits, why = "the rest of its ClientHello", outcome.Hello
		}
		if len(n.Ends) == 0 || end.Before(n.Ends[0].At) {
			c.endsAt(n, why, end, 0)
		}
	}
}

// handled tells of a client that is the Handler's, or waits for that.
func (c *Conn) handled(n *bridge.ClientNow) {
	if !c.isPlaced() {
		n.Waits = "a place in the handler"
		return
	}
	e := c.limits.Ends()
	c.endsAt(n, outcome.Idle, e.Idle, 0)
	c.endsAt(n, outcome.MaxLife, e.Life, 0)
	c.endsAt(n, outcome.FirstRequest, e.FirstRequest, 0)
	if !e.Read.IsZero() {
		n.Ends = append(n.Ends, bridge.EndOf{Why: "the handler's deadline for reads", At: e.Read})
	}
	if !e.Write.IsZero() {
		n.Ends = append(n.Ends, bridge.EndOf{Why: "the handler's deadline for writes", At: e.Write})
	}
	if p := c.parking.Load(); p != nil && p.spot.Parked() {
		n.Lane, n.Waits = bridge.LaneParked, "what the client sends"
		if blocked := p.blocked.Load(); blocked > 0 {
			n.Waits = "the client to take what is sent to it"
			if limit := c.limits.WriteLimit(); limit > 0 {
				c.endsAt(n, outcome.WriteStalled, time.Unix(0, blocked), limit)
			}
		}
	}
}

// endsAt adds that a client ends as o says, at from and a limit behind it; the
// zero time is never, and so is no limit from the time of accept on.
func (c *Conn) endsAt(n *bridge.ClientNow, o outcome.Class, from time.Time, limit time.Duration) {
	if from.IsZero() || from == c.begin && limit <= 0 {
		return
	}
	for i := range settings {
		if s := &settings[i]; s.ends == o && s.unit == unitSeconds {
			n.Ends = append(n.Ends, bridge.EndOf{Key: s.key, At: from.Add(limit)})
			return
		}
	}
}

// countedBy appends the limits that a client counts against.
func (c *Conn) countedBy(list []bridge.LimitNow) []bridge.LimitNow {
	r, l := c.run, c.l
	if l.datagram != nil {
		if use, ok := l.datagramsNow(); ok {
			list = append(list, bridge.LimitNow{Key: "max_datagrams", Own: true, Unit: unitDatagrams, Value: float64(l.cfg.Limits.MaxDatagrams), Use: use})
		}
		return list
	}
	all := append(r.roomNow(l), r.sourceLimits(l, c.admission.source, r.limiter.Look(c.admission.source, false))...)
	for _, m := range all {
		if m.Unit != unitPerSecond && (m.Key != keyMaxServing || c.isPlaced()) {
			list = append(list, m)
		}
	}
	return list
}

// Note adds attributes to the client's record. It must be called by the
// Handler's goroutine.
func (c *Conn) Note(attrs ...slog.Attr) {
	s := c.run.clients.shard(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.notes = append(c.notes, attrs...)
}

// Began returns when the client was accepted, as Record.Begin has it.
func (c *Conn) Began() time.Time { return c.begin }

// Count adds to the bytes of the record, for a Handler that has given the
// client's socket away and learns of what passed there in another way. A
// negative number says that nobody knows: the record then tells of no bytes in
// either direction, and not that there were none. Count may be called at any
// time while the Handler runs.
func (c *Conn) Count(in, out int64) {
	if in < 0 || out < 0 {
		c.lines.marks.set(markUncounted)
		return
	}
	c.traffic.in.Add(uint64(in))
	c.traffic.out.Add(uint64(out))
}

// unknown is a number in a record that nobody knows: - in a line, null in JSON.
type unknown struct{}

func (unknown) String() string               { return "-" }
func (unknown) MarshalJSON() ([]byte, error) { return []byte("null"), nil }
