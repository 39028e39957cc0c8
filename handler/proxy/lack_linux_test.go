package proxy_test

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"netserver"
	"netserver/handler/proxy"
	"netserver/outcome"
)

// A connection that cannot be made for want of descriptors here is no fault of
// any target, and the record says what to do.
func TestOutOfDescriptorsIsNoFaultOfTheTarget(t *testing.T) {
	var before unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	restore := func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &before) }
	defer restore()
	l := listen(t, "tcp")
	for name, be := range map[string]*proxy.Backend{"one target": backendOf(l), "two": {Name: "b", Targets: []proxy.Target{{Address: targetOf(l)}, {Address: targetOf(listen(t, "tcp"))}}}} {
		be.Header = func(b []byte, _ *netserver.Conn) ([]byte, error) {
			return b, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: before.Max})
		}
		f := frontOf(t, be)
		c := f.dial(t)
		wantEnd(t, c)
		restore()
		rec := f.record(t)
		if rec.Outcome != outcome.HandlerError || !errors.Is(rec.Err, unix.EMFILE) || !strings.Contains(rec.Err.Error(), "too many open files: this process has no descriptor left") {
			t.Errorf("%s: %v: %v", name, rec.Outcome, rec.Err)
		}
	}
}
