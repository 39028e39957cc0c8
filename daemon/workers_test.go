package daemon

import (
	"fmt"
	"strings"
	"testing"

	"netserver/conf"
	"netserver/daemon/internal/supervisor"
)

// The original's own results, and what is used where it ends with an error.
func TestScaleFitsTogether(t *testing.T) {
	for _, tc := range []struct {
		min, max, minSpare, maxSpare int // 0 is not given
		want                         string
		note                         string
	}{
		{0, 0, 0, 0, "5 50 5 10", ""},
		{0, 6, 0, 0, "5 6 5 5", ""},
		{0, 10, 0, 0, "5 10 5 9", ""},
		{0, 12, 0, 0, "5 12 5 10", ""},
		{1, 0, 0, 0, "1 50 1 10", ""},
		{10, 0, 0, 0, "10 50 10 10", ""},
		{20, 80, 10, 15, "20 80 10 15", ""},
		// The original: fatal.
		{0, 4, 0, 0, "4 4 3 3", ""},
		{0, 5, 0, 0, "5 5 4 4", ""},
		{1, 1, 0, 0, "1 1 1 1", ""},
		{1, 3, 0, 0, "1 3 1 2", ""},
		{20, 80, 0, 0, "20 80 10 10", ""},
		{9, 5, 0, 0, "5 5 4 4", "min_servers 9 is above max_servers: 5 is used"},
		{2, 10, 4, 0, "2 10 2 9", "min_spare_servers 4 is above min_servers: 2 is used"},
		{2, 10, 0, 20, "2 10 2 9", "max_spare_servers 20 is above max_servers less one: 9 is used"},
		// The original takes min_servers 4; it was given as 2.
		{2, 4, 1, 2, "2 4 1 2", ""},
	} {
		c := &Config{Type: typePreFork, Workers: WorkersConfig{Min: tc.min, MinSpare: tc.minSpare, MaxSpare: tc.maxSpare}}
		c.Server.Limits.MaxServing = tc.max
		s, notes := c.scale()
		if got := fmt.Sprint(s.Min, s.Max, s.MinSpare, s.MaxSpare); got != tc.want || strings.Join(notes, ";") != tc.note {
			t.Errorf("%+v: %s %q", tc, got, notes)
		}
		if s.MinSpare > s.MaxSpare || s.Min > s.Max || s.MinSpare > s.Min {
			t.Errorf("%+v: %+v does not fit together", tc, s)
		}
	}
}

// A zero that is given is one, and not the default.
func TestScaleOfZeros(t *testing.T) {
	c := &Config{Type: typePreFork}
	set := new(conf.Set)
	c.Workers.define(set)
	layer := conf.LayerOf(conf.SourceArgs, conf.Values{})
	for key, text := range map[string]string{"check_for_waiting": "0", "min_child_ttl": "0", "min_servers": "1", "min_spare_servers": "0", "max_spare_servers": "1"} {
		layer.Entries = append(layer.Entries, conf.Entry{Key: key, Values: []conf.Value{{Text: text}}})
	}
	if _, err := set.Resolve(layer); err != nil {
		t.Fatal(err)
	}
	c.Server.Limits.MaxServing = 9
	want := supervisor.Scale{Min: 1, Max: 9, MaxSpare: 1, Clients: 1, Requests: 1000, Dynamic: true, Surplus: 1, MinLife: 1, Grows: supervisor.GrowsProcesses}
	if got, _ := c.scale(); got != want {
		t.Errorf("%+v, not %+v", got, want)
	}
}

func TestWorkerKeys(t *testing.T) {
	for _, tc := range []struct {
		key, text, want string // what becomes of it, or the error
	}{
		{"min_servers", "0", "out of range"},
		{"max_spare_servers", "0", "out of range"},
		{"clients_per_server", "0", "out of range"},
		{"min_servers", "3", "3 0 0 0 0"},
		{"min_spare_servers", "0", "0 -1 0 0 0"},
		{"max_requests", "0", "0 0 0 1 0"},
		{"max_requests", "none", "0 0 0 -1 0"},
		{"min_servers", "some", "is not a whole number"},
		{"max_requests", "-2", "out of range"},
	} {
		var w WorkersConfig
		set := new(conf.Set)
		w.define(set)
		layer := conf.LayerOf(conf.SourceArgs, conf.Values{})
		layer.Entries = append(layer.Entries, conf.Entry{Key: tc.key, Values: []conf.Value{{Text: tc.text}}})
		_, err := set.Resolve(layer)
		got := fmt.Sprint(w.Min, w.MinSpare, w.MaxSpare, w.Requests, w.Clients)
		if err != nil {
			got = err.Error()
		}
		if err == nil && got != tc.want || err != nil && !strings.Contains(got, tc.want) {
			t.Errorf("%s %s: %s, not %s", tc.key, tc.text, got, tc.want)
		}
	}
}
