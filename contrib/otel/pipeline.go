package otel

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// A PipelineConfig says where spans and metrics go. The zero PipelineConfig is
// what the environment says: OTEL_EXPORTER_OTLP_ENDPOINT and the others of the
// specification, http://localhost:4318 without them.
type PipelineConfig struct {
	// Service and Version are service.name and service.version; "" is what
	// OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES say, which go before them in
	// any case. service.instance.id is a new one for each Pipeline, so that the
	// counters of two processes are not mistaken for one.
	Service, Version string
	Attributes       []attribute.KeyValue // more of them

	// Queue is how many spans may wait to be sent; 0 is 2048. More are dropped
	// and counted, and nobody waits.
	Queue int
	// Interval is how often metrics are sent; 0 is what OTEL_METRIC_EXPORT_INTERVAL
	// says, a minute without it.
	Interval time.Duration

	// Spans and Metrics send elsewhere than OTLP over HTTP, for instance OTLP
	// over gRPC, whose exporters this module does not link; nil is OTLP over
	// HTTP. The Pipeline shuts them down.
	Spans   sdktrace.SpanExporter
	Metrics sdkmetric.Exporter
}

// A Pipeline has providers of OpenTelemetry's that send what they are told. They
// are for the program's own spans and metrics as well, and may be made the
// global ones.
type Pipeline struct {
	Tracer *sdktrace.TracerProvider // samples all root spans, and children as their parents; see Config.Ratio
	Meter  *sdkmetric.MeterProvider
	spans  *queue
}

// NewPipeline returns a Pipeline, which the caller shuts down. It connects to
// nothing: whether the other side is there shows later, in errors that package
// go.opentelemetry.io/otel gives to its ErrorHandler. The error is about what c
// or the environment says. With a supervisor each worker needs its own, made in
// its process.
func NewPipeline(ctx context.Context, c PipelineConfig) (*Pipeline, error) {
	if c.Queue < 0 || c.Interval < 0 {
		return nil, errors.New("otel: PipelineConfig.Queue and Interval must not be negative")
	}
	res, err := c.resource(ctx)
	if err != nil {
		return nil, err
	}
	if c.Spans == nil {
		if c.Spans, err = otlptracehttp.New(ctx); err != nil {
			return nil, fmt.Errorf("otel: %w", err)
		}
	}
	if c.Metrics == nil {
		if c.Metrics, err = otlpmetrichttp.New(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("otel: %w", err), c.Spans.Shutdown(ctx))
		}
	}
	var every []sdkmetric.PeriodicReaderOption
	if c.Interval > 0 {
		every = append(every, sdkmetric.WithInterval(c.Interval))
	}
	q := newQueue(c.Spans, c.Queue)
	p := &Pipeline{
		Tracer: sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithSpanProcessor(q)),
		Meter:  sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(sdkmetric.NewPeriodicReader(c.Metrics, every...))),
		spans:  q,
	}
	_, err = p.Meter.Meter(scope).Int64ObservableCounter("netserver.span.dropped", metric.WithUnit("{span}"),
		metric.WithDescription("Spans that could not be sent, or were too many to wait for that."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(int64(p.Dropped()))
			return nil
		}))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("otel: %w", err), p.Shutdown(ctx))
	}
	return p, nil
}

// resource says what the program is.
func (c *PipelineConfig) resource(ctx context.Context) (*resource.Resource, error) {
	attrs := []attribute.KeyValue{semconv.ServiceInstanceID(uuid.NewString())}
	if c.Service != "" {
		attrs = append(attrs, semconv.ServiceName(c.Service))
	}
	if c.Version != "" {
		attrs = append(attrs, semconv.ServiceVersion(c.Version))
	}
	own, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(), resource.WithProcessPID(),
		resource.WithAttributes(append(attrs, c.Attributes...)...), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("otel: what the program is: %w", err)
	}
	named, err := resource.Merge(resource.Default(), own) // which calls a nameless one unknown_service
	if err != nil {
		return nil, fmt.Errorf("otel: what the program is: %w", err)
	}
	return named, nil
}

// Dropped returns how many spans were not sent, as too many waited or the other
// side did not take them.
func (p *Pipeline) Dropped() uint64 { return p.spans.dropped.Load() }

// Flush sends what is there now, and returns when it is sent or ctx ends.
func (p *Pipeline) Flush(ctx context.Context) error {
	return errors.Join(p.Tracer.ForceFlush(ctx), p.Meter.ForceFlush(ctx))
}

// Shutdown sends what is there, within ctx, and ends the Pipeline. Call it when
// Serve has returned.
func (p *Pipeline) Shutdown(ctx context.Context) error {
	return errors.Join(p.Tracer.Shutdown(ctx), p.Meter.Shutdown(ctx))
}

// A queue is the SDK's batch processor with a count of what it drops. The
// processor's own queue never is full, as no more spans are in it and on their
// way than most.
type queue struct {
	sdktrace.SpanProcessor
	most    int64
	pending atomic.Int64
	dropped atomic.Uint64
}

func newQueue(e sdktrace.SpanExporter, most int) *queue {
	if most == 0 {
		most = sdktrace.DefaultMaxQueueSize
	}
	q := &queue{most: int64(most)}
	// Those who flush take a place in the processor's queue too.
	q.SpanProcessor = sdktrace.NewBatchSpanProcessor(counted{e, q}, sdktrace.WithMaxQueueSize(most+flushers))
	return q
}

// flushers is how many may flush at the same time.
const flushers = 64

// OnEnd queues a span to be sent.
func (q *queue) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if q.pending.Add(1) > q.most {
		q.pending.Add(-1)
		q.dropped.Add(1)
		return
	}
	q.SpanProcessor.OnEnd(s)
}

// counted tells its queue which spans are gone.
type counted struct {
	sdktrace.SpanExporter
	q *queue
}

func (c counted) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, spans)
	c.q.pending.Add(-int64(len(spans)))
	if err != nil {
		c.q.dropped.Add(uint64(len(spans)))
	}
	return err
}
