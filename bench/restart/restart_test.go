package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A small run of the real thing: nothing is lost, and everything was done.
func TestSmallRun(t *testing.T) {
	if runtime.GOOS != "linux" || testing.Short() {
		t.Skip("needs Linux, and ten seconds")
	}
	out := t.TempDir()
	o, err := parse(strings.Fields("-hups 6 -replacements 2 -kills 2 -rate 50 -stay 20 -datagrams 50 -gap 50ms -limit 3m -out "+out), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	r, err := measure(t.Context(), o, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.verdict(); err != nil {
		t.Error(err)
	}
	if len(r.hups) != 6 || len(r.replacements) != 2 || len(r.kills) != 2 || r.stayed != 20 || r.lines < 5 ||
		r.newcomers.Sent < 10 || r.datagrams < 10 || r.before.rss == 0 || r.after.descriptors == 0 {
		t.Errorf("not everything was done: %+v", r)
	}
	if err := r.write(out); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(out, "restart.md"))
	if err != nil || !bytes.Contains(page, []byte("| refused: 0 | 0 of ")) {
		t.Errorf("%v:\n%s", err, page)
	}
	var text bytes.Buffer
	r.print(&text)
	t.Logf("\n%s", &text)
}

// What was lost is an error; what was slow is not.
func TestVerdict(t *testing.T) {
	good := result{sameProcess: true, ready: readyAim * 2, hups: nil}
	if err := good.verdict(); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(r *result){
		"refused":   func(r *result) { r.newcomers.Failures = map[string]int{"connect refused": 1} },
		"failed":    func(r *result) { r.newcomers.Failed = 1 },
		"cut":       func(r *result) { r.lost = []error{os.ErrClosed} },
		"datagrams": func(r *result) { r.unheard = 1 },
		"process":   func(r *result) { r.sameProcess = false },
		"leak":      func(r *result) { r.after.descriptors = 1 },
		"kill":      func(r *result) { r.o.kills, r.killedLost = 1, []error{os.ErrClosed} },
	} {
		r := good
		spoil(&r)
		if r.verdict() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestBadFlags(t *testing.T) {
	for _, args := range []string{"x", "-hups -1", "-rate 0", "-stay 99999", "-limit 1ms", "-nothing"} {
		if _, err := parse(strings.Fields(args), &bytes.Buffer{}); err == nil {
			t.Errorf("%s: no error", args)
		}
	}
}
