package daemon_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/internal/control"
	"netserver/internal/metric"
	"netserver/netservertest"
)

// A watch looks at a server's metrics, and notes which families it has seen and
// which have had something.
type watch struct {
	t           *testing.T
	socket      string
	seen, moved map[string]bool
}

// sum returns the values of a family's samples with these label values, or of
// histograms how many were counted.
func (w *watch) sum(name string, labels ...string) (n float64) {
	w.t.Helper()
	var m control.Metrics
	askAll(w.t, w.socket, &m, "metrics")
	return w.sumOf(m, name, labels...)
}

// sumOf is sum of metrics that are there.
func (w *watch) sumOf(m control.Metrics, name string, labels ...string) (n float64) {
	for _, f := range m.Families {
		w.seen[f.Name] = true
		for _, s := range f.Samples {
			v := 0.0
			if s.Value != nil {
				v = *s.Value
			} else {
				v = float64(*s.Count)
			}
			w.moved[f.Name] = w.moved[f.Name] || v > 0
			all := true
			for i := 0; i < len(labels); i += 2 {
				all = all && s.Labels[labels[i]] == labels[i+1]
			}
			if f.Name == name && all {
				n += v
			}
		}
	}
	return n
}

// await waits until the sum is at least n.
func (w *watch) await(n float64, name string, labels ...string) {
	w.t.Helper()
	netservertest.Eventually(w.t, fmt.Sprintf("%s %v is %v", name, labels, n), func() bool { return w.sum(name, labels...) >= n })
}

// passing are families that have something for moments only.
var passing = map[string]bool{metric.HandshakesWaiting: true, metric.HandshakesRunning: true}

// Every family of the table is there when what it counts happens, and goes on
// over a reload and the end of a worker.
func TestEveryMetricMoves(t *testing.T) {
	w := &watch{t: t, seen: make(map[string]bool), moved: make(map[string]bool)}
	t.Run("served", func(t *testing.T) { w.t = t; servedMetrics(w) })
	t.Run("shadow", func(t *testing.T) { w.t = t; shadowMetrics(w) })
	t.Run("acme", func(t *testing.T) { w.t = t; acmeMetrics(w) })
	t.Run("cluster", func(t *testing.T) { w.t = t; clusterMetrics(w) })
	for _, f := range metric.Families() {
		switch {
		case !w.seen[f.Name]:
			t.Errorf("%s is never there", f.Name)
		case !w.moved[f.Name] && !passing[f.Name]:
			t.Errorf("%s does not move", f.Name)
		}
		delete(w.seen, f.Name)
	}
	for name := range w.seen {
		t.Errorf("%s is not in the table", name)
	}
}

func servedMetrics(w *watch) {
	t := w.t
	dir := openDir(t)
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	go func() {
		for {
			c, err := target.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	cert := filepath.Join(dir, "both.pem")
	netservertest.CA(t).Issue(t, netservertest.Leaf{}).WriteBoth(t, cert, 0o644)
	text := fmt.Sprintf(`key_isolation = "1"
max_handshakes = 3
SSL_cert_file = %q
[[backend]]
name = "up"
targets = %q
[[backend]]
name = "down"
targets = "127.0.0.1:1"
[[backend]]
name = "checked"
targets = ["127.0.0.1:1", %q]
check = "tcp"
check_timeout = 20
[[listen]]
port = "127.0.0.1:0"
[[listen]]
port = "127.0.0.1:0/ssl"
[[listen]]
port = "127.0.0.1:0/udp"
udp_recv_len = 100
[[listen]]
port = "127.0.0.2:0"
program = ["/bin/cat"]
[[listen]]
port = "127.0.0.3:0"
backend = "up"
quiet_from = "127.0.0.0/8"
[[listen]]
port = "127.0.0.4:0"
backend = "down"
[[listen]]
port = "127.0.0.5:0"
max_per_source = 1
[[listen]]
port = "127.0.0.6:0"
backend = "checked"
`, cert, target.Addr(), target.Addr())
	conf := writeFile(t, filepath.Join(dir, "f.toml"), text)
	var r *running
	r, w.socket = startCtl(t, "--conf_file", conf)
	tcp, ssl := r.addr(0), r.addr(1)

	mustDial(t, tcp).mustAsk(t, "kept")
	killed := mustDial(t, tcp)
	killed.mustAsk(t, "killed")
	w.await(2, metric.Open, "stage", "handler")
	for _, c := range connsBy(t, w.socket).Clients {
		if strings.HasSuffix(killed.LocalAddr().String(), c.Peer) {
			mustCtl(t, w.socket, new(control.Killed), "kill", c.ID)
		}
	}
	w.await(1, metric.Connections, "outcome", "killed")
	w.await(1, metric.HandlerTime)
	w.await(8, metric.Bytes, "direction", "in")

	shake := func() {
		nc, err := net.Dial("tcp", ssl)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(time.Minute))
		c := &client{Conn: tls.Client(nc, &tls.Config{InsecureSkipVerify: true})}
		c.r = bufio.NewReader(c.Conn)
		c.mustAsk(t, "over TLS")
	}
	shake()
	w.await(1, metric.Handshake, "tls_version", "TLS 1.3", "resumed", "no")
	w.await(1, metric.HandshakePhase, "phase", "hello")
	w.await(1, metric.HandshakePhase, "phase", "turn")
	w.await(1, metric.Signatures, "signature", "signed")
	fmt.Fprintln(mustDial(t, ssl), "no TLS at all")
	w.await(1, metric.Connections, "outcome", "not tls")
	w.await(1e-9, metric.HandshakeWasted)
	for range 5 {
		mustDial(t, ssl) // and says nothing
	}
	w.await(1, metric.HandshakesOpen)
	w.await(1, metric.HandshakesShed)

	u, err := net.Dial("udp", r.addr(2))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	netservertest.Eventually(t, "datagrams are counted", func() bool {
		fmt.Fprint(u, "one") // one may be lost
		u.Write(make([]byte, 500))
		return w.sum(metric.Datagrams, "direction", "out") > 0 && w.sum(metric.DatagramsDropped, "reason", "oversize") > 0
	})

	// The ports of number 0 are told apart by their hosts.
	on := func(at int) string {
		return strings.Replace(r.addr(at), "127.0.0.1", fmt.Sprintf("127.0.0.%d", at-1), 1)
	}
	for _, at := range []int{3, 4} {
		c := mustDial(t, on(at))
		fmt.Fprintln(c, "there and back")
		if line, err := c.r.ReadString('\n'); line != "there and back\n" {
			t.Fatalf("port %d: %q, %v", at, line, err)
		}
		if at == 3 {
			w.await(1, metric.Programs)
		} else {
			w.await(1, metric.TargetClients, "backend", "up")
		}
		c.Close()
	}
	mustDial(t, on(4)).Close() // a health check
	w.await(1, metric.Quiet)
	w.await(1, metric.ProgramsEnded, "exit", "success")
	w.await(1, metric.TargetTotal, "backend", "up", "target", target.Addr().String(), "result", "done")
	w.await(1, metric.TargetUp, "backend", "up")
	w.await(1, metric.TargetConnect, "backend", "up", "target", target.Addr().String())
	io.Copy(io.Discard, mustDial(t, on(5)))
	w.await(1, metric.TargetTotal, "backend", "down", "result", "failed")
	w.await(2, metric.TargetChecks, "backend", "checked")
	w.await(1, metric.TargetFaults, "backend", "checked", "target", "127.0.0.1:1")
	if n := w.sum(metric.TargetFaults, "backend", "checked", "target", target.Addr().String()); n != 0 {
		t.Errorf("%v checks failed of the target that is up", n)
	}

	mustDial(t, on(6)).mustAsk(t, "the only one")
	io.Copy(io.Discard, mustDial(t, on(6)))
	w.await(1, metric.Refused, "limit", "max_per_source")

	writeFile(t, cert, "junk")
	w.await(1, metric.CertificateError)

	// Nothing is lost by a reload, nor by the end of a worker that has reported.
	before := func() map[string]float64 {
		m := make(map[string]float64)
		for _, f := range metric.Families() {
			if f.Type != metric.Gauge {
				m[f.Name] = w.sum(f.Name)
			}
		}
		return m
	}
	had := before()
	netservertest.CA(t).Issue(t, netservertest.Leaf{}).WriteBoth(t, cert, 0o644)
	mustCtl(t, w.socket, new(control.Reload), "reload")
	w.await(1, metric.Reloads, "result", "done")
	writeFile(t, conf, text+"no_such_key = 1\n")
	if code, _, _ := ctl(w.socket, "reload"); code == 0 {
		t.Error("a key that does not exist is accepted")
	}
	w.await(1, metric.Reloads, "result", "failed")
	writeFile(t, conf, text)
	for _, g := range statusBy(t, w.socket).Generations {
		for _, one := range g.Workers {
			syscall.Kill(one.PID, syscall.SIGKILL)
		}
	}
	w.await(1, metric.Crashes)
	for name, n := range before() {
		if n < had[name] {
			t.Errorf("%s has fallen from %v to %v", name, had[name], n)
		}
	}
}

// shadowMetrics is of what limits would do, of penalties and jobs, and of a
// worker that does not answer.
func shadowMetrics(w *watch) {
	t := w.t
	var r *running
	r, w.socket = startCtl(t, "--port", "127.0.0.1:0", "--max_per_source", "1", "--limits_shadow", "1", "--penalty_points", "1",
		"--min_read_rate", "1000", "--min_rate_window", "0.2", "--cidr_allow", "127.0.0.1/32",
		"--check_for_dequeue", "0.1", "--max_dequeue", "1", "--dequeue_command", "/bin/sleep", "--dequeue_command", "1000", "--worker_timeout", "60")
	c := mustDial(t, r.addr(0))
	c.mustAsk(t, "one")
	mustDial(t, r.addr(0)).mustAsk(t, "two")
	w.await(1, metric.WouldRefuse, "limit", "max_per_source")
	go func() {
		for {
			if _, err := c.Write([]byte("x")); err != nil {
				return // at the end of the test
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	w.await(1, metric.WouldCut)
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	netservertest.Eventually(t, "a source in the penalty box", func() bool {
		if d, err := from.Dial("tcp", r.addr(0)); err == nil {
			io.Copy(io.Discard, d)
			d.Close()
		}
		return w.sum(metric.Penalised) > 0 && w.sum(metric.Penalties) > 0
	})
	w.await(1, metric.JobsBegun)
	w.await(1, metric.Jobs)
	pid := statusBy(t, w.socket).Generations[0].Workers[0].PID
	p, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	p.Signal(syscall.SIGSTOP)
	defer p.Signal(syscall.SIGCONT)
	netservertest.Eventually(t, "the silent worker is counted", func() bool {
		var m control.Metrics
		mustCtl(t, w.socket, &m, "metrics")
		return w.sumOf(m, metric.Silent) >= 1
	})
}

// acmeMetrics is of an authority that does not answer: with one process, and with
// a supervisor, where a reload loses no count.
func acmeMetrics(w *watch) {
	t := w.t
	for _, supervisor := range []string{"0", "1"} {
		_, w.socket = startCtl(t, "--supervisor", supervisor, "--user", "root", "--port", "127.0.0.1:0/ssl", "--acme_domains", "a.example", "--acme_agree", "1",
			"--acme_directory", "https://127.0.0.1:1/", "--acme_storage", filepath.Join(openDir(t), "acme"))
		failed := func() float64 { return w.sum(metric.ACMEOrders, "result", "failed") }
		w.await(1, metric.ACMEOrders, "result", "failed")
		w.await(1, metric.ACMEError, "name", "a.example")
		if next, last := w.sum(metric.ACMENext, "name", "a.example"), w.sum(metric.ACMEError, "name", "a.example"); next <= last {
			t.Errorf("the next order is at %v, after a failure at %v", next, last)
		}
		if supervisor == "0" {
			continue
		}
		had := failed()
		mustCtl(t, w.socket, new(control.Reload), "reload")
		if n := failed(); n < had {
			t.Errorf("%v orders failed after a reload, %v before", n, had)
		}
	}
}

func clusterMetrics(w *watch) {
	t := w.t
	args, store := sharedDir(t, "1")
	file := writeFile(t, filepath.Join(openDir(t), "f.toml"), `
[[backend]]
name = "down"
targets = "127.0.0.1:1"
check = "tcp"
[[listen]]
port = "127.0.0.1:0"
[[listen]]
port = "127.0.0.2:0"
backend = "down"
`)
	args = append(args, "--conf_file", file, "--cluster_health_quorum", "1", "--log_level", "3")
	other, _ := startCtl(t, append(args, "--cluster_name", "b")...)
	_, w.socket = startCtl(t, append(args, "--cluster_name", "a")...)
	w.await(1, metric.ClusterUp)
	w.await(2, metric.ClusterNodes)
	for range 3 {
		mustDial(t, other.addr(0)).mustAsk(t, "here")
	}
	w.await(1, metric.ClusterSources)
	w.await(1, metric.ClusterSent)
	w.await(1, metric.ClusterTargets)
	w.await(1e-9, metric.ClusterExchange)
	if err := os.Rename(store, store+".gone"); err != nil {
		t.Fatal(err)
	}
	writeFile(t, store, "not a directory")
	w.await(1, metric.ClusterErrors)
}
