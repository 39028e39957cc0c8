package otel

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"netserver"
	"netserver/outcome"
)

// meters are the instruments. Those that are observed are read from a Monitor
// when metrics are collected, the others get their numbers from records.
type meters struct {
	meter metric.Meter

	ends                           metric.Int64ObservableCounter
	clients, serving, memory       metric.Int64ObservableUpDownCounter
	refused, wouldRefuse, wouldCut metric.Int64ObservableCounter
	unfinished, waiting, running   metric.Int64ObservableUpDownCounter
	shed                           metric.Int64ObservableCounter
	penalties                      metric.Int64ObservableUpDownCounter

	duration, handshake metric.Float64Histogram
	bytes               metric.Int64Counter
}

// seconds are the bounds of the histograms, for readers that have not chosen
// exponential ones: from half a millisecond to an hour.
var seconds = [...]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600}

// maker makes instruments and keeps the first error.
type maker struct {
	m   metric.Meter
	err error
}

func made[T any](k *maker, v T, err error) T {
	if k.err == nil {
		k.err = err
	}
	return v
}

func (k *maker) counter(name, unit, help string) metric.Int64ObservableCounter {
	v, err := k.m.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(help))
	return made(k, v, err)
}

func (k *maker) gauge(name, unit, help string) metric.Int64ObservableUpDownCounter {
	v, err := k.m.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(help))
	return made(k, v, err)
}

func (k *maker) seconds(name, help string) metric.Float64Histogram {
	v, err := k.m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(help), metric.WithExplicitBucketBoundaries(seconds[:]...))
	return made(k, v, err)
}

func newMeters(m metric.Meter) (*meters, error) {
	k := &maker{m: m}
	bytes, err := m.Int64Counter("netserver.connection.io", metric.WithUnit("By"), metric.WithDescription("What handlers have read from clients and written to them, counted when a client has ended."))
	all := &meters{
		meter:       m,
		ends:        k.counter("netserver.connection.ended", "{connection}", "Clients that have ended and connections that were refused, by what became of them."),
		clients:     k.gauge("netserver.connection.active", "{connection}", "Clients that are connected."),
		serving:     k.gauge("netserver.connection.serving", "{connection}", "Clients that are in their handler."),
		memory:      k.gauge("netserver.connection.memory", "By", "What connections take, as max_memory counts it."),
		refused:     k.counter("netserver.limit.refused", "{connection}", "Connections and datagrams that a limit refused, and handshakes that were ended for one."),
		wouldRefuse: k.counter("netserver.limit.would_refuse", "{connection}", "What a limit would have refused but for limits_shadow."),
		wouldCut:    k.counter("netserver.limit.would_cut", "{connection}", "Clients below a minimum rate that would have been ended but for limits_shadow."),
		unfinished:  k.gauge("netserver.handshake.unfinished", "{handshake}", "Handshakes under the scheduler that are not finished."),
		waiting:     k.gauge("netserver.handshake.waiting", "{handshake}", "Handshakes that wait for a turn."),
		running:     k.gauge("netserver.handshake.running", "{handshake}", "Handshakes that have a turn."),
		shed:        k.counter("netserver.handshake.shed", "{handshake}", "Handshakes that the scheduler ended for being too many, for a limit or for memory."),
		penalties:   k.gauge("netserver.penalty.active", "{network}", "Sources and networks in the penalty box."),
		duration:    k.seconds("netserver.connection.duration", "How long clients were connected that have ended."),
		handshake:   k.seconds("netserver.handshake.duration", "How long TLS handshakes took that succeeded, from their first turn."),
		bytes:       made(k, bytes, err),
	}
	return all, k.err
}

// observe has the observed instruments read a Server's Monitor.
func (m *meters) observe(monitor netserver.Monitor) (metric.Registration, error) {
	return m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		m.read(o, monitor.Stats(), len(monitor.Penalties()))
		return nil
	}, m.ends, m.clients, m.serving, m.memory, m.refused, m.wouldRefuse, m.wouldCut,
		m.unfinished, m.waiting, m.running, m.shed, m.penalties)
}

func (m *meters) read(o metric.Observer, s netserver.Stats, penalties int) {
	o.ObserveInt64(m.clients, int64(s.Clients))
	o.ObserveInt64(m.serving, int64(s.Serving))
	o.ObserveInt64(m.memory, s.Memory)
	o.ObserveInt64(m.unfinished, int64(s.Handshakes.Unfinished))
	o.ObserveInt64(m.waiting, int64(s.Handshakes.Waiting))
	o.ObserveInt64(m.running, int64(s.Handshakes.Running))
	o.ObserveInt64(m.shed, int64(s.Handshakes.Shed))
	o.ObserveInt64(m.penalties, int64(penalties))
	// Two Serves at a time may each have a port of the same name, such as a path.
	type series struct{ port, limit string }
	var ended = map[string]*[outcome.Count]uint64{}
	refused, would, cut := map[series]uint64{}, map[series]uint64{}, map[string]uint64{}
	for _, p := range s.Ports {
		name := p.Port.Short()
		sum := ended[name]
		if sum == nil {
			sum = new([outcome.Count]uint64)
			ended[name] = sum
		}
		for class, n := range p.Outcomes {
			sum[class] += n
		}
		for limit, n := range p.Refused {
			refused[series{name, limit}] += n
		}
		for limit, n := range p.WouldRefuse {
			would[series{name, limit}] += n
		}
		cut[name] += p.WouldCut
	}
	for name, sum := range ended {
		for class, n := range sum {
			if n > 0 {
				o.ObserveInt64(m.ends, int64(n), metric.WithAttributes(portKey.String(name), outcomeKey.String(outcome.Class(class).String())))
			}
		}
	}
	for s, n := range refused {
		o.ObserveInt64(m.refused, int64(n), metric.WithAttributes(portKey.String(s.port), limitKey.String(s.limit)))
	}
	for s, n := range would {
		o.ObserveInt64(m.wouldRefuse, int64(n), metric.WithAttributes(portKey.String(s.port), limitKey.String(s.limit)))
	}
	for name, n := range cut {
		if n > 0 {
			o.ObserveInt64(m.wouldCut, int64(n), metric.WithAttributes(portKey.String(name)))
		}
	}
}

// sets are the attributes that clients of a port are counted under, made once.
type sets struct {
	port     attribute.KeyValue
	outcomes [outcome.Count]metric.MeasurementOption
	in, out  metric.MeasurementOption
}

func newSets(name string) (s sets) {
	s.port = portKey.String(name)
	set := func(kv ...attribute.KeyValue) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(append(kv, s.port)...))
	}
	for class := range s.outcomes {
		s.outcomes[class] = set(outcomeKey.String(outcome.Class(class).String()))
	}
	s.in, s.out = set(semconv.NetworkIODirectionReceive), set(semconv.NetworkIODirectionTransmit)
	return s
}

// ended counts a connection that has ended.
func (m *meters) ended(p *place, r *netserver.Record) {
	ctx := context.Background()
	if r.Outcome < outcome.Count {
		m.duration.Record(ctx, r.Time.Seconds(), p.sets.outcomes[r.Outcome])
	}
	if r.In > 0 && !r.Unseen {
		m.bytes.Add(ctx, int64(r.In), p.sets.in)
	}
	if r.Out > 0 && !r.Unseen {
		m.bytes.Add(ctx, int64(r.Out), p.sets.out)
	}
	if d := handshakeTime(r); d > 0 && m.handshake.Enabled(ctx) {
		m.handshake.Record(ctx, d.Seconds(), metric.WithAttributes(p.sets.port, semconv.TLSProtocolVersion(versionOf(r.TLS.Version)), semconv.TLSResumed(r.TLS.DidResume)))
	}
}

// handshakeTime returns how long the handshake of a client took; 0 if there was
// none that succeeded.
func handshakeTime(r *netserver.Record) time.Duration {
	if r.TLS == nil || !r.TLS.HandshakeComplete || r.Trace == nil || !r.Port.IsTLS() || r.Trace.Turn == 0 {
		return 0
	}
	return r.Trace.Entered[netserver.StageAccess] - r.Trace.Turn
}
