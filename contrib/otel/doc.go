// Package otel tells OpenTelemetry what a netserver.Server does: a span for each
// connection, metrics, and the connection's span in the context of its Handler.
// With OTLP over HTTP, to where OTEL_EXPORTER_OTLP_ENDPOINT says:
//
//	p, err := otel.NewPipeline(ctx, otel.PipelineConfig{Service: "gate"})
//	if err != nil {
//		return err
//	}
//	defer p.Shutdown(context.Background())
//	tel, err := otel.New(otel.Config{TracerProvider: p.Tracer, MeterProvider: p.Meter, Ratio: 0.01})
//	if err != nil {
//		return err
//	}
//	if err := tel.Attach(server); err != nil { // before it serves
//		return err
//	}
//
// Any other providers of OpenTelemetry's will do. docs/TELEMETRY.md lists spans,
// attributes and metrics.
//
// It is a module of its own, so that the library's users do not have
// OpenTelemetry's modules among theirs; of netserver it uses what any program
// can. Start reading at Telemetry.Attach in otel.go; span.go makes spans,
// metrics.go counts, pipeline.go sends.
package otel
