//go:build unix

package daemon_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// Far more handshakes that stall than all workers have places: a client that
// shakes hands is served, each time, and no worker is started for the others.
func TestStalledHandshakesTakeNoPlace(t *testing.T) {
	for _, tc := range []struct {
		args []string
		n    int // workers
	}{
		{[]string{"PreFork", "--min_servers", "2", "--max_servers", "4", "--min_spare_servers", "1", "--max_spare_servers", "2"}, 2},
		{[]string{"PreFork", "--min_servers", "2", "--max_servers", "4", "--min_spare_servers", "1", "--max_spare_servers", "2", "--clients_per_server", "3"}, 2},
		{[]string{"PreForkSimple", "--max_servers", "2", "--clients_per_server", "3"}, 2},
	} {
		r, socket := startCtl(t, append(tc.args, "--port", "127.0.0.1:0/ssl", "--timeout_handshake", "600")...)
		addr := r.addr(0)
		r.serving()
		hello := []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") // the beginning of a ClientHello
		for i := range 60 {
			c := mustDial(t, addr)
			if i%2 == 0 {
				c.Write(hello)
			}
		}
		for range 10 {
			c := mustTLS(t, addr)
			c.mustAsk(t, "served at once")
			c.Close()
			netservertest.Eventually(t, "it has left", func() bool { return statusBy(t, socket).InHandler == 0 })
		}
		// A client that leaves may still count when the next one comes.
		if n := len(r.children()); n > tc.n+1 {
			t.Errorf("%q: %d processes", tc.args, n)
		}
		r.end(syscall.SIGTERM)
	}
}

// max_requests ends workers of a pool that scales, and is no crash; clients
// that come in between lose nothing.
func TestPreForkWorkersEndAfterMaxRequests(t *testing.T) {
	r := start(t, "PreFork", "--port", "127.0.0.1:0", "--min_servers", "2", "--max_servers", "4",
		"--min_spare_servers", "1", "--max_spare_servers", "2", "--max_requests", "5")
	addr := r.addr(0)
	r.serving()
	seen := make(map[int]int)
	for range 60 {
		pid := servedBy(t, addr)
		seen[pid]++
	}
	for pid, n := range seen {
		if n > 5 || pid == 0 {
			t.Errorf("process %d served %d clients", pid, n)
		}
	}
	if len(seen) < 12 || strings.Contains(r.text(), "starting a replacement") {
		t.Errorf("%d processes served 60 clients, or one crashed", len(seen))
	}
	l := startLoad(addr, 3)
	before := l.count()
	netservertest.Eventually(t, "more clients", func() bool { return l.count() > before+100 })
	if n, errs := l.end(); len(errs) > 0 {
		t.Errorf("%d of %d clients failed: %v", len(errs), n, errs[0])
	}
}

// A pool under load grows to max_servers, no further, and shrinks when the
// load ends.
func TestPreForkUnderLoad(t *testing.T) {
	r := start(t, "PreFork", "--port", "127.0.0.1:0", "--min_servers", "1", "--max_servers", "6",
		"--min_spare_servers", "1", "--max_spare_servers", "2", "--check_for_waiting", "0.5", "--min_child_ttl", "0.5", "--timeout_idle", "600")
	addr := r.addr(0)
	r.serving()
	done := make(chan struct{})
	most := make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-done:
				most <- n
				return
			case <-time.After(5 * time.Millisecond):
				n = max(n, serving(r.pid()))
			}
		}
	}()
	var stay []*client
	for i := range 6 {
		c := mustDial(t, addr)
		c.mustAsk(t, strconv.Itoa(i))
		stay = append(stay, c)
	}
	l := startLoad(addr, 4) // which waits for a place
	netservertest.Eventually(t, "max_servers", func() bool { return len(r.children()) == 6 })
	for _, c := range stay {
		c.Close()
	}
	netservertest.Eventually(t, "more clients", func() bool { return l.count() > 200 })
	n, errs := l.end()
	if len(errs) > 0 {
		t.Errorf("%d of %d clients failed: %v", len(errs), n, errs[0])
	}
	close(done)
	if n := <-most; n > 6 {
		t.Errorf("%d workers at once", n)
	}
	netservertest.Eventually(t, "max_spare_servers", func() bool { return len(r.children()) <= 2 })
	r.wait("identity", 1)
}

// serving counts the workers of a process that are there at one time: who has
// ended while they were listed is left out, as the next may be listed too.
func serving(pid int) (n int) {
	var workers []int
	lists, _ := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	for _, l := range lists {
		b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/task/" + l.Name() + "/children")
		for _, f := range strings.Fields(string(b)) {
			if p, _ := strconv.Atoi(f); isWorker(p) {
				workers = append(workers, p)
			}
		}
	}
	slices.Sort(workers)
	for _, p := range slices.Compact(workers) {
		if alive(p) {
			n++
		}
	}
	return n
}

// A worker that is to end and serves a client until then is still one of
// max_servers.
func TestPreForkLastClients(t *testing.T) {
	r := start(t, "PreFork", "--port", "127.0.0.1:0", "--min_servers", "2", "--max_servers", "2", "--min_spare_servers", "1", "--max_spare_servers", "1", "--timeout_idle", "600")
	addr := r.addr(0)
	r.serving()
	var stay []*client
	for range 2 {
		c := mustDial(t, addr)
		c.mustAsk(t, "hello")
		stay = append(stay, c)
	}
	r.signal(syscall.SIGTTOU)
	r.wait("Decreasing max server count", 1)
	r.signal(syscall.SIGTTIN)
	r.wait("Increasing max server count", 1)
	next := mustDial(t, addr)
	next.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if line, err := next.r.ReadString('\n'); err == nil {
		t.Errorf("a third client was greeted: %q", line)
	}
	if n := len(r.children()); n != 2 {
		t.Errorf("%d workers", n)
	}
	next.SetReadDeadline(time.Now().Add(60 * time.Second))
	stay[0].Close()
	stay[1].Close()
	next.mustAsk(t, "it is free")
}
