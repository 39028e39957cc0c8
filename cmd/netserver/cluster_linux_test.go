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
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// A sharedRedis is a redis-server on a UNIX socket that servers share by.
type sharedRedis struct {
	t      *testing.T
	dir    string
	socket string
	args   []string // what the servers need
}

// newSharedRedis returns one that is not started yet.
func newSharedRedis(t *testing.T) *sharedRedis {
	t.Helper()
	dir, err := os.MkdirTemp("", "cluster")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
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
	socket := filepath.Join(dir, "s")
	return &sharedRedis{t, dir, socket, []string{"--cluster", "redis+unix://" + socket, "--cluster_key_file", filepath.Join(dir, "key"), "--cluster_password_file", filepath.Join(dir, "password"),
		"--SSL_cert_file", "self-signed"}}
}

// start starts the redis-server, with nothing in it.
func (r *sharedRedis) start() *process {
	r.t.Helper()
	p := launch(r.t, "redis-server", exec.Command(netservertest.Peer(r.t, "redis-server"), "--port", "0", "--unixsocket", r.socket, "--unixsocketperm", "777",
		"--save", "", "--dir", r.dir, "--requirepass", "geheim"))
	netservertest.Eventually(r.t, "redis-server listens", func() bool {
		c, err := net.Dial("unix", r.socket)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return p
}

// A clusterPair is two servers that share.
type clusterPair struct {
	t             *testing.T
	servers       [2]*server
	sockets       [2]string // for ctl
	plain, secure string    // ports
}

// addr is the address of a server's plain port, or of that with TLS.
func (p *clusterPair) addr(i int, secure bool) string {
	hosts := [2]string{"127.0.0.1", "127.0.0.2"} // as machines have their own
	if secure {
		return net.JoinHostPort(hosts[i], p.secure)
	}
	return net.JoinHostPort(hosts[i], p.plain)
}

// startPair starts two servers that share by it.
func (r *sharedRedis) startPair() *clusterPair {
	r.t.Helper()
	p := &clusterPair{t: r.t, plain: netservertest.FreePort(r.t), secure: netservertest.FreePort(r.t)}
	for i, name := range []string{"a", "b"} {
		p.sockets[i] = filepath.Join(r.t.TempDir(), "ctl")
		p.servers[i] = start(r.t, append(r.args, "--cluster_name", name, "--control_socket", p.sockets[i], "--log_level", "3",
			"--port", p.addr(i, false), "--port", p.addr(i, true)+"/ssl")...)
	}
	return p
}

// know waits until both are ready and share.
func (p *clusterPair) know() {
	p.t.Helper()
	for _, s := range p.sockets {
		netservertest.Eventually(p.t, "they know each other", func() bool {
			out := run(p.t, binary, "ctl", "--socket", s, "cluster").all()
			return strings.Count(out, " ready ") == 2 && strings.Contains(out, "the store answers")
		})
	}
}

// resume waits until a session of the first goes on at the second.
func (p *clusterPair) resume() {
	p.t.Helper()
	cache := tls.NewLRUClientSessionCache(1)
	netservertest.Eventually(p.t, "a session of a goes on at b", func() bool {
		resumes(p.t, p.addr(0, true), cache)
		return resumes(p.t, p.addr(1, true), cache)
	})
}

// banned waits until a source is refused by a server.
func (p *clusterPair) banned(source string, i int) {
	p.t.Helper()
	netservertest.Eventually(p.t, "a ban of one is one of the other", func() bool { return !greets(p.t, source, p.addr(i, false)) })
}

// ban has a source banned by the operator of a server.
func ban(t *testing.T, socket, source string) {
	t.Helper()
	if out, err := exec.Command(binary, "ctl", "--socket", socket, "penalties", "add", source, "300").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// Two servers share tickets and bans by a real redis-server.
func TestClusterByRedis(t *testing.T) {
	r := newSharedRedis(t)
	redis := r.start()
	p := r.startPair()
	p.know()
	p.resume()
	ban(t, p.sockets[0], "127.0.0.9")
	p.banned("127.0.0.9", 1)
	if !greets(t, "127.0.0.8", p.addr(1, false)) {
		t.Error("another source is banned too")
	}
	redis.kill()
	for i, s := range p.servers {
		s.awaitLog("cluster: the store does not answer")
		netservertest.Eventually(t, "it was tried again", func() bool {
			return triedAgain.MatchString(run(t, binary, "ctl", "--socket", p.sockets[i], "cluster").all())
		})
		if strings.Contains(s.log.String(), "redis: ") {
			t.Error("the library writes to the log by itself")
		}
	}
}

var triedAgain = regexp.MustCompile(`unreachable ([2-9]|\d\d)`)

// A clientStream is clients that come one after the other.
type clientStream struct {
	came, failed atomic.Int64
	stop         func()
}

// streamTo has clients come to the addresses in turns, until stop.
func streamTo(t *testing.T, addrs ...string) *clientStream {
	s, end, done := new(clientStream), make(chan struct{}), make(chan struct{})
	s.stop = sync.OnceFunc(func() { close(end); <-done })
	t.Cleanup(s.stop)
	go func() {
		defer close(done)
		pace := time.NewTicker(10 * time.Millisecond)
		defer pace.Stop()
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			case <-pace.C:
			}
			if greets(t, "127.0.0.1", addrs[i%len(addrs)]) {
				s.came.Add(1)
			} else {
				s.failed.Add(1)
			}
		}
	}()
	return s
}

// more waits until some more clients have come.
func (s *clientStream) more(t *testing.T) {
	t.Helper()
	want := s.came.Load() + 20
	netservertest.Eventually(t, "more clients are served", func() bool { return s.came.Load() >= want })
}

// Servers that are started before their redis-server serve, and share when it is
// there. It is killed while clients come, and started again with nothing in it:
// no client fails, what was shared stays, and what comes later is shared too.
func TestClusterRedisKilledUnderLoad(t *testing.T) {
	r := newSharedRedis(t)
	p := r.startPair()
	for i, s := range p.servers {
		s.awaitLog("cluster: the store does not answer")
		netservertest.Eventually(t, "it is ready without its store", func() bool {
			return exec.Command(binary, "ctl", "--socket", p.sockets[i], "health").Run() == nil
		})
	}
	stream := streamTo(t, p.addr(0, false), p.addr(1, false))
	stream.more(t)
	redis := r.start()
	p.know()
	p.resume()
	ban(t, p.sockets[0], "127.0.0.9")
	p.banned("127.0.0.9", 1)

	redis.signal(syscall.SIGKILL)
	for _, s := range p.servers {
		s.awaitLogs("cluster: the store does not answer", 2)
	}
	stream.more(t)
	if greets(t, "127.0.0.9", p.addr(1, false)) {
		t.Error("the ban is lost with the store")
	}
	cache := tls.NewLRUClientSessionCache(1)
	if resumes(t, p.addr(0, true), cache); !resumes(t, p.addr(1, true), cache) {
		t.Error("a session of a does not go on at b without the store")
	}

	r.start()
	for _, s := range p.servers {
		s.awaitLogs("cluster: the store answers again", 2)
	}
	p.know()
	ban(t, p.sockets[1], "127.0.0.10")
	p.banned("127.0.0.10", 0)
	if greets(t, "127.0.0.9", p.addr(1, false)) {
		t.Error("the ban is lost with the content of the store")
	}
	stream.stop()
	if n := stream.failed.Load(); n > 0 {
		t.Errorf("%d of %d clients failed", n, n+stream.came.Load())
	}
}

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
