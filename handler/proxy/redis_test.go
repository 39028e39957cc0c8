package proxy_test

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver"
	"netserver/handler/proxy"
	"netserver/netservertest"
)

// redis starts a redis-server that listens on a port and on a socket.
func redis(t *testing.T) (address, socket string) {
	t.Helper()
	address, socket, _ = redisProcess(t)
	return address, socket
}

// redisProcess is redis, with a function that kills it.
func redisProcess(t *testing.T) (address, socket string, kill func()) {
	t.Helper()
	server := netservertest.Peer(t, "redis-server")
	probe := listen(t, "tcp")
	address = targetOf(probe)
	probe.Close()
	_, number, _ := net.SplitHostPort(address)
	dir := t.TempDir()
	socket = filepath.Join(dir, "s")
	cmd := exec.Command(server, "--bind", "127.0.0.1", "--port", number, "--unixsocket", socket,
		"--dir", dir, "--save", "", "--daemonize", "no", "--logfile", "/dev/null")
	must(t, cmd.Start())
	kill = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	t.Cleanup(kill)
	up := func() bool {
		c, err := net.Dial("unix", socket)
		if err != nil {
			return false
		}
		c.Close()
		return true
	}
	if !settles(up) {
		t.Fatal("redis-server does not come up")
	}
	return address, socket, kill
}

func TestRedisBehindTLS(t *testing.T) {
	cli := netservertest.Peer(t, "redis-cli")
	address, socket := redis(t)
	for name, target := range map[string]string{"tcp": address, "unix": socket} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, "tls", &proxy.Handler{Target: target}, netserver.Config{})
			number := strconv.Itoa(f.addr.(*net.TCPAddr).Port)
			run := func(stdin string, args ...string) string {
				t.Helper()
				cmd := exec.Command(cli, append([]string{"--tls", "--insecure", "-h", "127.0.0.1", "-p", number}, args...)...)
				cmd.Stdin = strings.NewReader(stdin)
				timer := time.AfterFunc(patience, func() { cmd.Process.Kill() })
				defer timer.Stop()
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("redis-cli %v: %v\n%s", args, err, out)
				}
				return string(out)
			}
			if got := run("", "PING"); got != "PONG\n" {
				t.Errorf("PING: %q", got)
			}
			big := strings.Repeat("0123456789", 200_000)
			if got := run(big, "-x", "SET", "big"); got != "OK\n" {
				t.Errorf("SET: %q", got)
			}
			if got := run("", "GET", "big"); got != big+"\n" {
				t.Errorf("GET: %d bytes", len(got))
			}
			var pipe strings.Builder
			for i := range 10_000 {
				fmt.Fprintf(&pipe, "INCRBY sum %d\r\n", i)
			}
			run("", "DEL", "sum")
			if got := run(pipe.String(), "--pipe"); !strings.Contains(got, "errors: 0, replies: 10000") {
				t.Errorf("--pipe: %s", got)
			}
			if got := run("", "GET", "sum"); got != "49995000\n" {
				t.Errorf("sum: %q", got)
			}
		})
	}
}
