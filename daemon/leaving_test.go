//go:build unix

package daemon_test

import (
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// ends waits for the end of each client and returns the time from the first to
// the last.
func ends(t *testing.T, clients []*client) time.Duration {
	t.Helper()
	var mu sync.Mutex
	var first, last time.Time
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() {
			if _, err := c.r.ReadByte(); err == nil {
				t.Error("more bytes")
			}
			mu.Lock()
			defer mu.Unlock()
			last = time.Now()
			if first.IsZero() {
				first = last
			}
		})
	}
	wg.Wait()
	return last.Sub(first)
}

func connected(t *testing.T, addr string, n int) []*client {
	t.Helper()
	var list []*client
	for range n {
		c := mustDial(t, addr)
		c.mustAsk(t, "hello")
		list = append(list, c)
	}
	return list
}

// Those who are cut are cut one after the other, whatever the reason.
func TestCutsAreSpreadOut(t *testing.T) {
	const clients, spread = 40, 2 * time.Second
	for _, tc := range []struct {
		name string
		args []string
		by   func(r *running)
	}{
		{"at the end", nil, func(r *running) { r.signal(syscall.SIGQUIT) }},
		{"by hup_grace", []string{"--hup_grace", "0.1"}, func(r *running) {
			r.signal(syscall.SIGHUP)
			r.wait("clients that stayed beyond hup_grace disconnected", 1)
			r.wait(`err="cut: the server was restarted, and hup_grace is over"`, 1)
		}},
		{"without leave", []string{"--leave_children_open_on_hup", "0"}, func(r *running) { r.signal(syscall.SIGHUP) }},
		{"by the end of the supervisor", nil, func(r *running) { r.signal(syscall.SIGKILL) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			took := func() time.Duration {
				r := start(t, append([]string{"--port", "127.0.0.1:0", "--grace", "0.2", "--grace_spread", "2"}, tc.args...)...)
				list := connected(t, r.addr(0), clients)
				went := make(chan time.Duration, 1)
				go func() { went <- ends(t, list) }()
				tc.by(r)
				return <-went
			}
			// On a busy machine this process may see the first ones late, or the
			// server cut them so: then once more.
			d := took()
			for n := 0; d < spread/5 && n < 3; n++ {
				d = took()
			}
			if d < spread/5 {
				t.Errorf("all were cut within %v", d)
			}
		})
	}
}

// Clients of a port that goes are cut after the grace time, spread out too;
// those of the other stay.
func TestChangedPortsAreCutSpreadOut(t *testing.T) {
	file := openDir(t) + "/conf"
	writeFile(t, file, "port 127.0.0.1:0\nport [::1]:0\ngrace 0.2\ngrace_spread 2\n")
	r := start(t, "--conf_file", file)
	leave := connected(t, r.addr(0), 30)
	r.wait("Bound to auto-assigned port", 2)
	addr := "[::1]:" + boundTo.FindAllStringSubmatch(r.text(), -1)[1][1]
	stay := connected(t, addr, 2)
	writeFile(t, file, "port [::1]:0\ngrace 0.2\ngrace_spread 2\n")
	r.signal(syscall.SIGHUP)
	if d := ends(t, leave); d < 2*time.Second/5 {
		t.Errorf("all were cut within %v", d)
	}
	for _, c := range stay {
		c.mustAsk(t, "still here")
	}
	r.wait("of ports that were changed or removed disconnected: 30", 1)
	if strings.Contains(r.text(), "starting a replacement") {
		t.Error("a worker crashed")
	}
}
