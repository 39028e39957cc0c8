package main_test

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"netserver/netservertest"
)

// sharedRedis starts a redis-server on a UNIX socket, and returns what servers
// need that share by it.
func sharedRedis(t *testing.T) (args []string, redis *process) {
	t.Helper()
	dir, err := os.MkdirTemp("", "cluster")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	key := make([]byte, 32)
	rand.Read(key)
	for _, file := range [][2]string{{"key", hex.EncodeToString(key) + "\n"}, {"password", "geheim\n"}} {
		if err := os.WriteFile(filepath.Join(dir, file[0]), []byte(file[1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil { // who shares is nobody if root runs the test
		t.Fatal(err)
	}
	redis = launch(t, "redis-server", exec.Command(netservertest.Peer(t, "redis-server"), "--port", "0", "--unixsocket", socket, "--unixsocketperm", "777",
		"--save", "", "--dir", dir, "--requirepass", "geheim"))
	netservertest.Eventually(t, "redis-server listens", func() bool {
		c, err := net.Dial("unix", socket)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return []string{"--cluster", "redis+unix://" + socket, "--cluster_key_file", filepath.Join(dir, "key"), "--cluster_password_file", filepath.Join(dir, "password"),
		"--SSL_cert_file", "self-signed"}, redis
}

// Two servers share tickets and bans by a real redis-server.
func TestClusterByRedis(t *testing.T) {
	args, redis := sharedRedis(t)
	var servers [2]*server
	var sockets [2]string
	hosts := [2]string{"127.0.0.1", "127.0.0.2"} // as machines have their own
	plain, secure := netservertest.FreePort(t), netservertest.FreePort(t)
	addr := func(i, nth int) string { return net.JoinHostPort(hosts[i], []string{plain, secure}[nth]) }
	for i, name := range []string{"a", "b"} {
		sockets[i] = filepath.Join(t.TempDir(), "ctl")
		host := hosts[i]
		servers[i] = start(t, append(args, "--cluster_name", name, "--control_socket", sockets[i], "--port", host+":"+plain, "--port", host+":"+secure+"/ssl")...)
	}
	for _, s := range sockets {
		netservertest.Eventually(t, "they know each other", func() bool {
			out := run(t, binary, "ctl", "--socket", s, "cluster").all()
			return strings.Count(out, " ready ") == 2 && strings.Contains(out, "the store answers")
		})
	}
	cache := tls.NewLRUClientSessionCache(1)
	netservertest.Eventually(t, "a session of a goes on at b", func() bool {
		resumes(t, addr(0, 1), cache)
		return resumes(t, addr(1, 1), cache)
	})
	if out, err := exec.Command(binary, "ctl", "--socket", sockets[0], "penalties", "add", "127.0.0.9", "300").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	netservertest.Eventually(t, "a ban of a is one of b", func() bool { return !greets(t, "127.0.0.9", addr(1, 0)) })
	if !greets(t, "127.0.0.8", addr(1, 0)) {
		t.Error("another source is banned too")
	}
	redis.kill()
	for i, s := range servers {
		s.awaitLog("cluster: the store does not answer")
		netservertest.Eventually(t, "it was tried again", func() bool {
			return triedAgain.MatchString(run(t, binary, "ctl", "--socket", sockets[i], "cluster").all())
		})
		if strings.Contains(s.log.String(), "redis: ") {
			t.Error("the library writes to the log by itself")
		}
	}
}

var triedAgain = regexp.MustCompile(`unreachable ([2-9]|\d\d)`)

// resumes comes once and reports whether that resumed a session.
func resumes(t *testing.T, addr string, cache tls.ClientSessionCache) bool {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, ServerName: "www.example.com", ClientSessionCache: cache})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Read(make([]byte, 1)) // the ticket comes before the greeting
	return c.ConnectionState().DidResume
}

// greets reports whether a client with a source address is served.
func greets(t *testing.T, source, addr string) bool {
	t.Helper()
	c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}).Dial("tcp", addr)
	if err != nil {
		return false
	}
	defer c.Close()
	n, _ := c.Read(make([]byte, 1))
	return n > 0
}
