package otel_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"netserver"
	"netserver/contrib/otel"
	"netserver/handler/httpd"
	"netserver/netservertest"
	"netserver/outcome"
	"netserver/proto"
)

// A told is what a Server's Telemetry has told.
type told struct {
	tel    *otel.Telemetry
	spans  *tracetest.InMemoryExporter
	reader *sdkmetric.ManualReader
}

// attach has s tell what it does, as cfg says.
func attach(t *testing.T, s *netserver.Server, cfg otel.Config) *told {
	t.Helper()
	to := &told{spans: tracetest.NewInMemoryExporter(), reader: sdkmetric.NewManualReader()}
	if cfg.TracerProvider == nil {
		cfg.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSyncer(to.spans))
	}
	cfg.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(to.reader))
	var err error
	if to.tel, err = otel.New(cfg); err == nil {
		err = to.tel.Attach(s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// named returns the spans whose names begin so. Those of a client that
// Running.Records has are there.
func (to *told) named(prefix string) (list []tracetest.SpanStub) {
	for _, s := range to.spans.GetSpans() {
		if strings.HasPrefix(s.Name, prefix) {
			list = append(list, s)
		}
	}
	return list
}

// only returns the one span whose name begins so.
func (to *told) only(t *testing.T, prefix string) tracetest.SpanStub {
	t.Helper()
	list := to.named(prefix)
	if len(list) != 1 {
		t.Fatalf("%d spans %q, want 1, of %v", len(list), prefix, to.spans.GetSpans())
	}
	return list[0]
}

// values returns attributes as text.
func values(list []attribute.KeyValue) map[string]string {
	m := map[string]string{}
	for _, kv := range list {
		m[string(kv.Key)] = kv.Value.String()
	}
	return m
}

// greeting reads a line and answers it, within a span of its own.
func greeting(tracer trace.Tracer) netserver.Handler {
	return netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
		line, err := c.ReadLine()
		_, span := tracer.Start(ctx, "greet")
		fmt.Fprintf(c, "hello %s\n", line)
		span.End()
		return err
	})
}

// talk says who it is and reads until the other side ends.
func talk(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := io.WriteString(c, "jo\n"); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); err != nil || string(b) != "hello jo\n" {
		t.Fatalf("got %q, %v", b, err)
	}
}

func TestSpansOfAConnection(t *testing.T) {
	var own tracetest.InMemoryExporter
	logged := make(chan outcome.Class, 1)
	s := &netserver.Server{}
	s.Hooks.Logged = func(_ *netserver.Conn, r *netserver.Record) { logged <- r.Outcome }
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(&own))
	s.Handler = greeting(provider.Tracer("program"))
	to := attach(t, s, otel.Config{TracerProvider: provider, Attributes: func(r *netserver.Record) []attribute.KeyValue {
		return []attribute.KeyValue{attribute.Bool("own", r.In > 0)}
	}})
	to.spans = &own
	r := netservertest.Start(t, s, "ssl")
	cfg := r.ClientTLS()
	cfg.ServerName = "127.0.0.1"
	client := r.DialTLS(t, cfg)
	talk(t, client)
	rec := r.Records(t, 1)[0]
	if got := <-logged; got != outcome.Served {
		t.Errorf("the Logged of before got %v", got)
	}

	span := to.only(t, "connection ")
	if !span.StartTime.Equal(rec.Begin) || span.EndTime.Sub(span.StartTime) != rec.Time {
		t.Errorf("from %v to %v, the record has %v and %v", span.StartTime, span.EndTime, rec.Begin, rec.Time)
	}
	if span.SpanKind != trace.SpanKindServer || span.Status.Code != codes.Unset || span.Parent.IsValid() {
		t.Errorf("kind %v, status %v, parent %v", span.SpanKind, span.Status, span.Parent)
	}
	local := client.LocalAddr().(*net.TCPAddr)
	have := values(span.Attributes)
	for key, want := range map[string]string{
		"network.transport": "tcp", "network.type": "ipv4", "client.address": "127.0.0.1", "client.port": fmt.Sprint(local.Port),
		"network.peer.address": "127.0.0.1", "network.peer.port": fmt.Sprint(local.Port),
		"server.address": "127.0.0.1", "server.port": rec.Port.Port, "netserver.port": rec.Port.Short(),
		"tls.protocol.name": "tls", "tls.protocol.version": "1.3", "tls.cipher": tls.CipherSuiteName(rec.TLS.CipherSuite), "tls.resumed": "false",
		"netserver.outcome": "served", "netserver.stage": "handler", "netserver.bytes.in": "3", "netserver.bytes.out": "9", "netserver.client.id": "1", "own": "true",
	} {
		if have[key] != want {
			t.Errorf("%s is %q, want %q", key, have[key], want)
		}
	}
	last := span.StartTime
	for _, stage := range []string{"accept", "handshake", "handler"} {
		child := to.only(t, stage)
		if child.Parent.SpanID() != span.SpanContext.SpanID() || child.StartTime.Before(last) || child.EndTime.Before(child.StartTime) || child.EndTime.After(span.EndTime.Add(rec.Time)) {
			t.Errorf("%s: from %v to %v, below %v", stage, child.StartTime, child.EndTime, child.Parent.SpanID())
		}
		last = child.StartTime
	}
	greet := to.only(t, "greet")
	if greet.Parent.SpanID() != span.SpanContext.SpanID() {
		t.Errorf("the handler's span is below %v, not %v", greet.Parent.SpanID(), span.SpanContext.SpanID())
	}
}

func TestFlatSpans(t *testing.T) {
	s := &netserver.Server{Handler: greeting(noop.NewTracerProvider().Tracer(""))}
	to := attach(t, s, otel.Config{Flat: true})
	r := netservertest.Start(t, s, "tcp")
	talk(t, r.Dial(t, "tcp"))
	r.Records(t, 1)
	if n := len(to.spans.GetSpans()); n != 1 {
		t.Errorf("%d spans", n)
	}
	var names []string
	for _, e := range to.only(t, "connection ").Events {
		names = append(names, e.Name)
	}
	for _, want := range []string{"accept", "handler", "placed"} {
		if !slices.Contains(names, want) {
			t.Errorf("no event %s in %v", want, names)
		}
	}
	if slices.Contains(names, "handshake") {
		t.Errorf("a plain port has a handshake: %v", names)
	}
}

// Of clients that were left out those that failed can be kept.
func TestFailuresAreKept(t *testing.T) {
	s := &netserver.Server{Handler: greeting(noop.NewTracerProvider().Tracer(""))}
	to := attach(t, s, otel.Config{Ratio: -1, Keep: func(r *netserver.Record) bool { return r.Outcome == outcome.NotTLS }})
	r := netservertest.Start(t, s, "ssl")
	talk(t, r.DialTLS(t, r.ClientTLS()))
	r.Records(t, 1)
	if n := len(to.spans.GetSpans()); n != 0 {
		t.Fatalf("%d spans of a client that was left out", n)
	}
	c := r.DialRaw(t, "ssl")
	io.WriteString(c, "GET / HTTP/1.1\r\n\r\n")
	io.Copy(io.Discard, c)
	r.Records(t, 2)
	span := to.only(t, "connection ")
	if have := values(span.Attributes); span.Status.Code != codes.Error || span.Status.Description == "" || have["error.type"] != "not tls" || have["netserver.stage"] != "handshake" {
		t.Errorf("status %v, attributes %v", span.Status, have)
	}
	if child := to.only(t, "handshake"); child.Status.Code != codes.Error {
		t.Errorf("the handshake's status is %v", child.Status)
	}
	if n := len(to.named("handler")); n != 0 {
		t.Errorf("%d spans of a handler that never ran", n)
	}
}

func TestPanicsAndDatagrams(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(context.Context, *netserver.Conn) error { panic("no\xff") })}
	to := attach(t, s, otel.Config{})
	r := netservertest.Start(t, s, "udp")
	fmt.Fprint(r.Dial(t, "udp"), "x")
	r.Records(t, 1)
	span := to.only(t, "connection ")
	if have := values(span.Attributes); have["network.transport"] != "udp" || have["error.type"] != "panic" || span.Status.Code != codes.Error || strings.ContainsRune(span.Status.Description, 0xff) {
		t.Errorf("status %q, attributes %v", span.Status, have)
	}
	if len(span.Events) != 1 || !strings.Contains(values(span.Events[0].Attributes)["exception.stacktrace"], "TestPanicsAndDatagrams") {
		t.Errorf("events %v", span.Events)
	}
}

// forwarded dials a port as a proxy that tells of a trace.
func forwarded(t *testing.T, r *netservertest.Running, kind byte, value string) net.Conn {
	t.Helper()
	c := r.DialRaw(t, "tcp")
	h := proto.ProxyHeader{Version: 2, Source: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7).To4(), Port: 77}, Destination: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1).To4(), Port: 80}}
	if err := h.AddTLV(kind, []byte(value)); err != nil {
		t.Fatal(err)
	}
	b, err := h.AppendTo(nil)
	if err == nil {
		_, err = c.Write(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTraceparentOfAProxy(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	parent := func(flags string) string { return "00-" + id + "-00f067aa0ba902b7-" + flags }
	for _, tt := range []struct {
		name   string
		kind   byte // that is sent
		value  string
		take   byte
		ratio  float64
		spans  int
		joined bool
	}{
		{"sampled, above the ratio", 0xE1, parent("01"), 0xE1, -1, 1, true},
		{"not sampled", 0xE1, parent("00"), 0xE1, 0, 0, false},
		{"off", 0xE1, parent("01"), 0, 0, 1, false},
		{"another entry", 0xE2, parent("01"), 0xE1, 0, 1, false},
		{"malformed", 0xE1, "00-" + id + "-xyz-01", 0xE1, 0, 1, false},
		{"long", 0xE1, parent("01") + strings.Repeat("-0", 100), 0xE1, 0, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seen := make(chan trace.SpanContext, 1)
			inner := greeting(noop.NewTracerProvider().Tracer(""))
			s := &netserver.Server{Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
				seen <- trace.SpanContextFromContext(ctx)
				return inner.Serve(ctx, c)
			})}
			s.Config.Proxy.Mode, s.Config.Proxy.From = netserver.ProxyRequire, []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
			to := attach(t, s, otel.Config{Traceparent: tt.take, Ratio: tt.ratio})
			r := netservertest.Start(t, s, "tcp")
			talk(t, forwarded(t, r, tt.kind, tt.value))
			r.Records(t, 1)
			sc := <-seen
			if joined := sc.TraceID().String() == id; joined != (tt.joined || tt.spans == 0) {
				t.Errorf("the handler's context has the trace %v", sc.TraceID())
			}
			if n := len(to.named("connection ")); n != tt.spans {
				t.Fatalf("%d spans, want %d", n, tt.spans)
			}
			if tt.spans == 0 {
				return
			}
			span := to.only(t, "connection ")
			if joined := span.SpanContext.TraceID().String() == id && span.Parent.SpanID().String() == "00f067aa0ba902b7"; joined != tt.joined {
				t.Errorf("the span's trace is %v, below %v", span.SpanContext.TraceID(), span.Parent.SpanID())
			}
			if have := values(span.Attributes); have["client.address"] != "192.0.2.7" || have["network.peer.address"] != "127.0.0.1" {
				t.Errorf("attributes %v", have)
			}
		})
	}
}

// A request's span is below that of its connection, or of the traceparent in its
// header.
func TestRequestsWithOtelhttp(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	h := otelhttp.NewHandler(answer, "request", otelhttp.WithTracerProvider(provider), otelhttp.WithPropagators(propagation.TraceContext{}))
	s := &netserver.Server{Handler: &httpd.Handler{Handler: h}}
	to := attach(t, s, otel.Config{TracerProvider: provider})
	to.spans = exporter
	r := netservertest.Start(t, s, "tcp")
	c := r.Dial(t, "tcp")
	in := bufio.NewReader(c)
	for _, header := range []string{"", "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"} {
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", header)
		res, err := http.ReadResponse(in, nil)
		if err != nil || res.StatusCode != http.StatusNoContent {
			t.Fatal(res, err)
		}
	}
	c.Close()
	r.Records(t, 1)
	span := to.only(t, "connection ")
	requests := to.named("request")
	if len(requests) == 0 {
		requests = to.named("GET")
	}
	if len(requests) != 2 || requests[0].Parent.SpanID() != span.SpanContext.SpanID() || requests[1].Parent.SpanID().String() != "00f067aa0ba902b7" {
		t.Errorf("the connection's span is %v, requests are %v", span.SpanContext.SpanID(), requests)
	}
}

// detached ends its clients when their first byte comes, on another goroutine.
type detached struct{ seen chan trace.SpanContext }

func (d detached) Serve(context.Context, *netserver.Conn) error { return errors.New("not detached") }

func (d detached) ServeDetached(ctx context.Context, c *netserver.Conn) error {
	d.seen <- trace.SpanContextFromContext(ctx)
	c.Detach()
	go func() {
		_, err := c.Read(make([]byte, 1))
		c.End(err)
	}()
	return nil
}

func TestDetachers(t *testing.T) {
	d := detached{make(chan trace.SpanContext, 1)}
	s := &netserver.Server{Handler: d}
	to := attach(t, s, otel.Config{})
	if _, ok := netserver.HandlerAs[detached](s.Handler); !ok {
		t.Error("the Handler of before is hidden")
	}
	r := netservertest.Start(t, s, "tcp")
	fmt.Fprint(r.Dial(t, "tcp"), "x")
	r.Records(t, 1)
	span := to.only(t, "connection ")
	if sc := <-d.seen; sc.SpanID() != span.SpanContext.SpanID() || span.Status.Code != codes.Unset {
		t.Errorf("the handler had %v; the span is %v, %v", sc.SpanID(), span.SpanContext.SpanID(), span.Status)
	}
}

func TestMetrics(t *testing.T) {
	s := &netserver.Server{Handler: greeting(noop.NewTracerProvider().Tracer(""))}
	to := attach(t, s, otel.Config{TracerProvider: noop.NewTracerProvider()})
	r := netservertest.Start(t, s, "ssl")
	talk(t, r.DialTLS(t, r.ClientTLS()))
	r.Records(t, 1)
	open := r.DialTLS(t, r.ClientTLS())
	io.WriteString(open, "j") // it stays, in the handler
	netservertest.Eventually(t, "a client in the handler", func() bool { return s.Monitor().Stats().Serving == 1 })

	sums, histograms := to.collect(t)
	port := s.Monitor().Stats().Ports[0].Port.Short()
	for name, want := range map[string]int64{
		"netserver.connection.ended served " + port:     1,
		"netserver.connection.active":                   1,
		"netserver.connection.serving":                  1,
		"netserver.connection.io " + port + " receive":  3,
		"netserver.connection.io " + port + " transmit": 9,
		"netserver.handshake.shed":                      0,
		"netserver.penalty.active":                      0,
	} {
		if got, ok := sums[name]; !ok || got != want {
			t.Errorf("%s is %d, %v, want %d", name, got, ok, want)
		}
	}
	for name, want := range map[string]uint64{"netserver.connection.duration served " + port: 1, "netserver.handshake.duration " + port + " 1.3 false": 2} {
		if got := histograms[name]; got < 1 || got > want {
			t.Errorf("%s has %d, want %d", name, got, want)
		}
	}
	if t.Failed() {
		t.Log(sums, histograms)
	}
	if err := to.tel.Detach(); err != nil {
		t.Fatal(err)
	}
	if sums, _ = to.collect(t); len(sums) != 2 {
		t.Errorf("after Detach there are %v", sums)
	}
}

// collect returns sums and the counts of histograms, by name and attributes.
func (to *told) collect(t *testing.T) (sums map[string]int64, histograms map[string]uint64) {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := to.reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	sums, histograms = map[string]int64{}, map[string]uint64{}
	key := func(name string, set attribute.Set) string {
		for _, kv := range set.ToSlice() { // sorted by key
			name += " " + kv.Value.String()
		}
		return name
	}
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					sums[key(m.Name, p.Attributes)] = p.Value
				}
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					histograms[key(m.Name, p.Attributes)] = p.Count
				}
			default:
				t.Errorf("%s is a %T", m.Name, d)
			}
		}
	}
	return sums, histograms
}

func TestNewAndAttachRefuse(t *testing.T) {
	for _, cfg := range []otel.Config{{Ratio: 1.5}, {Traceparent: 0x20}, {Traceparent: 0xF0}, {Traceparent: proto.ProxyTLVAWS}} {
		if _, err := otel.New(cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
	tel, err := otel.New(otel.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := tel.Attach(&netserver.Server{}); err != nil {
		t.Error(err)
	}
	if err := tel.Attach(&netserver.Server{}); err == nil {
		t.Error("a second Server is taken")
	}
}
