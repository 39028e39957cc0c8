//go:build unix

package daemon_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"netserver/daemon"
	"netserver/internal/control"
	"netserver/netservertest"
)

// ctl runs netserver ctl on a socket.
func ctl(socket string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = daemon.Command(append([]string{"ctl", "--socket", socket}, args...), nil, &out, &errs)
	return code, out.String(), errs.String()
}

// mustCtl runs it, and reads its answer in JSON into v.
func mustCtl(t *testing.T, socket string, v any, args ...string) {
	t.Helper()
	code, out, errs := ctl(socket, append([]string{"--json"}, args...)...)
	if code != 0 {
		t.Fatalf("ctl %q: exit status %d: %s%s", args, code, out, errs)
	}
	if v != nil {
		readAnswer(t, out, v, args)
	}
}

// askAll is mustCtl for a question that all workers have to answer: it asks
// again while one does not, as may be on a busy machine.
func askAll(t *testing.T, socket string, v any, args ...string) {
	t.Helper()
	var out string
	netservertest.Eventually(t, fmt.Sprintf("the answers of all workers to %q", args), func() bool {
		var code int
		var errs string
		if code, out, errs = ctl(socket, append([]string{"--json"}, args...)...); code != 0 {
			t.Fatalf("ctl %q: exit status %d: %s%s", args, code, out, errs)
		}
		var a struct{ Silent []control.Silent }
		return json.Unmarshal([]byte(out), &a) == nil && len(a.Silent) == 0
	})
	readAnswer(t, out, v, args)
}

func readAnswer(t *testing.T, out string, v any, args []string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("ctl %q: %v: %s", args, err, out)
	}
}

// startCtl starts a server with a control socket.
func startCtl(t *testing.T, args ...string) (*running, string) {
	t.Helper()
	socket := filepath.Join(openDir(t), "ctl")
	r := start(t, append(args, "--control_socket", socket)...)
	// A worker serves a moment before the supervisor knows that it is ready,
	// and is asked from then on.
	netservertest.Eventually(t, "it serves", func() bool {
		code, out, _ := ctl(socket, "--json", "status")
		var st control.Status
		return code == 0 && json.Unmarshal([]byte(out), &st) == nil && st.State == "serving"
	})
	return r, socket
}

func statusBy(t *testing.T, socket string) (st control.Status) {
	t.Helper()
	askAll(t, socket, &st, "status")
	return st
}

// statusNow is statusBy where a worker may be silent.
func statusNow(t *testing.T, socket string) (st control.Status) {
	t.Helper()
	mustCtl(t, socket, &st, "status")
	return st
}

func connsBy(t *testing.T, socket string, args ...string) (c control.Conns) {
	t.Helper()
	askAll(t, socket, &c, append([]string{"conns"}, args...)...)
	return c
}

// outcomes returns a counter of the n-th port.
func outcomes(st control.Status, n int, name string) uint64 {
	if n >= len(st.Listeners) {
		return 0
	}
	return st.Listeners[n].Outcomes[name]
}

// both runs a test with a supervisor and without.
func both(t *testing.T, f func(t *testing.T, supervisor string)) {
	for _, s := range []string{"1", "0"} {
		t.Run("supervisor "+s, func(t *testing.T) { f(t, s) })
	}
}

func TestCtlStatusConnsKill(t *testing.T) {
	both(t, func(t *testing.T, supervisor string) {
		r, socket := startCtl(t, "--port", "127.0.0.1:0", "--port", "127.0.0.1:0/ssl", "--supervisor", supervisor)
		plain := mustDial(t, r.addr(0))
		plain.mustAsk(t, "hello")
		secure, err := tls.Dial("tcp", r.addr(1), &tls.Config{InsecureSkipVerify: true, ServerName: "example.org"})
		if err != nil {
			t.Fatal(err)
		}
		defer secure.Close()
		if err := once(r.addr(0)); err != nil {
			t.Fatal(err)
		}
		netservertest.Eventually(t, "two clients and one that has left", func() bool {
			st := statusBy(t, socket)
			return st.Clients == 2 && st.InHandler == 2 && st.Served == 3 && outcomes(st, 0, "served")+outcomes(st, 0, "left") == 1
		})
		st := statusBy(t, socket)
		w := st.Generations[0].Workers[0]
		if st.PID != r.pid() || st.Type != "Fork" || st.State != "serving" || st.Supervisor != (supervisor == "1") || st.Uptime <= 0 ||
			len(st.Listeners) != 2 || !st.Listeners[1].Open || st.Memory == nil || st.Descriptors == nil || !w.Answers || w.Memory == nil ||
			(w.PID == st.PID) != (supervisor == "0") || (w.ID == 0) != (supervisor == "0") {
			t.Errorf("%+v", st)
		}
		list := connsBy(t, socket)
		if len(list.Clients) != 2 || list.More || len(list.Silent) > 0 {
			t.Fatalf("%+v", list)
		}
		p, s := list.Clients[0], list.Clients[1]
		if p.Peer != plain.LocalAddr().String() || p.In != 7 || p.Out == 0 || p.Stage != "handler" || p.Doing != "echo" || p.TLS != "" || p.Idle == nil || p.Since.IsZero() {
			t.Errorf("%+v", p)
		}
		if s.TLS != "TLS 1.3" || s.ServerName != "example.org" || s.PID != w.PID || s.Worker != w.ID {
			t.Errorf("%+v", s)
		}
		var k control.Killed
		mustCtl(t, socket, &k, "kill", p.ID)
		if _, err := plain.ask("gone?"); err == nil || k.ID != p.ID {
			t.Error("the client was not ended")
		}
		r.wait("outcome=killed", 1)
		r.wait("says kill "+p.ID, 1)
		netservertest.Eventually(t, "there is no such client", func() bool { // it is logged a moment before it is forgotten
			code, _, errs := ctl(socket, "kill", p.ID)
			return code == 1 && strings.Contains(errs, "there is no client "+p.ID)
		})
		if list := connsBy(t, socket); len(list.Clients) != 1 || list.Clients[0].ID != s.ID {
			t.Errorf("%+v", list)
		}
		for _, verb := range []string{"status", "conns", "limits", "penalties"} {
			if code, out, errs := ctl(socket, verb); code != 0 || out == "" || errs != "" {
				t.Errorf("%s: exit status %d: %s", verb, code, errs)
			}
		}
	})
}

func TestCtlConnsInPages(t *testing.T) {
	r, socket := startCtl(t, "PreForkSimple", "--max_servers", "3", "--clients_per_server", "200", "--timeout_idle", "600", "--port", "127.0.0.1:0")
	const total = 300
	for range total {
		mustDial(t, r.addr(0))
	}
	netservertest.Eventually(t, "all are here", func() bool { return statusBy(t, socket).Clients == total })
	for _, size := range []int{7, 299, 300, 5000} {
		seen := make(map[string]bool)
		for after := ""; ; {
			args := []string{"--limit", fmt.Sprint(size)}
			if after != "" {
				args = append(args, "--after", after)
			}
			page := connsBy(t, socket, args...)
			if len(page.Clients) > size {
				t.Fatalf("%d clients of %d", len(page.Clients), size)
			}
			for _, c := range page.Clients {
				if seen[c.ID] {
					t.Errorf("%s twice", c.ID)
				}
				seen[c.ID] = true
			}
			if !page.More {
				break
			}
			after = page.Next
		}
		if len(seen) != total {
			t.Errorf("in pages of %d: %d clients", size, len(seen))
		}
	}
}

func TestCtlLimitsAndPenalties(t *testing.T) {
	both(t, func(t *testing.T, supervisor string) {
		r, socket := startCtl(t, "--port", "127.0.0.1:0/ssl", "--port", "127.0.0.1:0", "--supervisor", supervisor,
			"--max_per_source", "50", "--penalty_points", "2")
		mustDial(t, r.addr(1)).mustAsk(t, "hello")
		var l control.Limits
		askAll(t, socket, &l, "limits")
		found := make(map[string]control.Limit)
		for _, m := range l.Limits {
			found[m.Key] = m
		}
		if m := found["max_per_source"]; m.Value == nil || *m.Value != 50 || m.Use == nil || *m.Use != 1 {
			t.Errorf("%+v", m)
		}
		if m := found["max_memory"]; runtime.GOOS == "linux" && (m.Value == nil || *m.Value <= 0) {
			t.Errorf("a confined worker does not know the machine's memory: %+v", m)
		}
		if m := found["max_handshakes_per_source"]; m.Value != nil || m.Use != nil {
			t.Errorf("%+v", m)
		}
		if len(l.Sources) != 1 || l.Sources[0] != (control.Source{Network: "127.0.0.1", Clients: 1}) {
			t.Errorf("%+v", l.Sources)
		}
		for range 3 { // what does not speak TLS is a point
			c, err := net.Dial("tcp", r.addr(0))
			if err != nil {
				break
			}
			io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
			io.Copy(io.Discard, c)
			c.Close()
		}
		var p control.Penalties
		netservertest.Eventually(t, "in the box", func() bool {
			p = control.Penalties{}
			askAll(t, socket, &p, "penalties")
			return len(p.Boxed) == 1
		})
		if b := p.Boxed[0]; b.Network != "127.0.0.1" || b.Left <= 0 || b.Offences != 1 || b.Processes != 1 {
			t.Errorf("%+v", b)
		}
		var lifted control.Lifted
		mustCtl(t, socket, &lifted, "penalties", "lift", "127.0.0.0/8")
		if lifted.Lifted != 1 {
			t.Errorf("%+v", lifted)
		}
		if err := once(r.addr(1)); err != nil {
			t.Errorf("after it was lifted: %v", err)
		}
	})
}

func TestCtlReload(t *testing.T) {
	dir := openDir(t)
	file := writeFile(t, filepath.Join(dir, "server.toml"), "grace = 5\n[[listen]]\nport = \"127.0.0.1:0/tcp\"\n")
	r, socket := startCtl(t, "--conf_file", file)
	stays := mustDial(t, r.addr(0))
	stays.mustAsk(t, "hello")
	info, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	first := r.only()

	// Broken: told here, and nothing is changed.
	writeFile(t, file, "grace = \"soon\"\nno_such_key = 1\n[[listen]]\nport = \"127.0.0.1:0/tcp\"\n")
	for _, args := range [][]string{{"reload"}, {"reload", "--dry-run"}} {
		code, _, errs := ctl(socket, args...)
		if code != 1 || strings.Count(errs, "\n") != 2 || !strings.Contains(errs, "no_such_key") || !strings.Contains(errs, "grace") {
			t.Errorf("%q: exit status %d: %s", args, code, errs)
		}
	}
	if code, out, _ := ctl(socket, "--json", "reload"); code != 1 || !strings.Contains(out, `"errors"`) {
		t.Errorf("exit status %d: %s", code, out)
	}

	// A plan, and nothing is changed.
	writeFile(t, file, "grace = 6\necho = \"raw\"\nlog_file = \"/no/such\"\n[[listen]]\nport = \"127.0.0.1:0/tcp\"\ntimeout_idle = 100\n[[listen]]\nport = \"[::1]:0/tcp\"\n")
	var plan control.Reload
	mustCtl(t, socket, &plan, "reload", "--dry-run")
	p := plan.Plan
	if !plan.DryRun || plan.Generation != 1 || len(p.Kept) != 0 || len(p.Changed) != 1 || p.Changed[0].Why != "timeout_idle" ||
		len(p.Added) != 1 || len(p.Removed) != 0 || strings.Join(p.Handler, " ") != "echo" || p.Program ||
		strings.Join(p.Settings, " ") != "grace log_file" || strings.Join(p.Stays, " ") != "log_file" {
		t.Errorf("%+v", plan)
	}
	if r.only() != first || strings.Count(r.text(), "restart:") > 0 || statusBy(t, socket).Restarts != 0 {
		t.Error("something was changed")
	}

	// Carried out.
	writeFile(t, file, "grace = 6\n[[listen]]\nport = \"127.0.0.1:0/tcp\"\n[[listen]]\nport = \"[::1]:0/tcp\"\n")
	var done control.Reload
	mustCtl(t, socket, &done, "reload")
	if done.DryRun || done.Generation != 2 || len(done.Plan.Kept) != 1 || len(done.Plan.Added) != 1 {
		t.Errorf("%+v", done)
	}
	st := statusBy(t, socket)
	if st.Restarts != 1 || len(st.Generations) != 2 || st.Generations[0].State != "ending" || st.Generations[1].State != "serving" || len(st.Listeners) != 2 {
		t.Errorf("%+v", st)
	}
	stays.mustAsk(t, "still here")
	if list := connsBy(t, socket); len(list.Clients) != 1 || list.Clients[0].Worker != 1 {
		t.Errorf("%+v", list)
	}
	if now, err := os.Stat(socket); err != nil || !os.SameFile(info, now) {
		t.Error("the socket is another one")
	}
	var many sync.WaitGroup
	for range 8 { // some are the same reload, each is told how it went
		many.Go(func() {
			if code, _, errs := ctl(socket, "reload"); code != 0 {
				t.Errorf("exit status %d: %s", code, errs)
			}
		})
	}
	many.Wait()
	if code := r.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if _, err := os.Lstat(socket); err == nil {
		t.Error("the socket's file is left")
	}
}

func TestCtlReloadNeedsSupervisor(t *testing.T) {
	_, socket := startCtl(t, "--port", "127.0.0.1:0", "--supervisor", "0")
	netservertest.Eventually(t, "it listens", func() bool { code, _, _ := ctl(socket, "status"); return code == 0 })
	if code, _, errs := ctl(socket, "reload"); code != 1 || !strings.Contains(errs, "supervisor 1") {
		t.Errorf("exit status %d: %s", code, errs)
	}
}

// stopProcess stops a process as SIGSTOP does, and waits until it is.
func stopProcess(t *testing.T, pid int) {
	t.Helper()
	syscall.Kill(pid, syscall.SIGSTOP)
	netservertest.Eventually(t, "the process is stopped", func() bool {
		list, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		for _, name := range list {
			if b, err := os.ReadFile(name); err != nil || !bytes.Contains(b, []byte(") T ")) {
				return false
			}
		}
		return true
	})
}

// Counters are those of the server, whoever served.
func TestCtlCountersCarryOver(t *testing.T) {
	r, socket := startCtl(t, "PreForkSimple", "--max_servers", "2", "--port", "127.0.0.1:0")
	addr := r.addr(0)
	const total = 20
	for i := range total {
		// One at a time, and seen to its end: this is about counting.
		c := mustDial(t, addr)
		c.mustAsk(t, "hello")
		c.Close()
		if i%5 == 4 {
			mustCtl(t, socket, nil, "reload")
		}
	}
	count := func() uint64 {
		st := statusBy(t, socket)
		return outcomes(st, 0, "served") + outcomes(st, 0, "left")
	}
	netservertest.Eventually(t, "all are counted", func() bool { return count() == total })
	if st := statusBy(t, socket); st.Served != total || st.Restarts != 4 || st.Crashes != 0 {
		t.Errorf("%+v", st)
	}
	// What a killed worker told before is kept as well.
	for _, pid := range r.children() {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	netservertest.Eventually(t, "two crashes", func() bool { return statusBy(t, socket).Crashes == 2 })
	if n := count(); n != total {
		t.Errorf("%d clients are left of %d", n, total)
	}
}

// A worker that does not answer is named, and the others are shown.
func TestCtlStuckWorker(t *testing.T) {
	r, socket := startCtl(t, "PreForkSimple", "--max_servers", "3", "--clients_per_server", "10", "--worker_timeout", "0", "--timeout_idle", "600", "--port", "127.0.0.1:0")
	r.serving()
	for range 12 {
		mustDial(t, r.addr(0)).mustAsk(t, "hello")
	}
	all := statusBy(t, socket)
	if all.Clients != 12 {
		t.Fatalf("%+v", all)
	}
	stuck := all.Generations[0].Workers[1]
	stopProcess(t, stuck.PID)
	defer syscall.Kill(stuck.PID, syscall.SIGCONT)
	for range 3 { // it is not asked again and again
		// On a busy machine another one may be late too.
		netservertest.Eventually(t, "it is the only silent one", func() bool {
			st := statusNow(t, socket)
			return len(st.Silent) == 1 && st.Silent[0].PID == stuck.PID && st.Silent[0].For > 0 && !st.Generations[0].Workers[1].Answers && st.Generations[0].Workers[0].Answers
		})
		netservertest.Eventually(t, fmt.Sprintf("the clients of the others, %d of %d", all.Clients-stuck.Clients, all.Clients), func() bool {
			var list control.Conns
			mustCtl(t, socket, &list, "conns")
			return len(list.Silent) == 1 && list.Silent[0].Worker == stuck.ID && len(list.Clients) == all.Clients-stuck.Clients
		})
	}
	if code, out, _ := ctl(socket, "status"); code != 0 || !strings.Contains(out, "does not answer") {
		t.Errorf("exit status %d: %s", code, out)
	}
	if code, _, errs := ctl(socket, "kill", fmt.Sprintf("%d.1", stuck.ID)); code != 1 || !strings.Contains(errs, "does not answer") {
		t.Errorf("exit status %d: %s", code, errs)
	}
	syscall.Kill(stuck.PID, syscall.SIGCONT)
	netservertest.Eventually(t, "it answers again", func() bool { return len(statusNow(t, socket).Silent) == 0 })
	netservertest.Eventually(t, "all clients", func() bool { return len(connsBy(t, socket).Clients) == all.Clients })
}

// Many who ask at once all get an answer, with a worker that does not answer
// among those asked, and the server goes on meanwhile.
func TestCtlFlood(t *testing.T) {
	r, socket := startCtl(t, "PreForkSimple", "--max_servers", "4", "--clients_per_server", "50", "--worker_timeout", "0", "--timeout_idle", "600", "--port", "127.0.0.1:0")
	r.serving()
	stays := mustDial(t, r.addr(0))
	stays.mustAsk(t, "hello")
	var stuck int
	for _, w := range statusBy(t, socket).Generations[0].Workers {
		if w.Clients == 0 {
			stuck = w.PID
		}
	}
	stopProcess(t, stuck)
	defer syscall.Kill(stuck, syscall.SIGCONT)
	silent, err := net.Dial("unix", socket) // and one that never asks
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	verbs := [][]string{{"status"}, {"conns"}, {"limits"}, {"penalties"}, {"reload", "--dry-run"}}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			args := verbs[i%len(verbs)]
			if code, _, errs := ctl(socket, args...); code != 0 {
				t.Errorf("%q: exit status %d: %s", args, code, errs)
			}
		})
	}
	for range 20 {
		stays.mustAsk(t, "still here")
		mustDial(t, r.addr(0))
	}
	wg.Wait()
	if !alive(stuck) {
		t.Error("the stuck worker was ended by questions")
	}
}

func TestCtlDrain(t *testing.T) {
	both(t, func(t *testing.T, supervisor string) {
		r, socket := startCtl(t, "--port", "127.0.0.1:0", "--grace", "100", "--supervisor", supervisor)
		c := mustDial(t, r.addr(0))
		c.mustAsk(t, "hello")
		if code, out, errs := ctl(socket, "drain", "--no-wait"); code != 0 || out != "" {
			t.Fatalf("exit status %d: %s", code, errs)
		}
		netservertest.Eventually(t, "it drains", func() bool { return statusBy(t, socket).State == "ending" })
		cmd := exec.Command(os.Args[0], "ctl", "--socket", socket, "drain")
		cmd.Env = append(os.Environ(), programVar+"=command")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		seen := make([]byte, 0, 4096)
		for buf := make([]byte, 4096); !bytes.Contains(seen, []byte("echo\n")); {
			n, err := out.Read(buf)
			if err != nil {
				t.Fatalf("%v after %q", err, seen)
			}
			seen = append(seen, buf[:n]...)
		}
		if !bytes.Contains(seen, []byte("clients still here: 1")) || !bytes.Contains(seen, []byte(c.LocalAddr().String())) {
			t.Errorf("%s", seen)
		}
		c.mustAsk(t, "still here")
		c.Close()
		rest, _ := io.ReadAll(out)
		if err := cmd.Wait(); err != nil || !bytes.Contains(rest, []byte("ended after")) {
			t.Errorf("%v: %s", err, rest)
		}
		if code := r.status(); code != 0 {
			t.Errorf("exit status %d", code)
		}
		if code, _, errs := ctl(socket, "status"); code != 1 || !strings.Contains(errs, "no server") {
			t.Errorf("exit status %d: %s", code, errs)
		}
	})
}

// Who waits for a drain may leave; the drain goes on.
func TestCtlDrainInterrupted(t *testing.T) {
	r, socket := startCtl(t, "--port", "127.0.0.1:0", "--grace", "100")
	c := mustDial(t, r.addr(0))
	c.mustAsk(t, "hello")
	cmd := exec.Command(os.Args[0], "ctl", "--socket", socket, "drain")
	cmd.Env = append(os.Environ(), programVar+"=command")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.wait("says drain", 1)
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit status %d", code)
	}
	c.mustAsk(t, "still here")
	c.Close()
	if code := r.status(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

func TestCtlStop(t *testing.T) {
	both(t, func(t *testing.T, supervisor string) {
		r, socket := startCtl(t, "--port", "127.0.0.1:0", "--supervisor", supervisor)
		c := mustDial(t, r.addr(0))
		c.mustAsk(t, "hello")
		code, out, errs := ctl(socket, "--json", "stop")
		lines := strings.Split(strings.TrimSpace(out), "\n")
		var last control.Leaving
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || code != 0 || !last.Done {
			t.Errorf("exit status %d: %s%s, %v", code, out, errs, err)
		}
		if code := r.status(); code != 0 {
			t.Errorf("exit status %d", code)
		}
	})
}

// The socket of a server that was killed is taken over, that of one that runs
// is not.
func TestCtlSocketIsTakenOver(t *testing.T) {
	r, socket := startCtl(t, "--port", "127.0.0.1:0")
	r.serving()
	second := start(t, "--port", "127.0.0.1:0", "--control_socket", socket)
	if code := second.status(); code != 1 || !strings.Contains(second.text(), "control_socket") {
		t.Errorf("exit status %d", code)
	}
	if st := statusBy(t, socket); st.PID != r.pid() {
		t.Errorf("another server: %+v", st)
	}
	workers := r.children()
	r.signal(syscall.SIGKILL)
	<-r.done
	if code, _, errs := ctl(socket, "status"); code != 1 || !strings.Contains(errs, "nobody listens") {
		t.Errorf("exit status %d: %s", code, errs)
	}
	third := start(t, "--port", "127.0.0.1:0", "--control_socket", socket)
	third.serving()
	if st := statusBy(t, socket); st.PID != third.pid() {
		t.Errorf("%+v", st)
	}
	for _, pid := range workers {
		netservertest.Eventually(t, "the workers end", func() bool { return !alive(pid) })
	}
}

// The socket is found as the server finds it, even in a conf file that the
// server would refuse.
func TestCtlFindsTheSocket(t *testing.T) {
	dir := openDir(t)
	socket := filepath.Join(dir, "ctl")
	file := writeFile(t, filepath.Join(dir, "server.conf"), "port 127.0.0.1:0\ncontrol_socket "+socket+"\n")
	r := start(t, "--conf_file", file)
	r.serving()
	writeFile(t, file, "port 127.0.0.1:0\nno_such_key 1\ngrace soon\ncontrol_socket "+socket+"\n")
	blocks := writeFile(t, filepath.Join(dir, "server.toml"), "control_socket = '"+socket+"'\nno_such_key = 1\n"+
		"[[backend]]\nname = 'b'\ntargets = ['127.0.0.1:1']\n[[listen]]\nport = '127.0.0.1:0'\nno_such_key = 1\n[[listen.route]]\nsni = 'a'\nbackend = 'b'\n")
	for name, c := range map[string]struct{ args, environ []string }{
		"conf file with tables":  {[]string{"ctl", "--conf_file", blocks, "status"}, nil},
		"conf file":              {[]string{"ctl", "--conf_file", file, "status"}, nil},
		"conf file after":        {[]string{"ctl", "status", "--conf_file=" + file}, nil},
		"key":                    {[]string{"ctl", "--control_socket", socket, "status"}, nil},
		"environment":            {[]string{"ctl", "status"}, []string{"NETSERVER_CONTROL_SOCKET=" + socket, "NETSERVER_USER=x"}},
		"environment, conf file": {[]string{"ctl", "status"}, []string{"NETSERVER_CONF_FILE=" + file}},
	} {
		var out, errs bytes.Buffer
		if code := daemon.Command(c.args, c.environ, &out, &errs); code != 0 || !strings.Contains(out.String(), "serving") {
			t.Errorf("%s: exit status %d: %s", name, code, errs.String())
		}
	}
	var out, errs bytes.Buffer
	if code := daemon.Command([]string{"ctl", "--conf_file", file, "reload"}, nil, &out, &errs); code != 1 || !strings.Contains(errs.String(), "no_such_key") {
		t.Errorf("exit status %d: %s", code, errs.String())
	}
}

func TestCtlUsage(t *testing.T) {
	for _, args := range [][]string{
		{}, {"dance"}, {"status", "now"}, {"kill"}, {"kill", "17"}, {"kill", "1.2", "1.3"}, {"penalties", "drop"}, {"penalties", "lift"},
		{"penalties", "lift", "all"}, {"status", "--no-wait"}, {"status", "--dry-run"}, {"conns", "--limit", "x"}, {"conns", "--limit"},
		{"conns", "--limit", "1000000"}, {"conns", "--after", "x"}, {"--frobnicate", "status"}, {"lift", "10.0.0.0/8"},
		{"targets", "a", "b"}, {"targets", "shake", "a", "b"}, {"targets", "drain", "a", ""}, {"target", "a"},
	} {
		if code, out, errs := ctl("/no/such/socket", args...); code != 2 || out != "" || errs == "" {
			t.Errorf("%q: exit status %d: %s%s", args, code, out, errs)
		}
	}
	var out, errs bytes.Buffer
	if code := daemon.Command([]string{"ctl", "status"}, nil, &out, &errs); code != 2 || !strings.Contains(errs.String(), "control_socket") {
		t.Errorf("without a socket: exit status %d: %s", code, errs.String())
	}
	if code, out, _ := ctl("x", "--help"); code != 0 || !strings.Contains(out, "penalties lift") {
		t.Errorf("--help: exit status %d: %s", code, out)
	}
}

func TestControlKeysAreChecked(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--control_socket", "relative"}, "absolute path"},
		{[]string{"--control_socket", "/x/y", "--control_mode", "0666"}, "everybody"},
		{[]string{"--control_socket", "/x/y", "--control_mode", "0660"}, "no group is named"},
		{[]string{"--control_socket", "/x/y", "--control_mode", "0400"}, "keeps the owner out"},
		{[]string{"--control_socket", "/x/y", "--control_owner", "no-such-user"}, "no-such-user"},
		{[]string{"--control_socket", "/x/y", "--control_owner", "0:no-such-group"}, "no-such-group"},
		{[]string{"INET", "--control_socket", "/x/y"}, "INET"},
	} {
		var out, errs bytes.Buffer
		args := append(c.args, "--port", "127.0.0.1:0")
		if code := daemon.Command(args, nil, &out, &errs); code != 2 || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%q: exit status %d: %s", args, code, errs.String())
		}
	}
	r := start(t, "--port", "127.0.0.1:0", "--control_socket", "/no/such/dir/ctl")
	if code := r.status(); code != 1 || !strings.Contains(r.text(), "/no/such/dir") {
		t.Errorf("exit status %d", code)
	}
}

// Who may use the socket: root, the server's user, and whom control_owner
// names; the file's mode comes before that.
func TestControlAccess(t *testing.T) {
	rooted(t)
	dir := openDir(t)
	program := filepath.Join(dir, "program")
	copyProgram(t, program)
	socket := filepath.Join(dir, "ctl")
	r := start(t, "--port", "127.0.0.1:0", "--control_socket", socket, "--control_owner", "1234:77", "--control_mode", "0660")
	r.serving()
	info, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); st.Uid != 1234 || st.Gid != 77 || info.Mode().Perm() != 0o660 {
		t.Errorf("the file is of %d:%d, mode %v", st.Uid, st.Gid, info.Mode())
	}
	as := func(uid, gid uint32, groups ...uint32) (int, string) {
		cmd := exec.Command(program, "ctl", "--socket", socket, "status")
		cmd.Env = []string{programVar + "=command"}
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid, Groups: groups}}
		out, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(out)
	}
	for _, c := range []struct {
		uid, gid uint32
		groups   []uint32
		code     int
		want     string
	}{
		{0, 0, nil, 0, "serving"},
		{1234, 5, nil, 0, "serving"},
		{99, 77, nil, 0, "serving"},
		{99, 5, []uint32{6, 77}, 0, "serving"},
		{99, 5, nil, 1, "this user may not use the socket"},
	} {
		if code, out := as(c.uid, c.gid, c.groups...); code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("%+v: exit status %d: %s", c, code, out)
		}
	}
	// The mode alone lets nobody in: nor a worker.
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, uid := range []uint32{99, 65534} {
		if code, out := as(uid, uid); code != 1 || !strings.Contains(out, fmt.Sprintf("user %d may not control", uid)) {
			t.Errorf("user %d: exit status %d: %s", uid, code, out)
		}
	}
}

// The server's end with somebody asking all the time.
func TestCtlWhileItEnds(t *testing.T) {
	r, socket := startCtl(t, "--port", "127.0.0.1:0")
	r.serving()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					ctl(socket, "status")
					ctl(socket, "reload")
				}
			}
		})
	}
	netservertest.Eventually(t, "some restarts", func() bool { return strings.Count(r.text(), "restart:") > 3 })
	begin := time.Now()
	if code := r.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status %d", code)
	}
	close(stop)
	wg.Wait()
	t.Logf("ended after %v", time.Since(begin))
}
