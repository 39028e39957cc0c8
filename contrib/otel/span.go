package otel

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"netserver"
	"netserver/outcome"
	"netserver/port"
)

// Attributes that OpenTelemetry has no name for.
const (
	portKey    = attribute.Key("netserver.port")
	outcomeKey = attribute.Key("netserver.outcome")
	stageKey   = attribute.Key("netserver.stage")
	clientKey  = attribute.Key("netserver.client.id")
	inKey      = attribute.Key("netserver.bytes.in")
	outKey     = attribute.Key("netserver.bytes.out")
	nameKey    = attribute.Key("netserver.tls.server_name")
	ja4Key     = attribute.Key("netserver.tls.ja4")
	limitKey   = attribute.Key("netserver.limit")
)

// A place is what is the same for all clients of a port.
type place struct {
	name  string // of spans
	attrs []attribute.KeyValue
	sets  sets
}

// placeOf returns the place of a port, by what Records have of it.
func (t *Telemetry) placeOf(p port.Spec) *place {
	short := p.Short()
	if have, ok := t.ports.Load(short); ok {
		return have.(*place)
	}
	attrs := []attribute.KeyValue{portKey.String(short)}
	if p.IsUnix() {
		attrs = append(attrs, semconv.NetworkTransportUnix, semconv.ServerAddress(text(p.Port)))
	} else {
		transport := semconv.NetworkTransportTCP
		if p.IsDatagram() {
			transport = semconv.NetworkTransportUDP
		}
		attrs = append(attrs, transport)
		if !p.IsWildcard() {
			attrs = append(attrs, semconv.ServerAddress(p.Host))
		}
		if n, err := strconv.Atoi(p.Port); err == nil {
			attrs = append(attrs, semconv.ServerPort(n))
		}
	}
	made, _ := t.ports.LoadOrStore(short, &place{name: "connection " + short, attrs: attrs, sets: newSets(short)})
	return made.(*place)
}

// start begins the span of a connection that was accepted at begin.
func (t *Telemetry) start(ctx context.Context, p *place, begin time.Time) (context.Context, trace.Span) {
	return t.tracer.Start(ctx, p.name, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(begin), trace.WithAttributes(p.attrs...))
}

// finish fills the span of a connection that has ended, and ends it.
func (t *Telemetry) finish(span trace.Span, p *place, r *netserver.Record) {
	end := r.Begin.Add(r.Time)
	defer span.End(trace.WithTimestamp(end))
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attributesOf(r)...)
	if t.cfg.Attributes != nil {
		span.SetAttributes(t.cfg.Attributes(r)...)
	}
	fail(span, r)
	var panicked *netserver.PanicError
	if errors.As(r.Err, &panicked) {
		span.AddEvent("exception", trace.WithTimestamp(end), trace.WithAttributes(
			semconv.ExceptionType("panic"), semconv.ExceptionMessage(reasonOf(r)), semconv.ExceptionStacktrace(strings.ToValidUTF8(string(panicked.Stack), "\uFFFD"))))
	}
	if r.Trace == nil {
		return
	}
	if t.cfg.Flat {
		flat(span, r)
		return
	}
	t.stages(trace.ContextWithSpan(context.Background(), span), r)
}

// attributesOf returns what a record says of its client.
func attributesOf(r *netserver.Record) []attribute.KeyValue {
	a := make([]attribute.KeyValue, 0, 20)
	a = append(a, outcomeKey.String(r.Outcome.String()), stageKey.String(r.Stage.String()))
	if r.ID != 0 {
		a = append(a, clientKey.Int64(int64(r.ID)))
	}
	sender := r.Peer
	if r.Via != nil {
		sender = r.Via
	}
	if ap := addrPort(r.Peer); ap.IsValid() {
		a = append(a, semconv.ClientAddress(ap.Addr().String()), semconv.ClientPort(int(ap.Port())))
	}
	if ap := addrPort(sender); ap.IsValid() {
		family := semconv.NetworkTypeIPv6
		if ap.Addr().Is4() {
			family = semconv.NetworkTypeIPv4
		}
		a = append(a, family, semconv.NetworkPeerAddress(ap.Addr().String()), semconv.NetworkPeerPort(int(ap.Port())))
	}
	if !r.Unseen {
		a = append(a, inKey.Int64(int64(r.In)), outKey.Int64(int64(r.Out)))
	}
	if s := r.TLS; s != nil && s.HandshakeComplete {
		a = append(a, semconv.TLSEstablished(true), semconv.TLSProtocolNameTLS, semconv.TLSProtocolVersion(versionOf(s.Version)),
			semconv.TLSCipher(tls.CipherSuiteName(s.CipherSuite)), semconv.TLSResumed(s.DidResume))
		if s.CurveID != 0 {
			a = append(a, semconv.TLSCurve(s.CurveID.String()))
		}
		if s.NegotiatedProtocol != "" {
			a = append(a, semconv.TLSNextProtocol(text(s.NegotiatedProtocol)))
		}
		if s.ServerName != "" {
			a = append(a, nameKey.String(text(s.ServerName)))
		}
	}
	if r.Trace != nil && r.Trace.JA4 != "" {
		a = append(a, ja4Key.String(r.Trace.JA4))
	}
	return a
}

// fail gives the span of a connection that ended badly its error.
func fail(span trace.Span, r *netserver.Record) {
	if fine(r.Outcome) {
		return
	}
	span.SetAttributes(semconv.ErrorTypeKey.String(r.Outcome.String()))
	span.SetStatus(codes.Error, reasonOf(r))
}

// fine reports whether a connection of this class is no error: it was served,
// left by itself, or was ended by the operator.
func fine(o outcome.Class) bool {
	switch o {
	case outcome.Served, outcome.Left, outcome.Probe, outcome.Challenge, outcome.Killed:
		return true
	}
	return false
}

// reasonOf returns why a connection ended, without the port and the peer, which
// are attributes.
func reasonOf(r *netserver.Record) string {
	var e *netserver.Error
	switch {
	case errors.As(r.Err, &e) && e.Err != nil:
		return text(e.Err.Error())
	case r.Err != nil:
		return text(r.Err.Error())
	}
	return r.Outcome.String()
}

// reached is when a client came to a point between two stages.
type reached struct {
	name  string
	stage netserver.Stage // during which it came there
	at    time.Duration
}

func between(t *netserver.Trace) [3]reached {
	return [...]reached{
		{"hello", netserver.StageHandshake, t.Hello},
		{"turn", netserver.StageHandshake, t.Turn},
		{"placed", netserver.StageHandler, t.Placed},
	}
}

// flat tells of stages by events.
func flat(span trace.Span, r *netserver.Record) {
	for s := netserver.StageAccept; s < netserver.StageClose; s++ {
		if at := r.Trace.Entered[s]; at > 0 && shown(s, r) {
			span.AddEvent(s.String(), trace.WithTimestamp(r.Begin.Add(at)))
		}
	}
	for _, p := range between(r.Trace) {
		if p.at > 0 && shown(p.stage, r) {
			span.AddEvent(p.name, trace.WithTimestamp(r.Begin.Add(p.at)))
		}
	}
}

// stages makes a child span for each stage.
func (t *Telemetry) stages(ctx context.Context, r *netserver.Record) {
	for s := netserver.StageAccept; s < netserver.StageClose; s++ {
		at := r.Trace.Entered[s]
		if at == 0 || !shown(s, r) {
			continue
		}
		if s == netserver.StageAccept {
			at = 0
		}
		end, last := r.Time, true
		for next := s + 1; next <= netserver.StageClose; next++ {
			if n := r.Trace.Entered[next]; n > 0 {
				end, last = n, next == netserver.StageClose
				break
			}
		}
		_, span := t.tracer.Start(ctx, s.String(), trace.WithTimestamp(r.Begin.Add(at)))
		for _, p := range between(r.Trace) {
			if p.stage == s && p.at > 0 {
				span.AddEvent(p.name, trace.WithTimestamp(r.Begin.Add(p.at)))
			}
		}
		if last && s == r.Stage {
			fail(span, r)
		}
		span.End(trace.WithTimestamp(r.Begin.Add(max(at, end))))
	}
}

// shown reports whether a stage is worth telling of: a plain port passes through
// that of the handshake.
func shown(s netserver.Stage, r *netserver.Record) bool {
	return s != netserver.StageHandshake || r.Port.IsTLS() || r.Stage == s
}

// addrPort returns the address of a client with IP; it is not valid for others.
func addrPort(a net.Addr) (ap netip.AddrPort) {
	if a, ok := a.(interface{ AddrPort() netip.AddrPort }); ok {
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// versionOf returns a version of TLS as OpenTelemetry has it, such as 1.3.
func versionOf(v uint16) string { return strings.TrimPrefix(tls.VersionName(v), "TLS ") }

// maxText bounds what a client can put into an attribute, in bytes.
const maxText = 256

// text makes s fit for an attribute: a text that is not UTF-8 would fail the
// export of all spans beside it.
func text(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
