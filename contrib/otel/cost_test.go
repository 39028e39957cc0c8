package otel_test

import (
	"net"
	"testing"
	"time"

	noopmeter "go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"netserver"
	"netserver/contrib/otel"
	"netserver/outcome"
	"netserver/port"
)

// left returns a connection that was refused, and the hook that is told of it.
func left(tb testing.TB, ratio float64) (func(*netserver.Conn, *netserver.Record), *netserver.Record) {
	s := &netserver.Server{}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(tracetest.NewNoopExporter()))
	tel, err := otel.New(otel.Config{TracerProvider: provider, MeterProvider: noopmeter.NewMeterProvider(), Ratio: ratio})
	if err == nil {
		err = tel.Attach(s)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return s.Hooks.Logged, &netserver.Record{
		Port: port.Spec{Host: "127.0.0.1", Port: "443", Proto: "ssl"}, Peer: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9},
		Begin: time.Now(), Outcome: outcome.Penalised, Stage: netserver.StageAccept,
	}
}

// A connection that gets no span costs the name of its port.
func TestAllocsOfConnectionsLeftOut(t *testing.T) {
	ended, r := left(t, -1)
	if n := testing.AllocsPerRun(100, func() { ended(nil, r) }); n > 3 {
		t.Errorf("%v allocations, want 3 at most", n)
	}
}

func BenchmarkLeftOut(b *testing.B) { benchmark(b, -1) }
func BenchmarkSpan(b *testing.B)    { benchmark(b, 0) }

func benchmark(b *testing.B, ratio float64) {
	ended, r := left(b, ratio)
	b.ReportAllocs()
	for b.Loop() {
		ended(nil, r)
	}
}
