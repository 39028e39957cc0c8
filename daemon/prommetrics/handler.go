package prommetrics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"netserver/internal/control"
)

// scrapeTime bounds how long a scrape waits for the server's answer.
const scrapeTime = 9 * time.Second

// Handler answers scrapes with what fetch returns: the answer of the control
// protocol to the verb metrics, as JSON. fetch may be called by several requests
// at once. An error of fetch is answered with 503.
func Handler(fetch func(context.Context) ([]byte, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), scrapeTime)
		defer cancel()
		families, err := gather(ctx, fetch)
		if err != nil {
			http.Error(w, "no metrics: "+control.Clean(err.Error()), http.StatusServiceUnavailable)
			return
		}
		g := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return families, nil })
		promhttp.HandlerFor(g, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(w, r)
	})
}

func gather(ctx context.Context, fetch func(context.Context) ([]byte, error)) ([]*dto.MetricFamily, error) {
	b, err := fetch(ctx)
	if err != nil {
		return nil, err
	}
	var m control.Metrics
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, errors.New("the server's answer cannot be read")
	}
	families := make([]*dto.MetricFamily, 0, len(m.Families))
	for i := range m.Families {
		f, err := familyOf(&m.Families[i])
		if err != nil {
			return nil, err
		}
		families = append(families, f)
	}
	slices.SortFunc(families, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return families, nil
}

// familyOf makes a family in Prometheus's form.
func familyOf(f *control.Family) (*dto.MetricFamily, error) {
	kind, ok := map[string]dto.MetricType{
		"counter": dto.MetricType_COUNTER, "gauge": dto.MetricType_GAUGE, "histogram": dto.MetricType_HISTOGRAM,
	}[f.Type]
	if !ok {
		return nil, fmt.Errorf("%s: unknown type %.20q", f.Name, f.Type)
	}
	d := &dto.MetricFamily{Name: &f.Name, Help: &f.Help, Type: &kind}
	if f.Unit != "" {
		d.Unit = &f.Unit
	}
	for i := range f.Samples {
		s := &f.Samples[i]
		m := &dto.Metric{Label: labelsOf(s.Labels)}
		switch {
		case kind == dto.MetricType_HISTOGRAM:
			if s.Count == nil || s.Sum == nil || s.Schema == nil {
				return nil, fmt.Errorf("%s: a histogram without a count", f.Name)
			}
			m.Histogram = histogramOf(s)
		case s.Value == nil:
			return nil, fmt.Errorf("%s: no value", f.Name)
		case kind == dto.MetricType_COUNTER:
			m.Counter = &dto.Counter{Value: s.Value}
		default:
			m.Gauge = &dto.Gauge{Value: s.Value}
		}
		d.Metric = append(d.Metric, m)
	}
	return d, nil
}

func labelsOf(labels map[string]string) []*dto.LabelPair {
	var list []*dto.LabelPair
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		value := strings.ToValidUTF8(labels[name], "?")
		list = append(list, &dto.LabelPair{Name: &name, Value: &value})
	}
	return list
}

// The classic buckets that text formats have, as powers of 2: from 0.12 ms to
// two minutes. They are always the same, so that rates can be computed.
const (
	lowest  = -13
	highest = 7
)

// histogramOf makes a native histogram, with classic buckets for formats that
// have no others.
func histogramOf(s *control.Sample) *dto.Histogram {
	schema, threshold, zero := int32(*s.Schema), 0.0, uint64(0)
	if s.ZeroThreshold != nil {
		threshold = *s.ZeroThreshold
	}
	if s.Zero != nil {
		zero = *s.Zero
	}
	h := &dto.Histogram{SampleCount: s.Count, SampleSum: s.Sum, Schema: &schema, ZeroThreshold: &threshold, ZeroCount: &zero}
	indexes := slices.Sorted(maps.Keys(s.Buckets))
	h.PositiveSpan, h.PositiveDelta = spansOf(indexes, s.Buckets)
	if len(indexes) == 0 && zero == 0 {
		// A span that is empty says that this is a native histogram.
		h.PositiveSpan = []*dto.BucketSpan{{Offset: new(int32(0)), Length: new(uint32(0))}}
	}
	seen, next := zero, 0
	for e := lowest; e <= highest; e++ {
		for ; next < len(indexes) && float64(indexes[next]) <= math.Ldexp(float64(e), *s.Schema); next++ {
			seen += s.Buckets[indexes[next]]
		}
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: new(math.Ldexp(1, e)), CumulativeCount: new(seen)})
	}
	return h
}

// spansOf writes buckets as runs of indexes and differences between counts.
func spansOf(indexes []int, counts map[int]uint64) (spans []*dto.BucketSpan, deltas []int64) {
	last, before := 0, int64(0)
	for n, i := range indexes {
		if n == 0 || i != last+1 {
			offset := int32(i - last - 1)
			if n == 0 {
				offset = int32(i)
			}
			spans = append(spans, &dto.BucketSpan{Offset: &offset, Length: new(uint32(0))})
		}
		*spans[len(spans)-1].Length++
		count := int64(counts[i])
		deltas = append(deltas, count-before)
		last, before = i, count
	}
	return spans, deltas
}
