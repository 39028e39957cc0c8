//go:build unix

package natsstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"netserver/cluster"
	"netserver/cluster/storetest"
	"netserver/netservertest"
)

func TestMain(m *testing.M) { os.Exit(netservertest.Main(m)) }

const password = "geheim-4711"

// A server is a nats-server on a port that it chooses, and a port before it that
// stays the same when it is started again.
type server struct {
	t      *testing.T
	dir    string
	config string
	cmd    *exec.Cmd
	front  net.Listener
	addr   atomic.Value // where the server listens
}

// start starts a server with lines of configuration. JetStream's directory and
// limits are {DIR}.
func start(t *testing.T, config string) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), config: config}
	var err error
	if s.front, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.addr.Store("")
	var wg sync.WaitGroup
	wg.Go(func() { s.forward(&wg) })
	t.Cleanup(wg.Wait)
	t.Cleanup(func() { s.front.Close(); s.stop() })
	s.run()
	return s
}

func (s *server) run() {
	s.t.Helper()
	path := filepath.Join(s.dir, "conf")
	config := s.config
	if !strings.Contains(config, "jetstream") {
		config += "\njetstream { store_dir: {DIR} }\n"
	}
	config = strings.ReplaceAll("listen: \"127.0.0.1:-1\"\nports_file_dir: {DIR}\n"+config, "{DIR}", fmt.Sprintf("%q", s.dir))
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.cmd = exec.Command(netservertest.Peer(s.t, "nats-server"), "-c", path)
	var out bytes.Buffer
	s.cmd.Stderr = &out
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ports := filepath.Join(s.dir, fmt.Sprintf("nats-server_%d.ports", s.cmd.Process.Pid))
	netservertest.Eventually(s.t, "nats-server listens", func() bool {
		var l struct{ Nats []string }
		b, err := os.ReadFile(ports)
		if err != nil || json.Unmarshal(b, &l) != nil || len(l.Nats) == 0 {
			return false
		}
		u, err := url.Parse(l.Nats[0])
		if err == nil {
			s.addr.Store(u.Host)
		}
		return err == nil
	})
}

// forward copies between clients and the server, until front is closed.
func (s *server) forward(wg *sync.WaitGroup) {
	for {
		c, err := s.front.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", s.addr.Load().(string))
		if err != nil {
			c.Close()
			continue
		}
		copyTo := func(a, b net.Conn) { io.Copy(a, b); a.Close() }
		wg.Go(func() { copyTo(c, to) })
		wg.Go(func() { copyTo(to, c) })
	}
}

// stop kills the server.
func (s *server) stop() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	s.cmd.Process.Signal(syscall.SIGCONT)
	s.cmd.Process.Kill()
	s.cmd.Wait()
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

func (s *server) open(t testing.TB, user string, o cluster.StoreOptions) *store {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	st, err := Open(context.Background(), "nats://"+user+s.front.Addr().String(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	n := st.(*store)
	n.poll = 50 * time.Millisecond
	return n
}

// lasting returns a context with a time that the library does not shorten.
func lasting(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestStore(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	storetest.Run(t, func(t *testing.T, namespace string) cluster.Store {
		return s.open(t, "", cluster.StoreOptions{Namespace: namespace})
	})
}

// follow begins a Watch and returns when it has told of everything.
func follow(t *testing.T, st cluster.Store) (done chan error) {
	t.Helper()
	synced := make(chan bool, 1)
	done = make(chan error, 1)
	go func() {
		done <- st.Watch(context.Background(), "", func(e cluster.Event) {
			if e.Synced {
				synced <- true
			}
		})
	}()
	select {
	case <-synced:
	case err := <-done:
		t.Fatalf("Watch: %v", err)
	}
	return done
}

// A server that is killed ends a Watch; one that is started again is used by the
// same store, with what was there.
func TestServerIsKilled(t *testing.T) {
	t.Parallel()
	ctx, s := context.Background(), start(t, "")
	st := s.open(t, "", cluster.StoreOptions{})
	if _, err := st.Set(ctx, "x", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	done := follow(t, st)
	s.stop()
	if err := <-done; err == nil || errors.Is(err, cluster.ErrClosed) {
		t.Errorf("Watch: %v", err)
	}
	if _, err := st.Get(ctx, "x"); cluster.ErrorKind(err) != cluster.KindUnreachable {
		t.Errorf("Get without a server: %v", err)
	}
	s.run()
	netservertest.Eventually(t, "the store works again", func() bool {
		v, err := st.Get(ctx, "x")
		return err == nil && string(v.Data) == "1"
	})
}

// A bucket that is removed ends a Watch, and is made again. No revision of before
// is good in it.
func TestBucketIsRemoved(t *testing.T) {
	t.Parallel()
	ctx, s := lasting(t), start(t, "")
	st := s.open(t, "", cluster.StoreOptions{})
	rev, err := st.Set(ctx, "x", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	done := follow(t, st)
	if err := st.link.js.DeleteKeyValue(ctx, cluster.DefaultNamespace); err != nil {
		t.Fatal(err)
	}
	netservertest.Eventually(t, "the store works again", func() bool {
		_, err := st.Set(ctx, "x", nil, 0)
		return err == nil
	})
	if _, err := st.Put(ctx, "x", nil, rev, 0); !errors.Is(err, cluster.ErrChanged) {
		t.Errorf("Put with a revision of the bucket before: %v", err)
	}
	if err := <-done; err == nil {
		t.Error("Watch ends without an error")
	}
}

// A Watch that is not told of a change ends: here its consumer is removed.
func TestConsumerIsRemoved(t *testing.T) {
	t.Parallel()
	ctx, s := lasting(t), start(t, "")
	st, other := s.open(t, "", cluster.StoreOptions{}), s.open(t, "", cluster.StoreOptions{})
	st.stall = 50 * time.Millisecond
	done := follow(t, st)
	if _, err := other.Set(ctx, "x", nil, 0); err != nil {
		t.Fatal(err)
	}
	for name := range other.link.stream.ConsumerNames(ctx).Name() {
		if err := other.link.stream.DeleteConsumer(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := other.Set(ctx, "x", nil, 0); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("Watch ends without an error")
	}
}

// A server that is stopped keeps no call waiting beyond its time.
func TestServerIsStopped(t *testing.T) {
	t.Parallel()
	ctx, s := context.Background(), start(t, "")
	st := s.open(t, "", cluster.StoreOptions{Timeout: 300 * time.Millisecond})
	netservertest.Eventually(t, "the store works", func() bool {
		_, err := st.Set(ctx, "x", nil, 0)
		return err == nil
	})
	s.pause()
	var wg sync.WaitGroup
	for name, call := range map[string]func() error{
		"Get":    func() error { _, err := st.Get(ctx, "x"); return err },
		"Put":    func() error { _, err := st.Put(ctx, "x", nil, 0, 0); return err },
		"Set":    func() error { _, err := st.Set(ctx, "x", make([]byte, cluster.MaxValue), 0); return err },
		"Delete": func() error { return st.Delete(ctx, "x", 0) },
		"Watch":  func() error { return st.Watch(ctx, "", func(cluster.Event) {}) },
	} {
		wg.Go(func() {
			for range 2 { // the second time there is no connection
				if err := call(); cluster.ErrorKind(err) != cluster.KindTimeout && !errors.Is(err, errLost) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestFull(t *testing.T) {
	t.Parallel()
	ctx, s := context.Background(), start(t, "jetstream { store_dir: {DIR}, max_file: 100KB }")
	st := s.open(t, "", cluster.StoreOptions{})
	if _, err := st.Set(ctx, "x", []byte("1"), time.Hour); err != nil {
		t.Fatal(err)
	}
	var err error
	for i := range 5 {
		if _, err = st.Set(ctx, fmt.Sprint("large", i), make([]byte, cluster.MaxValue), 0); err != nil {
			break
		}
	}
	if !errors.Is(err, cluster.ErrFull) {
		t.Errorf("Set: %v", err)
	}
	if v, err := st.Get(ctx, "x"); string(v.Data) != "1" {
		t.Errorf("Get: %v", err)
	}
}

// What another client puts there is an ErrValue and can be written over.
func TestValuesOfOthers(t *testing.T) {
	t.Parallel()
	ctx, s := lasting(t), start(t, "")
	other, err := nats.Connect(s.front.Addr().String(), nats.Timeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	js, err := jetstream.New(other)
	if err != nil {
		t.Fatal(err)
	}
	// A bucket of another's making has no limit of its own.
	kv, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: cluster.DefaultNamespace})
	if err != nil {
		t.Fatal(err)
	}
	large := append([]byte(magic+strings.Repeat("\x00", 7)+"\x01"+strings.Repeat("\x00", 8)), make([]byte, cluster.MaxValue+1)...)
	want := []string{"garbage", "half", "huge", "large", "ttl", "zero"}
	for key, data := range map[string][]byte{
		"garbage": []byte("x"), "half": []byte(magic + "\x00\x01"), "zero": []byte(magic + strings.Repeat("\x00", 16)), "large": large, "huge": make([]byte, 1<<20-200),
		"ttl": []byte(magic + strings.Repeat("\xff", 16)), "UPPER": nil, strings.Repeat("k", 500): nil,
	} {
		if _, err := kv.Put(ctx, key, data); err != nil {
			t.Fatal(key, err)
		}
	}
	st := s.open(t, "", cluster.StoreOptions{})
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

// A Watch removes what has been over for long, and nothing else.
func TestOldIsRemoved(t *testing.T) {
	t.Parallel()
	ctx, s := lasting(t), start(t, "")
	st := s.open(t, "", cluster.StoreOptions{})
	st.gcAge = time.Millisecond
	for key, ttl := range map[string]time.Duration{"ended": time.Millisecond, "deleted": 0, "stays": 0, "lives": time.Hour} {
		if _, err := st.Set(ctx, key, nil, ttl); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Delete(ctx, "deleted", 0); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- st.Watch(ctx, "", func(cluster.Event) {}) }()
	netservertest.Eventually(t, "what is over is removed", func() bool {
		info, err := st.link.stream.Info(ctx, jetstream.WithSubjectFilter(">"))
		if err != nil {
			return false
		}
		names := slices.Sorted(maps.Keys(info.State.Subjects))
		return slices.Equal(names, []string{"$KV.netserver.=clock", "$KV.netserver.lives", "$KV.netserver.stays"})
	})
	if _, err := st.Put(ctx, "ended", nil, 0, 0); err != nil {
		t.Errorf("Put of what was removed: %v", err)
	}
	st.Close()
	if err := <-done; !errors.Is(err, cluster.ErrClosed) {
		t.Errorf("Watch: %v", err)
	}
}

func TestURL(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"nats://host", "[host:4222]  false"},
		{"nats://u:p@[::1]:7/", "[[::1]:7] u false"},
		{"tls://u@a,b:7", "[a:4222 b:7] u true"},
		{"nats://" + password + "@", ""},
		{"nats://:" + password + "@host:port", ""},
		{"nats://host/x", ""}, {"nats://a?password=" + password, ""}, {"nats://a,", ""}, {"http://a", ""}, {"nats:a", ""}, {"wss://a", ""},
	} {
		s, err := parse(tt.url, cluster.StoreOptions{})
		if err != nil {
			if tt.want != "" || strings.Contains(err.Error(), password) {
				t.Errorf("%s: %v", tt.url, err)
			}
			continue
		}
		if got := fmt.Sprint(s.servers, " ", s.user, " ", s.secure); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.url, got, tt.want)
		}
	}
}
