//go:build unix

package redisstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"netserver/cluster"
	"netserver/cluster/storetest"
	"netserver/netservertest"
)

func TestMain(m *testing.M) { os.Exit(netservertest.Main(m)) }

const password = "geheim-4711"

// A server is a redis-server on a UNIX socket.
type server struct {
	t      *testing.T
	socket string
	conf   string // a file of its own, if any
	args   []string
	cmd    *exec.Cmd
}

func start(t *testing.T, args ...string) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, socket: filepath.Join(dir, "s"), args: args}
	t.Cleanup(func() { s.stop(); os.RemoveAll(dir) })
	s.run()
	return s
}

func (s *server) run() {
	s.t.Helper()
	args := append([]string{"--port", "0", "--unixsocket", s.socket, "--save", "", "--dir", filepath.Dir(s.socket)}, s.args...)
	if s.conf != "" {
		args = append([]string{s.conf}, args...)
	}
	s.cmd = exec.Command(netservertest.Peer(s.t, "redis-server"), args...)
	var out bytes.Buffer
	s.cmd.Stdout = &out
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	netservertest.Eventually(s.t, "redis-server listens", func() bool {
		c, err := net.Dial("unix", s.socket)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (s *server) stop() {
	s.cmd.Process.Signal(syscall.SIGCONT)
	s.cmd.Process.Kill()
	s.cmd.Wait()
	os.Remove(s.socket)
}

// pause stops the server as SIGSTOP does, and returns when all its threads are.
func (s *server) pause() {
	s.t.Helper()
	pid := s.cmd.Process.Pid
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		s.t.Fatal(err)
	}
	for {
		var ws syscall.WaitStatus
		switch _, err := syscall.Wait4(pid, &ws, syscall.WUNTRACED, nil); {
		case err == syscall.EINTR:
		case err != nil || !ws.Stopped():
			s.t.Fatalf("the server is not stopped: %v, %v", ws, err)
		default:
			return
		}
	}
}

func (s *server) open(t testing.TB, o cluster.StoreOptions) *store {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	st, err := Open(context.Background(), "redis+unix://"+s.socket, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st.(*store)
}

func TestStore(t *testing.T) {
	t.Parallel()
	s := start(t)
	storetest.Run(t, func(t *testing.T, namespace string) cluster.Store {
		return s.open(t, cluster.StoreOptions{Namespace: namespace})
	})
}

// A server that is killed ends a Watch; one that is started again is used by the
// same store, without what is gone.
func TestServerIsKilled(t *testing.T) {
	ctx, s := context.Background(), start(t)
	st := s.open(t, cluster.StoreOptions{})
	if _, err := st.Set(ctx, "x", nil, 0); err != nil {
		t.Fatal(err)
	}
	synced, done := make(chan bool, 1), make(chan error, 1)
	go func() {
		done <- st.Watch(ctx, "", func(e cluster.Event) {
			if e.Synced {
				synced <- true
			}
		})
	}()
	<-synced
	s.stop()
	if err := <-done; err == nil || errors.Is(err, cluster.ErrClosed) {
		t.Errorf("Watch: %v", err)
	}
	if _, err := st.Get(ctx, "x"); cluster.ErrorKind(err) != cluster.KindUnreachable {
		t.Errorf("Get without a server: %v", err)
	}
	s.run()
	netservertest.Eventually(t, "the store works again", func() bool {
		_, err := st.Get(ctx, "x")
		return errors.Is(err, cluster.ErrNotFound)
	})
}

// Connections that a server has left behind are seen before they are used: once
// it is there again, no call fails.
func TestServerIsStartedAgain(t *testing.T) {
	ctx, s := context.Background(), start(t)
	st := s.open(t, cluster.StoreOptions{})
	for range 3 {
		if _, err := st.Set(ctx, "x", nil, 0); err != nil {
			t.Fatal(err)
		}
		s.stop()
		s.run()
	}
}

// A server that is stopped keeps no call waiting beyond its time.
func TestServerIsStopped(t *testing.T) {
	ctx, s := context.Background(), start(t)
	st := s.open(t, cluster.StoreOptions{Timeout: 200 * time.Millisecond})
	netservertest.Eventually(t, "the store works", func() bool {
		_, err := st.Set(ctx, "x", nil, 0)
		return err == nil
	})
	s.pause()
	for name, call := range map[string]func() error{
		"Get":    func() error { _, err := st.Get(ctx, "x"); return err },
		"Put":    func() error { _, err := st.Put(ctx, "x", nil, 0, 0); return err },
		"Set":    func() error { _, err := st.Set(ctx, "x", nil, 0); return err },
		"Delete": func() error { return st.Delete(ctx, "x", 0) },
		"Watch":  func() error { return st.Watch(ctx, "", func(cluster.Event) {}) },
	} {
		if err := call(); cluster.ErrorKind(err) != cluster.KindTimeout {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFull(t *testing.T) {
	ctx, s := context.Background(), start(t, "--maxmemory", "1", "--maxmemory-policy", "noeviction")
	st := s.open(t, cluster.StoreOptions{})
	if _, err := st.Set(ctx, "x", nil, 0); !errors.Is(err, cluster.ErrFull) {
		t.Errorf("Set: %v", err)
	}
	if _, err := st.Get(ctx, "x"); !errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
}

func TestReplica(t *testing.T) {
	ctx, s := context.Background(), start(t, "--replicaof", "127.0.0.1", "1")
	st := s.open(t, cluster.StoreOptions{})
	if _, err := st.Set(ctx, "x", nil, 0); !errors.Is(err, cluster.ErrReadOnly) {
		t.Errorf("Set: %v", err)
	}
}

// The rights that doc.go lists are enough; a wrong password is told without
// showing it.
func TestUsers(t *testing.T) {
	ctx := context.Background()
	s := start(t, "--user", "default", "off", "--user", "ours", "on", ">"+password, "~{netserver}:*", "&{netserver}:changed", "-@all", "+get", "+getrange", "+type", "+set", "+del", "+sadd", "+srem", "+sscan", "+publish", "+subscribe", "+eval", "+evalsha")
	open := func(pass, namespace string, log io.Writer) cluster.Store {
		st, err := Open(ctx, "redis+unix://ours:"+pass+"@"+s.socket, cluster.StoreOptions{Timeout: time.Minute, Namespace: namespace, Log: slog.New(slog.NewTextHandler(log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		return st
	}
	good := open(password, "", io.Discard)
	if _, err := good.Put(ctx, "x", []byte("1"), 0, time.Hour); err != nil {
		t.Fatal(err)
	}
	watching, cancel := context.WithCancel(ctx)
	seen := ""
	if err := good.Watch(watching, "", func(e cluster.Event) {
		if e.Synced {
			cancel()
		} else {
			seen += e.Key
		}
	}); !errors.Is(err, context.Canceled) || seen != "x" {
		t.Errorf("Watch has seen %q: %v", seen, err)
	}
	if err := good.Delete(ctx, "x", 0); err != nil {
		t.Error(err)
	}
	var log bytes.Buffer
	for name, st := range map[string]cluster.Store{"wrong password": open(password+"x", "", &log), "other namespace": open(password, "other", &log)} {
		_, err := st.Get(ctx, "x")
		_, err2 := st.Set(ctx, "x", nil, 0)
		err3 := st.Watch(ctx, "", func(cluster.Event) {})
		for _, err := range []error{err, err2, err3} {
			if !errors.Is(err, cluster.ErrDenied) {
				t.Errorf("%s: %v", name, err)
			}
			if text := fmt.Sprintf("%v %+v %#v %v", err, err, err, st) + log.String(); strings.Contains(text, password) {
				t.Errorf("%s: shows the password: %s", name, text)
			}
		}
	}
}

// What another client puts there is an ErrValue and can be written over.
func TestValuesOfOthers(t *testing.T) {
	ctx, s := context.Background(), start(t)
	st := s.open(t, cluster.StoreOptions{})
	other := redis.NewClient(&redis.Options{Network: "unix", Addr: s.socket})
	defer other.Close()
	large := string(head(7)) + strings.Repeat("x", cluster.MaxValue+1)
	for _, cmd := range [][]any{
		{"SET", st.valueKey("garbage"), "x"},
		{"SET", st.valueKey("half"), magic + "\x00\x01"},
		{"SET", st.valueKey("zero"), string(head(0)) + "x"},
		{"SET", st.valueKey("large"), large},
		{"SET", st.valueKey("huge"), strings.Repeat("x", 8<<20)},
		{"RPUSH", st.valueKey("list"), "x"},
		{"SADD", st.names(), "garbage", "half", "zero", "large", "huge", "list", "gone", "Bad Key", strings.Repeat("k", 9000)},
	} {
		if err := other.Do(ctx, cmd...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	watching, cancel := context.WithCancel(ctx)
	var bad []string
	st.Watch(watching, "", func(e cluster.Event) {
		if e.Synced {
			cancel()
		} else if errors.Is(e.Err, cluster.ErrValue) {
			bad = append(bad, e.Key)
		} else {
			t.Errorf("Watch tells of %+v", e)
		}
	})
	slices.Sort(bad)
	want := []string{"garbage", "half", "huge", "large", "list", "zero"}
	if !slices.Equal(bad, want) {
		t.Errorf("Watch tells of bad values %v, want %v", bad, want)
	}
	for _, key := range want {
		if _, err := st.Get(ctx, key); !errors.Is(err, cluster.ErrValue) {
			t.Errorf("%s: Get: %v", key, err)
		}
		if _, err := st.Put(ctx, key, nil, 0, 0); !errors.Is(err, cluster.ErrChanged) {
			t.Errorf("%s: Put: %v", key, err)
		}
		if _, err := st.Set(ctx, key, []byte("ours"), 0); err != nil {
			t.Errorf("%s: Set: %v", key, err)
		}
		if v, err := st.Get(ctx, key); string(v.Data) != "ours" {
			t.Errorf("%s: %q, %v", key, v.Data, err)
		}
	}
}

// Somebody who writes names without end, good or bad, ends the Watch, soon.
func TestNamesWithoutEnd(t *testing.T) {
	ctx, s := context.Background(), start(t)
	for kind, form := range map[string]string{"good": "x/%d", "bad": "NOT A NAME %d"} {
		st := s.open(t, cluster.StoreOptions{Namespace: kind})
		for at := 0; at < 5*cluster.MaxKeys; at += 10_000 {
			names := make([]any, 10_000)
			for i := range names {
				names[i] = fmt.Sprintf(form, at+i)
			}
			if err := st.c.SAdd(ctx, st.names(), names...).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if err := st.Watch(ctx, "", func(cluster.Event) {}); !errors.Is(err, cluster.ErrTooMany) {
			t.Errorf("%s names: %v", kind, err)
		}
	}
}

func TestURL(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"redis://host", "[host:6379] 0   false"},
		{"redis://u:p@[::1]:7/3", "[[::1]:7] 3 u  false"},
		{"rediss://host:1", "[host:1] 0   false"},
		{"redis+unix:///run/redis", "[/run/redis] 0   false"},
		{"redis+sentinel://u@a,b:7/main/2", "[a:26379 b:7] 2 u main false"},
		{"rediss+cluster://a:1,b:2", "[a:1 b:2] 0   true"},
		{"redis://" + password + "@", ""},
		{"redis://:" + password + "@host:port", ""},
		{"redis://host/x", ""}, {"redis://host/-1", ""}, {"redis://a,b", ""}, {"redis://a?password=" + password, ""},
		{"redis+sentinel://a", ""}, {"redis+cluster://a/1", ""}, {"redis+other://a", ""}, {"rediss+unix:///x", ""}, {"http://a", ""}, {"redis:a", ""},
	} {
		u, err := parse(tt.url, cluster.StoreOptions{})
		if err != nil {
			if tt.want != "" || strings.Contains(err.Error(), password) {
				t.Errorf("%s: %v", tt.url, err)
			}
			continue
		}
		if got := fmt.Sprint(u.Addrs, u.DB, " ", u.Username, " ", u.MasterName, " ", u.IsClusterMode); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.url, got, tt.want)
		}
	}
}

func TestBoundedAnswers(t *testing.T) {
	for _, tt := range []struct {
		answer string
		ok     bool
	}{
		{"+OK\r\n:1\r\n$-1\r\n*-1\r\n$3\r\na\nb\r\n*2\r\n$0\r\n\r\n*1\r\n:1\r\n*0\r\n%1\r\n+a\r\n+b\r\n", true},
		{"$536870912\r\n", false},
		{"*1000000000\r\n", false},
		{strings.Repeat("*1\r\n", maxDepth+1), false},
		{"+" + strings.Repeat("x", maxLine), false},
		{"$-2\r\n", false}, {"$x\r\n", false}, {"\r\n", false}, {"+OK\n", false},
		{"*200\r\n" + strings.Repeat(fmt.Sprintf("$%d\r\n%s\r\n", cluster.MaxValue, strings.Repeat("x", cluster.MaxValue)), 150), false},
		{strings.Repeat(fmt.Sprintf("$%d\r\n%s\r\n", cluster.MaxValue, strings.Repeat("x", cluster.MaxValue)), 150), true},
	} {
		for _, step := range []int{7, len(tt.answer)} {
			var a answers
			var err error
			for i := 0; i < len(tt.answer) && err == nil; i += step {
				err = a.look([]byte(tt.answer[i:min(i+step, len(tt.answer))]))
			}
			if (err == nil) != tt.ok || err != nil && !errors.Is(err, cluster.ErrValue) {
				t.Errorf("%.40q: %v", tt.answer, err)
			}
			if tt.ok && (len(a.open) != 0 || a.skip != 0 || a.total != 0) {
				t.Errorf("%.40q: %d arrays are open, %d bytes counted", tt.answer, len(a.open), a.total)
			}
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte("*2\r\n$3\r\nabc\r\n:1\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var whole, parts answers
		err := whole.look(b)
		var err2 error
		for i := range b {
			if err2 = parts.look(b[i : i+1]); err2 != nil {
				break
			}
		}
		if (err == nil) != (err2 == nil) {
			t.Errorf("whole %v, in parts %v", err, err2)
		}
	})
}
