package otel_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace/noop"
	metricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"netserver"
	"netserver/contrib/otel"
	"netserver/netservertest"
)

// A collector receives OTLP over HTTP.
type collector struct {
	mu      sync.Mutex
	spans   map[string]string // services by the names of spans
	metrics map[string]bool
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch r.URL.Path {
	case "/v1/traces":
		var req tracepb.ExportTraceServiceRequest
		if proto.Unmarshal(b, &req) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		for _, rs := range req.ResourceSpans {
			var service string
			for _, kv := range rs.Resource.Attributes {
				if kv.Key == "service.name" {
					service = kv.Value.GetStringValue()
				}
			}
			for _, ss := range rs.ScopeSpans {
				for _, s := range ss.Spans {
					name, _, _ := strings.Cut(s.Name, " ")
					c.spans[name] = service
				}
			}
		}
	case "/v1/metrics":
		var req metricpb.ExportMetricsServiceRequest
		if proto.Unmarshal(b, &req) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		for _, rm := range req.ResourceMetrics {
			for _, sm := range rm.ScopeMetrics {
				for _, m := range sm.Metrics {
					c.metrics[m.Name] = true
				}
			}
		}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func TestPipelineSendsOTLP(t *testing.T) {
	got := &collector{spans: map[string]string{}, metrics: map[string]bool{}}
	receiver := httptest.NewServer(got)
	defer receiver.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.URL)
	p, err := otel.NewPipeline(t.Context(), otel.PipelineConfig{Service: "gate", Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Shutdown(context.Background())
	s := &netserver.Server{Handler: greeting(p.Tracer.Tracer("program"))}
	tel, err := otel.New(otel.Config{TracerProvider: p.Tracer, MeterProvider: p.Meter})
	if err != nil {
		t.Fatal(err)
	}
	if err := tel.Attach(s); err != nil {
		t.Fatal(err)
	}
	r := netservertest.Start(t, s, "tcp")
	talk(t, r.Dial(t, "tcp"))
	r.Records(t, 1)
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	got.mu.Lock()
	defer got.mu.Unlock()
	for _, name := range []string{"connection", "accept", "handler", "greet"} {
		if got.spans[name] != "gate" {
			t.Errorf("no span %s of the service: %v", name, got.spans)
		}
	}
	for _, name := range []string{"netserver.connection.ended", "netserver.connection.duration", "netserver.span.dropped"} {
		if !got.metrics[name] {
			t.Errorf("no metric %s: %v", name, got.metrics)
		}
	}
	if n := p.Dropped(); n != 0 {
		t.Errorf("%d spans dropped", n)
	}
}

// stuck is an exporter that waits.
type stuck struct{ until chan struct{} }

func (s stuck) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error {
	<-s.until
	return nil
}
func (s stuck) Shutdown(context.Context) error { return nil }

// A receiver that does not answer holds up no client, and costs a bounded number
// of spans.
func TestPipelineDropsAndCounts(t *testing.T) {
	receiver := httptest.NewServer(&collector{spans: map[string]string{}, metrics: map[string]bool{}}) // of metrics
	defer receiver.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.URL)
	e := stuck{make(chan struct{})}
	p, err := otel.NewPipeline(t.Context(), otel.PipelineConfig{Queue: 2, Spans: e})
	if err != nil {
		t.Fatal(err)
	}
	s := &netserver.Server{Handler: greeting(noop.NewTracerProvider().Tracer(""))}
	tel, err := otel.New(otel.Config{TracerProvider: p.Tracer, MeterProvider: p.Meter, Flat: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := tel.Attach(s); err != nil {
		t.Fatal(err)
	}
	r := netservertest.Start(t, s, "tcp")
	for range 10 {
		talk(t, r.Dial(t, "tcp"))
	}
	r.Records(t, 10)
	if n := p.Dropped(); n != 8 {
		t.Errorf("%d spans dropped, want 8", n)
	}
	close(e.until)
	if err := p.Tracer.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	talk(t, r.Dial(t, "tcp"))
	r.Records(t, 11)
	if n := p.Dropped(); n != 8 {
		t.Errorf("%d spans dropped when there was room again, want 8", n)
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestPipelineRefuses(t *testing.T) {
	for _, c := range []otel.PipelineConfig{{Queue: -1}, {Interval: -1}} {
		if _, err := otel.NewPipeline(t.Context(), c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}
