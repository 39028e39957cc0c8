package control

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Metrics are the counters of the whole server, by family. An answer has them in
// several parts, each with some of the families.
type Metrics struct {
	Families []Family `json:"families"`
	Silent   []Silent `json:"silent"`
}

// A Family is the series of one name.
type Family struct {
	Name    string   `json:"name"`
	Help    string   `json:"help"`
	Type    string   `json:"type"` // counter, gauge or histogram
	Unit    string   `json:"unit"` // seconds, bytes or ""
	Samples []Sample `json:"samples"`
}

// A Sample is one series: of counters and gauges the value, of histograms the
// rest, as Prometheus's native histograms have it. Bucket i ends at
// 2^(i/2^schema) seconds, included, and begins where the one below ends; what is
// not longer than zero_threshold is in zero.
type Sample struct {
	Labels        map[string]string `json:"labels"`
	Value         *float64          `json:"value,omitempty"`
	Count         *uint64           `json:"count,omitempty"`
	Sum           *float64          `json:"sum,omitempty"`
	Schema        *int              `json:"schema,omitempty"`
	ZeroThreshold *float64          `json:"zero_threshold,omitempty"`
	Zero          *uint64           `json:"zero,omitempty"`
	Buckets       map[int]uint64    `json:"buckets,omitempty"`
}

// Add puts a further part of the answer to those before.
func (m *Metrics) Add(part Metrics) {
	m.Families = append(m.Families, part.Families...)
	m.Silent = append(m.Silent, part.Silent...)
}

// Text writes a line for each series.
func (m *Metrics) Text(w io.Writer) {
	for i := range m.Families {
		f := &m.Families[i]
		for j := range f.Samples {
			s := &f.Samples[j]
			fmt.Fprintf(w, "%s%s %s\n", Clean(f.Name), s.labelText(), s.valueText())
		}
	}
	silentText(w, m.Silent)
}

func (s *Sample) labelText() string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(s.Labels)) {
		list = append(list, Clean(k)+"="+strconv.QuoteToGraphic(s.Labels[k]))
	}
	if len(list) == 0 {
		return ""
	}
	return "{" + strings.Join(list, ",") + "}"
}

func (s *Sample) valueText() string {
	if s.Count == nil {
		return known(s.Value, plainNumber)
	}
	text := fmt.Sprintf("count=%d", *s.Count)
	if *s.Count == 0 || s.Sum == nil {
		return text
	}
	text += " mean=" + duration(*s.Sum/float64(*s.Count))
	for _, q := range []float64{0.5, 0.95, 0.99} {
		text += fmt.Sprintf(" p%g=%s", q*100, duration(s.Quantile(q)))
	}
	return text
}

// duration writes seconds with three digits.
func duration(v float64) string {
	for _, u := range []struct {
		least float64
		name  string
	}{{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}} {
		if v >= u.least {
			return strconv.FormatFloat(v/u.least, 'g', 3, 64) + u.name
		}
	}
	return "0s"
}

// Quantile returns about how long the q-th part of a histogram took at most, in
// seconds: the end of its bucket.
func (s *Sample) Quantile(q float64) float64 {
	if s.Count == nil || s.Schema == nil || s.Zero == nil {
		return 0
	}
	want := uint64(math.Ceil(q * float64(*s.Count)))
	if want <= *s.Zero {
		return 0
	}
	seen, at := *s.Zero, 0.0
	for _, i := range slices.Sorted(maps.Keys(s.Buckets)) {
		seen, at = seen+s.Buckets[i], math.Exp2(math.Ldexp(float64(i), -*s.Schema))
		if seen >= want {
			break
		}
	}
	return at
}
