//go:build unix

package daemon_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"

	"netserver/netservertest"
)

// Type Multiplex serves all clients in one process, by events, and lets them
// stay over a reload.
func TestMultiplex(t *testing.T) {
	r := start(t, "Multiplex", "--port", "127.0.0.1:0", "--timeout_idle", "600")
	addr := r.addr(0)
	var list []*client
	for i := range 20 {
		c := mustDial(t, addr)
		c.mustAsk(t, fmt.Sprintf("hello %d", i))
		list = append(list, c)
	}
	worker := r.only()
	r.signal(syscall.SIGHUP)
	netservertest.Eventually(t, "another worker beside it", func() bool { return len(r.children()) == 2 })
	if !slices.Contains(r.children(), worker) {
		t.Error("the worker with the clients is gone")
	}
	list[3].mustAsk(t, "hello again")
	next := mustDial(t, addr)
	next.mustAsk(t, "after the reload")
	for _, c := range list[:10] {
		c.Close()
	}
	list[15].mustAsk(t, "and again")
	r.signal(syscall.SIGTERM)
	if code := r.status(); code != 0 {
		t.Errorf("exit status %d:\n%s", code, r.text())
	}
}
