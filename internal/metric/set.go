package metric

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// A Sample is one series of a family: its labels' values in the order of the
// table, and a number or a histogram. It belongs to a port if the family has
// that label: Port is then its place in the process's list of ports, from 1, and
// Labels are those behind it.
type Sample struct {
	Family string
	Port   int      `json:",omitempty"`
	Labels []string `json:",omitempty"`
	Value  float64  `json:",omitempty"`
	Hist   *Sparse  `json:",omitempty"`
}

// A Set adds up samples of the same series. The zero value is empty. It is for
// one goroutine.
type Set struct{ series map[string]*Sample }

// between separates labels in the key of a series: no value has it.
const between = "\xff"

func keyOf(family string, labels []string) string {
	return family + between + strings.Join(labels, between)
}

// at returns a series, which it adds. All labels are in Labels here.
func (s *Set) at(family string, labels []string) *Sample {
	k := keyOf(family, labels)
	one := s.series[k]
	if one == nil {
		if s.series == nil {
			s.series = make(map[string]*Sample)
		}
		one = &Sample{Family: family, Labels: slices.Clone(labels)}
		s.series[k] = one
	}
	return one
}

// Add adds to a counter or gauge.
func (s *Set) Add(family string, value float64, labels ...string) {
	s.at(family, labels).Value += value
}

// AddHistogram adds to a histogram.
func (s *Set) AddHistogram(family string, h *Sparse, labels ...string) {
	one := s.at(family, labels)
	if one.Hist == nil {
		one.Hist = new(Sparse)
	}
	one.Hist.Add(h)
}

// AddAll adds what a process has counted; ports are the names of its ports.
// Samples of ports that it does not have are left out.
func (s *Set) AddAll(list []Sample, ports []string) {
	for i := range list {
		one := &list[i]
		labels := one.Labels
		if one.Port > 0 {
			if one.Port > len(ports) {
				continue
			}
			labels = append([]string{ports[one.Port-1]}, labels...)
		}
		s.put(one, labels)
	}
}

func (s *Set) put(one *Sample, labels []string) {
	if one.Hist != nil {
		s.AddHistogram(one.Family, one.Hist, labels...)
		return
	}
	if one.Family == LimitUsed { // each process has the limit for itself
		s.Most(one.Family, one.Value, labels...)
		return
	}
	s.Add(one.Family, one.Value, labels...)
}

// AddSet adds all of another one.
func (s *Set) AddSet(o *Set) {
	for _, one := range o.series {
		s.put(one, one.Labels)
	}
}

// Least sets a gauge, unless it is lower already.
func (s *Set) Least(family string, value float64, labels ...string) {
	had := len(s.series)
	if one := s.at(family, labels); len(s.series) > had || value < one.Value {
		one.Value = value
	}
}

// Most sets a gauge, unless it is higher already.
func (s *Set) Most(family string, value float64, labels ...string) {
	one := s.at(family, labels)
	one.Value = max(one.Value, value)
}

// Has reports whether there is such a series.
func (s *Set) Has(family string, labels ...string) bool {
	return s.series[keyOf(family, labels)] != nil
}

// Len returns how many series there are.
func (s *Set) Len() int { return len(s.series) }

// Series returns those of a family, in the order of their labels.
func (s *Set) Series(family string) (list []*Sample) {
	for _, one := range s.series {
		if one.Family == family {
			list = append(list, one)
		}
	}
	slices.SortFunc(list, byLabels)
	return list
}

func byLabels(a, b *Sample) int {
	return cmp.Or(slices.Compare(a.Labels, b.Labels), 0)
}

// Families returns the families that have a series, in the order of the table,
// each with its series.
func (s *Set) Families() (list []Filled) {
	by := make(map[string][]*Sample)
	for _, k := range slices.Sorted(maps.Keys(s.series)) {
		one := s.series[k]
		by[one.Family] = append(by[one.Family], one)
	}
	for i := range families {
		f := &families[i]
		if got := by[f.Name]; len(got) > 0 {
			slices.SortFunc(got, byLabels)
			list = append(list, Filled{f, got})
		}
	}
	return list
}

// A Filled is a family with its series.
type Filled struct {
	*Family
	Series []*Sample
}
