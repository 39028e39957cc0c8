package otel

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	api "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"netserver"
	"netserver/port"
	"netserver/proto"
)

// scope names what makes the spans and metrics.
const scope = "netserver/contrib/otel"

// A Config says what is told of a Server, and to whom. The zero Config tells
// the global providers of package go.opentelemetry.io/otel of everything.
type Config struct {
	// TracerProvider makes the spans, and MeterProvider the instruments; nil is
	// the global one. Where nothing is wanted, they are those of OpenTelemetry's
	// packages noop. A span is started and ended on the goroutine of its client,
	// or of the accept loop: span processors must not wait. That of NewPipeline
	// and the SDK's batch processor, but for its option WithBlocking, do not.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider

	// Ratio is the part of the connections that get a span, chosen at random
	// before anything is made for it; 0 is all of them, and a negative number
	// none. A connection whose Traceparent says that it is traced gets one, and
	// one whose Traceparent says that it is not gets none, whatever Ratio is.
	// The TracerProvider's own sampler judges those that are left.
	Ratio float64
	// Keep gives a span to a connection that was left out, when it has ended and
	// all is known of it: those that failed, say. The context of its Handler did
	// not have it. It must not wait, and must not keep r. nil keeps none.
	Keep func(r *netserver.Record) bool
	// Flat leaves out the child spans for stages; their times are events of the
	// connection's span instead.
	Flat bool
	// Attributes adds to those of a connection's span. It is called for spans
	// that are recorded only, must not wait, and must not keep r.
	Attributes func(r *netserver.Record) []attribute.KeyValue

	// Traceparent is the type of the entry of PROXY headers of version 2 that
	// has the text of a W3C traceparent: the connection's span is a child of
	// that. It is one of those for private use, 0xE0 to 0xEF, without those that
	// mean something else (0xE5, 0xEA, 0xEE); 0 takes none. Headers are taken of
	// the senders in proxy_protocol_from only, and so is this.
	Traceparent byte
}

// A Telemetry tells of one Server. Its methods may be called at any time, but
// Attach only before the Server serves.
type Telemetry struct {
	cfg    Config
	tracer trace.Tracer
	meters *meters

	attached     atomic.Bool
	registration metric.Registration
	ports        sync.Map // *place by the names of ports
	open         sync.Map // trace.Span by *netserver.Conn: those that Handlers have in their contexts
}

// New returns a Telemetry. It makes the instruments; nothing is told before
// Attach. The error is about what cfg says.
func New(cfg Config) (*Telemetry, error) {
	if !(cfg.Ratio <= 1) {
		return nil, fmt.Errorf("otel: Config.Ratio is %v; it is a part of all connections, 1 at most", cfg.Ratio)
	}
	switch kind := cfg.Traceparent; kind {
	case 0:
	case proto.ProxyTLVHops, proto.ProxyTLVAWS, proto.ProxyTLVAzure:
		return nil, fmt.Errorf("otel: Config.Traceparent is 0x%02X, which means something else in PROXY headers", kind)
	default:
		if kind < 0xE0 || kind > 0xEF {
			return nil, fmt.Errorf("otel: Config.Traceparent is 0x%02X; types for private use are 0xE0 to 0xEF", kind)
		}
	}
	if cfg.TracerProvider == nil {
		cfg.TracerProvider = api.GetTracerProvider()
	}
	if cfg.MeterProvider == nil {
		cfg.MeterProvider = api.GetMeterProvider()
	}
	m, err := newMeters(cfg.MeterProvider.Meter(scope))
	if err != nil {
		return nil, fmt.Errorf("otel: %w", err)
	}
	return &Telemetry{cfg: cfg, tracer: cfg.TracerProvider.Tracer(scope), meters: m}, nil
}

// Attach has s tell of its clients: it sets Hooks.Trace and Hooks.Logged and
// wraps s.Handler and s.Handlers. What was there before is called too; so it
// comes last, when s is complete, and before s serves. A Telemetry is for one
// Server.
func (t *Telemetry) Attach(s *netserver.Server) error {
	if t.attached.Swap(true) {
		return errors.New("otel: Attach was called before; a second Server needs a Telemetry of its own")
	}
	monitor := s.Monitor()
	var err error
	if t.registration, err = t.meters.observe(monitor); err != nil {
		return fmt.Errorf("otel: %w", err)
	}
	noted, logged := s.Hooks.Trace, s.Hooks.Logged
	s.Hooks.Trace = func(asked, bound port.Spec) netserver.Tracing {
		t.placeOf(bound)
		if noted == nil {
			return netserver.TraceTimes
		}
		return noted(asked, bound) | netserver.TraceTimes
	}
	s.Hooks.Logged = func(c *netserver.Conn, r *netserver.Record) {
		if logged != nil {
			logged(c, r)
		}
		t.ended(c, r)
	}
	if s.Handler != nil {
		s.Handler = t.wrap(s.Handler)
	}
	if s.Handlers != nil {
		wrapped := make(map[string]netserver.Handler, len(s.Handlers))
		for name, h := range s.Handlers {
			if h != nil {
				h = t.wrap(h)
			}
			wrapped[name] = h
		}
		s.Handlers = wrapped
	}
	return nil
}

// Detach ends what metrics are read from the Server's Monitor. It is of use when
// the Server is gone and the MeterProvider stays. The providers are their
// owner's to flush and shut down, after the Server has ended: see
// Pipeline.Shutdown.
func (t *Telemetry) Detach() error {
	if t.registration == nil {
		return nil
	}
	return t.registration.Unregister()
}

// A handler gives the contexts of another the spans of their connections.
type handler struct {
	netserver.Handler
	t *Telemetry
}

// A detacher is a handler around a netserver.Detacher.
type detacher struct {
	handler
	next netserver.Detacher
}

func (t *Telemetry) wrap(h netserver.Handler) netserver.Handler {
	w := handler{h, t}
	if d, ok := h.(netserver.Detacher); ok {
		return detacher{w, d}
	}
	return w
}

func (h handler) Unwrap() netserver.Handler { return h.Handler }

func (h handler) Serve(ctx context.Context, c *netserver.Conn) error {
	return h.Handler.Serve(h.t.begun(ctx, c), c)
}

func (d detacher) ServeDetached(ctx context.Context, c *netserver.Conn) error {
	return d.next.ServeDetached(d.t.begun(ctx, c), c)
}

// begun starts the span of a client that comes to its Handler, and returns the
// Handler's context.
func (t *Telemetry) begun(ctx context.Context, c *netserver.Conn) context.Context {
	parent := t.parentOf(c)
	if parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	if !t.takes(parent) {
		return ctx
	}
	ctx, span := t.start(ctx, t.placeOf(c.Port()), c.Began())
	if span.IsRecording() {
		t.open.Store(c, span)
	}
	return ctx
}

// ended tells of a connection that has ended: c is nil if it never was a client.
func (t *Telemetry) ended(c *netserver.Conn, r *netserver.Record) {
	p := t.placeOf(r.Port)
	t.meters.ended(p, r)
	if c != nil {
		if span, ok := t.open.LoadAndDelete(c); ok {
			t.finish(span.(trace.Span), p, r)
			return
		}
	}
	var parent trace.SpanContext
	if c != nil {
		parent = t.parentOf(c)
	}
	judged := r.Trace != nil && r.Trace.Placed > 0 // when it came to its Handler
	if (judged || !t.takes(parent)) && (t.cfg.Keep == nil || !t.cfg.Keep(r)) {
		return
	}
	ctx := context.Background()
	if parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	_, span := t.start(ctx, p, r.Begin)
	t.finish(span, p, r)
}

// takes reports whether a connection with this parent gets a span.
func (t *Telemetry) takes(parent trace.SpanContext) bool {
	switch {
	case parent.IsValid():
		return parent.IsSampled()
	case t.cfg.Ratio == 0:
		return true
	}
	return rand.Float64() < t.cfg.Ratio
}

// parentOf returns what the client's PROXY header says of its trace; the zero
// SpanContext if it says nothing, or nothing that can be read.
func (t *Telemetry) parentOf(c *netserver.Conn) (none trace.SpanContext) {
	if t.cfg.Traceparent == 0 {
		return none
	}
	h := c.ProxyHeader()
	if h == nil || h.Local {
		return none
	}
	v, ok := h.TLV(t.cfg.Traceparent)
	if !ok || len(v) > maxTraceparent {
		return none
	}
	carrier := propagation.MapCarrier{"traceparent": string(v)}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
}

// maxTraceparent bounds what is read: later versions may be longer than the 55
// bytes of the first.
const maxTraceparent = 128
