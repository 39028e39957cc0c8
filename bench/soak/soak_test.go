package main

import (
	"io"
	"strings"
	"testing"

	"netserver/bench/honest"
)

// What is left behind, what failed and what did not come is an error.
func TestVerdict(t *testing.T) {
	good := func() result {
		return result{
			o:      options{conns: 1000, slack: 8},
			loads:  []load{{name: "TCP", done: honest.Rate{Done: 900}}, {name: "TLS", done: honest.Rate{Done: 99}}},
			before: state{memory: 30 << 20, descriptors: 39, goroutines: 34},
			after:  state{memory: 36 << 20, descriptors: 39, goroutines: 36},
		}
	}
	if r := good(); r.verdict() != nil {
		t.Error(r.verdict())
	}
	for name, spoil := range map[string]func(r *result){
		"failed":      func(r *result) { r.loads[0].done.Failed = 1 },
		"missing":     func(r *result) { r.loads[1].done.Done = 9 },
		"memory":      func(r *result) { r.after.memory = 39 << 20 },
		"descriptors": func(r *result) { r.after.descriptors = 139 },
		"goroutines":  func(r *result) { r.after.goroutines = 134 },
	} {
		r := good()
		if spoil(&r); r.verdict() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// The goroutines of all processes count.
func TestGoroutines(t *testing.T) {
	const text = "# HELP netserver_goroutines Goroutines.\nnetserver_goroutines{worker=\"1\"} 20\nnetserver_goroutines{worker=\"2\"} 14\nother 3\n"
	if n, err := goroutines(text); n != 34 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, bad := range []string{"", "other 3\n", "netserver_goroutines many\n"} {
		if n, err := goroutines(bad); err == nil {
			t.Errorf("%q: %d", bad, n)
		}
	}
}

func TestFlags(t *testing.T) {
	for _, args := range []string{"x", "-conns 1", "-conns 2000000", "-tls 2", "-tls 0.6 -proxied 0.6", "-slack -1", "-limit 1ms", "-nothing"} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s: no error", args)
		}
	}
}
