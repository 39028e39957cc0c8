package supervisor

import (
	"testing"
	"time"

	"netserver/internal/proc"
)

// What is known of a silent worker decides how long it has.
func TestVerdictOnSilence(t *testing.T) {
	const timeout = 5 * time.Second
	for _, c := range []struct {
		name  string
		looks []proc.Activity // one a second, over and over
		known bool
		after int // seconds until it is killed
	}{
		{"waits", []proc.Activity{{}}, true, 5},
		{"stopped", []proc.Activity{{Stopped: true}}, true, 5},
		{"stopped while it ran", []proc.Activity{{Stopped: true, Busy: true}}, true, 5},
		{"wants to run", []proc.Activity{{Busy: true}}, true, 30},
		{"wanted to once", []proc.Activity{{}, {}, {Busy: true}, {}, {}, {}, {}}, true, 30},
		{"runs", []proc.Activity{{CPU: time.Second}, {CPU: 2 * time.Second}}, true, 30},
		{"hardly runs", []proc.Activity{{CPU: time.Second}, {CPU: time.Second + 10*time.Millisecond}}, true, 5},
		{"nothing is known", []proc.Activity{{}}, false, 30},
	} {
		var q echoState
		got := 0
		for i := 1; got == 0 && i < 100; i++ {
			q.lasted = time.Duration(i) * time.Second
			if q.verdict(c.looks[(i-1)%len(c.looks)], c.known, timeout) != "" {
				got = i
			}
		}
		if got != c.after {
			t.Errorf("%s: killed after %d s, not %d", c.name, got, c.after)
		}
	}
}
