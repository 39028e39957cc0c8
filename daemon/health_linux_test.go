package daemon_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/internal/control"
	"netserver/netservertest"
)

// healthOf returns what a port says to who connects, "" if nothing.
func healthOf(addr string) string {
	nc, err := net.DialTimeout("tcp", addr, time.Minute)
	if err != nil {
		return ""
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(time.Minute))
	b, err := io.ReadAll(nc)
	if err != nil {
		return ""
	}
	return string(b)
}

// A port with health answers while the server serves, over reloads and without a
// line in the log, and not any more while it drains.
func TestHealthPort(t *testing.T) {
	dir := openDir(t)
	text := `log_level = 3
grace = 600
timeout_idle = 600
access_log_file = "` + filepath.Join(dir, "access") + `"
[[listen]]
port = "127.0.0.1:0"
[[listen]]
port = "127.0.0.2:0"
health = true
[[listen]]
port = "127.0.0.3:0"
health = "http"
`
	conf := writeFile(t, filepath.Join(dir, "f.toml"), text)
	r, socket := startCtl(t, "--conf_file", conf)
	on := func(at int) string {
		return strings.Replace(r.addr(at), "127.0.0.1", fmt.Sprintf("127.0.0.%d", at+1), 1)
	}
	stays := mustDial(t, on(0))
	stays.mustAsk(t, "before")
	n := 0
	asked := func() {
		t.Helper()
		if got := healthOf(on(1)); got != "ok\n" {
			t.Errorf("it says %q", got)
		}
		n++
	}
	asked()
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			if got := healthOf(on(2)); !strings.HasPrefix(got, "HTTP/1.0 200 OK\r\n") {
				ended <- fmt.Errorf("during a reload: %q", got)
				return
			}
		}
	}()
	mustCtl(t, socket, new(control.Reload), "reload")
	close(stop)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	asked()
	if path, err := exec.LookPath("curl"); err == nil {
		out, err := exec.Command(path, "-sS", "--max-time", "60", "-w", " %{http_code}", "http://"+on(2)+"/any/path").CombinedOutput()
		if string(out) != "ok\n 200" || err != nil {
			t.Errorf("curl: %q, %v", out, err)
		}
	}
	netservertest.Eventually(t, "they are counted", func() bool { return outcomes(statusBy(t, socket), 1, "probe") == uint64(n) })
	log, err := os.ReadFile(filepath.Join(dir, "access"))
	if log := string(log); err != nil || strings.Contains(log, "127.0.0.2") || strings.Contains(log, "127.0.0.3") {
		t.Errorf("the access log: %s", log)
	}
	for line := range strings.SplitSeq(r.text(), "\n") {
		if strings.Contains(line, "[127.0.0.2]") || strings.Contains(line, "127.0.0.2:") || strings.Contains(line, "127.0.0.3:") || strings.Contains(line, "client=2") {
			t.Errorf("the log: %s", line)
		}
	}

	r.signal(syscall.SIGQUIT)
	netservertest.Eventually(t, "nobody answers", func() bool { return healthOf(on(1)) == "" && healthOf(on(2)) == "" })
	stays.mustAsk(t, "in the grace time")
	stays.Close()
	if code := r.status(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// HAProxy takes a server for up while it says so, and for down while it drains.
func TestHealthPortByHAProxy(t *testing.T) {
	path := netservertest.Peer(t, "haproxy")
	dir := openDir(t)
	conf := writeFile(t, filepath.Join(dir, "f.toml"), `grace = 600
timeout_idle = 600
[[listen]]
port = "127.0.0.1:0"
[[listen]]
port = "127.0.0.2:0"
health = 1
[[listen]]
port = "127.0.0.3:0"
health = "http"
`)
	r, _ := startCtl(t, "--conf_file", conf)
	_, text, _ := net.SplitHostPort(r.addr(1))
	_, http, _ := net.SplitHostPort(r.addr(2))
	stats := filepath.Join(dir, "stats")
	cfg := writeFile(t, filepath.Join(dir, "haproxy.cfg"), fmt.Sprintf(`global
    stats socket %s
defaults
    mode tcp
    timeout connect 5s
    timeout client 5s
    timeout server 5s
backend connect
    server one %[2]s check addr 127.0.0.2 port %[3]s inter 100ms
backend expect
    option tcp-check
    tcp-check expect string ok
    server one %[2]s check addr 127.0.0.2 port %[3]s inter 100ms
backend http
    option httpchk
    server one %[2]s check addr 127.0.0.3 port %[4]s inter 100ms
`, stats, r.addr(0), text, http))
	cmd := exec.Command(path, "-db", "-f", cfg)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	all := func(want string) func() bool {
		return func() bool {
			list, err := haproxyStats(stats)
			up := 0
			for _, line := range list {
				f := strings.Split(line, ",")
				if len(f) > 17 && f[1] == "one" && strings.HasPrefix(f[17], want) && strings.Contains(line, ",L") {
					up++
				}
			}
			return err == nil && up == 3
		}
	}
	netservertest.Eventually(t, "HAProxy finds it up", all("UP"))
	stays := mustDial(t, r.addr(0))
	stays.mustAsk(t, "before")
	r.signal(syscall.SIGQUIT)
	netservertest.Eventually(t, "HAProxy finds it down", all("DOWN"))
	stays.mustAsk(t, "in the grace time")
	stays.Close()
}

func haproxyStats(socket string) ([]string, error) {
	nc, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(time.Minute))
	_, err = io.WriteString(nc, "show stat\n")
	b, readErr := io.ReadAll(nc)
	return strings.Split(string(b), "\n"), errors.Join(err, readErr)
}
