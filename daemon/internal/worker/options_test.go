package worker

import (
	"runtime"
	"testing"

	"netserver/daemon/internal/wire"
)

func TestUsesOneCPU(t *testing.T) {
	was := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(was)
	for _, tc := range []struct {
		name         string
		one, library bool
		env          string
		want         int
	}{
		{"One", true, false, "", 1},
		{"Others", false, false, "", 3},
		{"Library", true, true, "", 3},
		{"Environment", true, false, "3", 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("GOMAXPROCS", tc.env)
			runtime.GOMAXPROCS(3)
			w := &worker{o: &Options{Library: tc.library}, init: &wire.Start{OneCPU: tc.one}}
			w.useOneCPU()
			if n := runtime.GOMAXPROCS(0); n != tc.want {
				t.Errorf("GOMAXPROCS is %d", n)
			}
		})
	}
}
