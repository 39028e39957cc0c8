//go:build unix

package redisstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"netserver/cluster"
	"netserver/netservertest"
)

// A front is a port before a server's, which can keep an answer back.
type front struct {
	net.Listener
	cut atomic.Bool // the next answer, and end the connection
}

func newFront(t *testing.T) *front {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return &front{Listener: l}
}

// serve copies between clients and a socket, until the test ends.
func (f *front) serve(t *testing.T, socket string) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := f.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("unix", socket)
			if err != nil {
				c.Close()
				continue
			}
			wg.Go(func() { io.Copy(to, c); to.Close() })
			wg.Go(func() { f.answer(c, to) })
		}
	})
	t.Cleanup(wg.Wait)
	t.Cleanup(func() { f.Close() })
}

func (f *front) answer(c, from net.Conn) {
	defer c.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil || f.cut.CompareAndSwap(true, false) {
			return
		}
		c.Write(buf[:n])
	}
}

// A cluster carries values as one server does; a write whose answer was lost,
// which its client repeats, is not refused as that of another.
func TestCluster(t *testing.T) {
	t.Parallel()
	ctx, f := context.Background(), newFront(t)
	_, port, _ := net.SplitHostPort(f.Addr().String())
	s := start(t, "--port", netservertest.FreePort(t), "--bind", "127.0.0.1", "--cluster-enabled", "yes", "--cluster-port", netservertest.FreePort(t),
		"--cluster-announce-ip", "127.0.0.1", "--cluster-announce-port", port)
	f.serve(t, s.socket)
	admin := redis.NewClient(&redis.Options{Network: "unix", Addr: s.socket})
	defer admin.Close()
	if err := admin.ClusterAddSlotsRange(ctx, 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	netservertest.Eventually(t, "the cluster is ready", func() bool {
		return strings.Contains(admin.ClusterInfo(ctx).Val(), "cluster_state:ok")
	})
	st, err := Open(ctx, "redis+cluster://"+f.Addr().String(), cluster.StoreOptions{Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	first, err := st.Put(ctx, "x", []byte("1"), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.cut.Store(true)
	if _, err := st.Put(ctx, "x", []byte("2"), first, time.Hour); err != nil || f.cut.Load() {
		t.Errorf("Put whose answer was lost: %v", err)
	}
	if _, err := st.Put(ctx, "x", []byte("3"), first, 0); !errors.Is(err, cluster.ErrChanged) {
		t.Errorf("Put with an old revision: %v", err)
	}
	if got := everything(t, st); got != "x=2 " {
		t.Errorf("Watch sees %s", got)
	}
}

// everything returns what a Watch tells of before Synced.
func everything(t *testing.T, st cluster.Store) (all string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	if err := st.Watch(ctx, "", func(e cluster.Event) {
		if e.Synced {
			cancel()
		} else {
			all += fmt.Sprintf("%s=%s ", e.Key, e.Value.Data)
		}
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("Watch: %v", err)
	}
	return all
}

// When a Sentinel makes another server the primary, the store goes on with what
// that one has, and so does a Watch, which may end meanwhile. The old one may
// acknowledge writes for a moment that are lost with it.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	replica, admin, name := startSentinel(t)
	st, err := Open(ctx, name, cluster.StoreOptions{Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := st.Set(ctx, "x", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	var seen sync.Map
	watching, cancel := context.WithCancel(ctx)
	done := make(chan bool)
	go func() {
		defer close(done)
		for watching.Err() == nil {
			st.Watch(watching, "", func(e cluster.Event) { seen.Store(e.Key, string(e.Value.Data)) })
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	has := func(key string) bool { return replica.Exists(ctx, "{netserver}:v:"+key).Val() == 1 }
	sees := func(key string) bool { v, _ := seen.Load(key); return v == "1" }
	netservertest.Eventually(t, "Watch sees what is there", func() bool { return sees("x") })
	netservertest.Eventually(t, "the replica has it", func() bool { return has("x") })
	if err := admin.Failover(ctx, "main").Err(); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"y", "z"} { // z when nothing goes to the old one any more
		netservertest.Eventually(t, "the store goes on at the new primary", func() bool {
			_, err := st.Set(ctx, key, []byte("1"), 0)
			v, _ := st.Get(ctx, "x")
			return err == nil && string(v.Data) == "1" && has(key)
		})
	}
	netservertest.Eventually(t, "Watch goes on there", func() bool { return sees("z") })
}

// startSentinel starts a primary, a replica and a Sentinel that knows both, and
// returns clients of the latter two and the store's URL.
func startSentinel(t *testing.T) (*redis.Client, *redis.SentinelClient, string) {
	t.Helper()
	port, sentinelPort := netservertest.FreePort(t), netservertest.FreePort(t)
	start(t, "--port", port, "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0")
	replica := start(t, "--port", netservertest.FreePort(t), "--bind", "127.0.0.1", "--replicaof", "127.0.0.1", port)
	second := redis.NewClient(&redis.Options{Network: "unix", Addr: replica.socket})
	t.Cleanup(func() { second.Close() })
	netservertest.Eventually(t, "the replica has all", func() bool {
		return strings.Contains(second.Info(context.Background(), "replication").Val(), "master_link_status:up")
	})
	dir, err := os.MkdirTemp("", "sentinel")
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "bind 127.0.0.1\nsentinel monitor main 127.0.0.1 %s 1\n", port), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, socket: filepath.Join(dir, "s"), conf: conf, args: []string{"--port", sentinelPort, "--sentinel"}}
	t.Cleanup(func() { s.stop(); os.RemoveAll(dir) })
	s.run()
	sentinel := redis.NewSentinelClient(&redis.Options{Network: "unix", Addr: s.socket})
	t.Cleanup(func() { sentinel.Close() })
	netservertest.Eventually(t, "the Sentinel knows the replica", func() bool {
		list, err := sentinel.Replicas(context.Background(), "main").Result()
		return err == nil && len(list) == 1 && list[0]["master-link-status"] == "ok" && list[0]["flags"] == "slave"
	})
	return second, sentinel, "redis+sentinel://127.0.0.1:" + sentinelPort + "/main"
}
