package prommetrics

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"netserver/internal/control"
)

const sample = `{"families":[
 {"name":"netserver_connections_total","help":"Ended.","type":"counter","unit":"","samples":[{"labels":{"port":"127.0.0.1:443/ssl","outcome":"served"},"value":1001}]},
 {"name":"netserver_open_connections","help":"Open.","type":"gauge","unit":"","samples":[{"labels":{"port":"a\"b\\c\nd"},"value":3}]},
 {"name":"netserver_handshake_seconds","help":"How long.","type":"histogram","unit":"seconds","samples":[
  {"labels":{"version":"1.3"},"count":13,"sum":0.5,"schema":3,"zero_threshold":0.000001,"zero":1,"buckets":{"-53":4,"-52":5,"-40":2,"0":1}},
  {"labels":{"version":"1.2"},"count":0,"sum":0,"schema":3,"zero_threshold":0.000001,"zero":0,"buckets":{}}]}
],"silent":[]}`

func scrape(fetch func(context.Context) ([]byte, error), accept string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/metrics", nil)
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	w := httptest.NewRecorder()
	Handler(fetch).ServeHTTP(w, r)
	return w
}

func text(s string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return []byte(s), nil }
}

func TestText(t *testing.T) {
	for _, accept := range []string{"", "application/openmetrics-text; version=1.0.0"} {
		w := scrape(text(sample), accept)
		for _, want := range []string{
			`netserver_connections_total{outcome="served",port="127.0.0.1:443/ssl"} 1001`,
			`netserver_open_connections{port="a\"b\\c\nd"} 3`,
			`netserver_handshake_seconds_bucket{version="1.3",le="0.015625"} 10`, // 2^(-53/8) and 2^(-52/8) are below
			`netserver_handshake_seconds_bucket{version="1.3",le="0.03125"} 12`,
			`netserver_handshake_seconds_bucket{version="1.3",le="0.5"} 12`,
			`netserver_handshake_seconds_bucket{version="1.3",le="1`,
			`netserver_handshake_seconds_bucket{version="1.3",le="+Inf"} 13`,
			`netserver_handshake_seconds_count{version="1.3"} 13`,
			`netserver_handshake_seconds_count{version="1.2"} 0`,
		} {
			if w.Code != 200 || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%q: status %d, no %s in\n%s", accept, w.Code, want, w.Body)
			}
		}
	}
}

// Scrapers that understand protobuf get native histograms.
func TestNativeHistograms(t *testing.T) {
	w := scrape(text(sample), "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	d := expfmt.NewDecoder(w.Body, expfmt.ResponseFormat(w.Header()))
	found := map[string]*dto.MetricFamily{}
	for {
		var f dto.MetricFamily
		if err := d.Decode(&f); err != nil {
			break
		}
		found[f.GetName()] = &f
	}
	f := found["netserver_handshake_seconds"]
	if f == nil || len(f.Metric) != 2 {
		t.Fatalf("%v", found)
	}
	h := f.Metric[0].Histogram
	if h.GetSchema() != 3 || h.GetSampleCount() != 13 || h.GetZeroCount() != 1 || h.GetZeroThreshold() != 1e-6 {
		t.Errorf("%v", h)
	}
	// Its buckets, read as Prometheus reads them.
	got, at, count, n := map[int]int64{}, 0, int64(0), 0
	for _, span := range h.PositiveSpan {
		at += int(span.GetOffset())
		for range span.GetLength() {
			count += h.PositiveDelta[n]
			got[at] = count
			at++
			n++
		}
	}
	if fmt.Sprint(got) != "map[-53:4 -52:5 -40:2 0:1]" {
		t.Errorf("buckets %v", got)
	}
	if empty := f.Metric[1].Histogram; len(empty.PositiveSpan) != 1 || empty.PositiveSpan[0].GetLength() != 0 {
		t.Errorf("an empty one is not native: %v", empty)
	}
}

func TestNoMetrics(t *testing.T) {
	for name, fetch := range map[string]func(context.Context) ([]byte, error){
		"an error": func(context.Context) ([]byte, error) { return nil, errors.New("the server\x1b has ended") },
		"no JSON":  text("x"), "an unknown type": text(`{"families":[{"name":"a","type":"b","samples":[]}]}`),
		"no value": text(`{"families":[{"name":"a","type":"gauge","samples":[{}]}]}`), "no count": text(`{"families":[{"name":"a","type":"histogram","samples":[{}]}]}`),
	} {
		if w := scrape(fetch, ""); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "\x1b") {
			t.Errorf("%s: %d %q", name, w.Code, w.Body)
		}
	}
}

// A scrape of many series takes little.
func BenchmarkScrape(b *testing.B) {
	var m control.Metrics
	for i := range 100 {
		f := control.Family{Name: fmt.Sprintf("netserver_a%d_total", i), Type: "counter"}
		for j := range 20 {
			f.Samples = append(f.Samples, control.Sample{Labels: map[string]string{"port": fmt.Sprint(j), "outcome": "served"}, Value: new(float64(j))})
		}
		m.Families = append(m.Families, f)
	}
	text, err := json.Marshal(m)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if w := scrape(func(context.Context) ([]byte, error) { return bytes.Clone(text), nil }, ""); w.Code != 200 {
			b.Fatal(w.Code)
		}
	}
}
