//go:build unix

package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// BenchmarkIsolation compares the CPU that all processes of a server take for
// full handshakes, with the keys in the worker and in the supervisor. Both
// servers run side by side and take turns:
//
//	go test ./daemon -run xxx -bench Isolation -benchtime 20x
func BenchmarkIsolation(b *testing.B) {
	for _, kind := range []string{"P-256", "RSA"} {
		for _, clients := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/%d", kind, clients), func(b *testing.B) { benchIsolation(b, kind, clients) })
		}
	}
}

func benchIsolation(b *testing.B, kind string, clients int) {
	k := newKeyed(b, kind)
	dir := b.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		os.Chmod(d, 0o755)
	}
	both := filepath.Join(dir, "both.pem")
	if err := os.WriteFile(both, append(k.certPEM(), k.pem...), 0o600); err != nil {
		b.Fatal(err)
	}
	servers := make([]*running, 2)
	pids := make([][]int, 2)
	for i := range servers {
		r := start(b, "--port", "127.0.0.1:0/ssl", "--key_isolation", strconv.Itoa(i), "--SSL_cert_file", both,
			"--log_level", "2")
		r.serving()
		servers[i], pids[i] = r, []int{r.pid(), r.only()}
		many(b, r.addr(0), 200, clients, k)
	}
	const batch = 200
	var cpu [2]float64
	n := 0
	for b.Loop() {
		for i, r := range servers {
			before := cpuOf(b, pids[i])
			many(b, r.addr(0), batch, clients, k)
			cpu[i] += cpuOf(b, pids[i]) - before
		}
		n += batch
	}
	b.ReportMetric(cpu[0]/float64(n), "own-us/handshake")
	b.ReportMetric(cpu[1]/float64(n), "isolated-us/handshake")
	b.ReportMetric(cpu[1]/cpu[0], "ratio")
	b.ReportMetric(0, "ns/op")
	b.Logf("supervisors' memory: %s, isolated %s", rss(servers[0].pid()), rss(servers[1].pid()))
}

// many makes n full handshakes, some at a time.
func many(b *testing.B, addr string, n, clients int, k keyed) {
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range n / clients {
				handshake(b, addr, 0, k)
			}
		})
	}
	wg.Wait()
}

// cpuOf returns the CPU time of processes, in microseconds.
func cpuOf(b *testing.B, pids []int) float64 {
	total := 0.0
	for _, pid := range pids {
		list, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		if len(list) == 0 {
			b.Skip("this system does not tell the CPU time of processes")
		}
		for _, name := range list {
			text, _ := os.ReadFile(name)
			ns, _, _ := strings.Cut(string(text), " ")
			f, _ := strconv.ParseFloat(ns, 64)
			total += f / 1000
		}
	}
	return total
}

var vmRSS = regexp.MustCompile(`VmRSS:\s+(\d+ kB)`)

func rss(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if m := vmRSS.FindSubmatch(text); m != nil {
		return string(m[1])
	}
	return "?"
}
