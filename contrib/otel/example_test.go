package otel_test

import (
	"context"
	"log"
	"os"
	"os/signal"

	"netserver"
	"netserver/contrib/otel"
	"netserver/handler/echo"
	"netserver/port"
)

// A server that sends spans of one connection in a hundred, and metrics, to the
// collector of OTEL_EXPORTER_OTLP_ENDPOINT.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s := &netserver.Server{Handler: &echo.Handler{}}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "20203"}}

	p, err := otel.NewPipeline(ctx, otel.PipelineConfig{Service: "gate"})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Shutdown(context.Background())
	tel, err := otel.New(otel.Config{TracerProvider: p.Tracer, MeterProvider: p.Meter, Ratio: 0.01})
	if err != nil {
		log.Fatal(err)
	}
	if err := tel.Attach(s); err != nil {
		log.Fatal(err)
	}
	log.Print(s.ListenAndServe(ctx))
}
