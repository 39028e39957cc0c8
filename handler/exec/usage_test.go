//go:build unix

package exec_test

import (
	"log/slog"
	"testing"
	"time"

	"netserver"
)

// note returns an attribute that a record has.
func note(r netserver.Record, key string) (v slog.Value, ok bool) {
	for _, a := range r.Notes {
		if a.Key == key {
			return a.Value, true
		}
	}
	return v, false
}

// A record tells what the program and its children have used.
func TestRecordTellsWhatWasUsed(t *testing.T) {
	everyStream(t, func(t *testing.T, proto string, pipes bool) {
		h := sh("dd if=/dev/zero of=/dev/null bs=256M count=1 2>/dev/null; echo done")
		h.Pipes = pipes
		s := serve(t, h)
		if got := s.run(proto, ""); got != "done\n" {
			t.Fatalf("%q", got)
		}
		r := s.record()
		user, ok1 := note(r, "cpu_user")
		system, ok2 := note(r, "cpu_system")
		if !ok1 || !ok2 || user.Duration()+system.Duration() <= 0 || user.Duration()+system.Duration() > time.Minute {
			t.Errorf("CPU time: %s", notes(r))
		}
		if rss, ok := note(r, "max_rss"); !ok || rss.Int64() < 256<<20 || rss.Int64() > 1<<30 {
			t.Errorf("memory: %s", notes(r))
		}
	})
}

// The memory of a program that has less than the server is not known: the
// system reports the server's.
func TestRecordTellsNothingOfTheServersMemory(t *testing.T) {
	s := serve(t, sh(":"))
	s.run("tcp", "")
	r := s.record()
	if rss, ok := note(r, "max_rss"); ok {
		t.Errorf("max_rss is %v", rss)
	}
}
