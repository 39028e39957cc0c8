package dirstore

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver/cluster"
	"netserver/cluster/storetest"
	"netserver/netservertest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("DIRSTORE_TEST_DIR"); dir != "" {
		os.Exit(incrementer(dir))
	}
	os.Exit(netservertest.Main(m))
}

func openAt(t testing.TB, dir, namespace string) *store {
	t.Helper()
	s, err := Open(context.Background(), "dir:"+dir, cluster.StoreOptions{Namespace: namespace, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.(*store)
}

func TestStore(t *testing.T) {
	dir := t.TempDir()
	storetest.Run(t, func(t *testing.T, namespace string) cluster.Store { return openAt(t, dir, namespace) })
}

func TestURL(t *testing.T) {
	for _, name := range []string{"dir:", "dir:relative", "dir://host/path", "dir:/path?x=1", "dir://user@/path", "file:/path", "/path", "dir:/pa%zzth", "dir:/x#y"} {
		if _, err := Open(context.Background(), name, cluster.StoreOptions{}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := Open(context.Background(), "dir:"+t.TempDir(), cluster.StoreOptions{Timeout: -1}); err == nil {
		t.Error("a negative timeout is taken")
	}
}

// incrementer is another process: it adds 1 to n ten times.
func incrementer(dir string) int {
	s, err := Open(context.Background(), "dir:"+dir, cluster.StoreOptions{Timeout: time.Minute})
	if err != nil {
		return 1
	}
	defer s.Close()
	for done := 0; done < 10; {
		v, err := s.Get(context.Background(), "n")
		if err != nil {
			return 1
		}
		n, _ := strconv.Atoi(string(v.Data))
		switch _, err = s.Put(context.Background(), "n", []byte(strconv.Itoa(n+1)), v.Rev, 0); {
		case err == nil:
			done++
		case !errors.Is(err, cluster.ErrChanged):
			io.WriteString(os.Stderr, err.Error())
			return 1
		}
	}
	return 0
}

func TestProcessesAtOnce(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir, "")
	ctx := context.Background()
	if _, err := s.Set(ctx, "n", []byte("0"), 0); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 2 {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), "DIRSTORE_TEST_DIR="+dir)
		wg.Go(func() {
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	if v, err := s.Get(ctx, "n"); err != nil || string(v.Data) != "20" {
		t.Errorf("two processes count to %q, want 20: %v", v.Data, err)
	}
	files, err := os.ReadDir(filepath.Join(dir, cluster.DefaultNamespace))
	if err != nil || len(files) > 2 {
		t.Errorf("%d files are left: %v", len(files), err)
	}
}

// What others have put there is an ErrValue, does no harm to other keys, and can
// be written over.
func TestFilesOfOthers(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	s := openAt(t, dir, "")
	if _, err := s.Set(ctx, "good", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	at := func(key string) string { return filepath.Join(dir, cluster.DefaultNamespace, fileName(key, 1)) }
	good, err := os.ReadFile(at("good"))
	if err != nil {
		t.Fatal(err)
	}
	changed := append([]byte{}, good...)
	changed[len(changed)-1] ^= 1
	for key, content := range map[string][]byte{"empty": {}, "half": good[:len(good)/2], "cut": good[:len(good)-1], "longer": append(good, 0), "garbage": []byte(strings.Repeat("x", 500)), "changed": changed} {
		if err := os.WriteFile(at(key), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"empty", "half", "cut", "longer", "garbage", "changed", "huge"}
	if err := os.WriteFile(at("huge"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(at("huge"), 1<<40); err != nil {
		t.Log(err) // the file system has no such files
		if err := os.Truncate(at("huge"), 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	want = append(want, plantUnix(t, s, at)...)
	bad := make(chan string, 100)
	watching, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		done <- s.Watch(watching, "", func(e cluster.Event) {
			if errors.Is(e.Err, cluster.ErrValue) {
				bad <- e.Key
			} else if e.Synced {
				cancel()
			}
		})
	}()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch ends with %v", err)
	}
	if len(bad) != len(want) {
		t.Errorf("Watch tells of %d bad values, want %d", len(bad), len(want))
	}
	for _, key := range want {
		if v, err := s.Get(ctx, key); !errors.Is(err, cluster.ErrValue) {
			t.Errorf("%s: %q, %v", key, v.Data, err)
		}
		if _, err := s.Put(ctx, key, nil, 0, 0); !errors.Is(err, cluster.ErrChanged) {
			t.Errorf("%s: Put of a new key: %v", key, err)
		}
		if _, err := s.Set(ctx, key, []byte("ours"), 0); err != nil {
			t.Errorf("%s: Set: %v", key, err)
		}
		if v, err := s.Get(ctx, key); string(v.Data) != "ours" {
			t.Errorf("%s: after Set %q, %v", key, v.Data, err)
		}
	}
	if v, err := s.Get(ctx, "good"); string(v.Data) != "1" {
		t.Errorf("good: %q, %v", v.Data, err)
	}
}

// A clock that jumps neither ends a value nor keeps it: the files' times are what
// such a clock would have written.
func TestClockJumps(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	s := openAt(t, dir, "")
	for _, jump := range []time.Duration{-time.Hour, time.Hour} {
		if _, err := s.Set(ctx, "x", []byte("1"), 10*time.Minute); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(ctx, "x"); err != nil {
			t.Fatal(err)
		}
		f, _, err := s.current(s.held.root, "x")
		if err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(jump)
		if err := os.Chtimes(filepath.Join(s.dir, f.name), then, then); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(ctx, "x"); err != nil {
			t.Errorf("a value that was seen before the clock moved by %v: %v", -jump, err)
		}
		_, err = openAt(t, dir, "").Get(ctx, "x")
		if ended := errors.Is(err, cluster.ErrNotFound); ended != (jump < 0) {
			t.Errorf("a new process, after the clock has moved by %v: %v", -jump, err)
		}
	}
}

// A file system whose clock is not ours, as another machine's, changes nothing.
func TestOtherClock(t *testing.T) {
	ctx, s := context.Background(), openAt(t, t.TempDir(), "")
	if _, err := s.Set(ctx, "x", []byte("1"), time.Minute); err != nil {
		t.Fatal(err)
	}
	f, _, err := s.current(s.held.root, "x")
	if err != nil {
		t.Fatal(err)
	}
	then := time.Now().Add(-time.Hour) // by a file system that is an hour behind
	if err := os.Chtimes(filepath.Join(s.dir, f.name), then, then); err != nil {
		t.Fatal(err)
	}
	other := openAt(t, filepath.Dir(s.dir), "")
	other.ahead.Store(int64(-time.Hour))
	if _, err := other.Get(ctx, "x"); err != nil {
		t.Error(err)
	}
}

func TestFileNames(t *testing.T) {
	for _, name := range []string{"", "x", "x@", "@1", "x@0", "x@01", "x@-1", "x@4294967296", "x@1@2", "X@1", "+x@1", ".x@1", "x y@1", ".tmp-1@1"} {
		if key, num, ok := splitName(name); ok {
			t.Errorf("%s is number %d of %s", name, num, key)
		}
	}
	for _, key := range []string{"x", "a/b", "a.b/c-d_e"} {
		if got, num, ok := splitName(fileName(key, 7)); got != key || num != 7 || !ok {
			t.Errorf("%s comes back as %s, %d", key, got, num)
		}
	}
	ctx, s := context.Background(), openAt(t, t.TempDir(), "")
	if err := os.WriteFile(filepath.Join(s.dir, "x@4294967295"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Set(ctx, "x", nil, 0); !errors.Is(err, cluster.ErrValue) {
		t.Errorf("Set after the last number: %v", err)
	}
}

// A writer that was slow finds that its number was used and removed meanwhile.
func TestSlowWriter(t *testing.T) {
	ctx, s := context.Background(), openAt(t, t.TempDir(), "")
	root := s.held.root
	rev, err := s.Set(ctx, "x", []byte("0"), 0)
	if err != nil {
		t.Fatal(err)
	}
	before, _, err := s.current(root, "x")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // others
		if rev, err = s.Put(ctx, "x", []byte("other"), rev, 0); err != nil {
			t.Fatal(err)
		}
	}
	w, err := s.write(root, kindValue, []byte("slow"), 0, before)
	if err != nil {
		t.Fatal(err)
	}
	if err := root.Rename(w.temp, fileName("x", before.num+1)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.settle(root, "x", before.num+1, w.random, false); !errors.Is(err, cluster.ErrChanged) {
		t.Errorf("the slow writer is told %v", err)
	}
	// One who was only overtaken has written.
	w, err = s.write(root, kindValue, []byte("ours"), 0, mustCurrent(t, s, "x"))
	if err != nil {
		t.Fatal(err)
	}
	num := mustCurrent(t, s, "x").num + 1
	if err := root.Rename(w.temp, fileName("x", num)); err != nil {
		t.Fatal(err)
	}
	ours := uint64(num)<<32 | uint64(w.random)
	if _, err := s.Put(ctx, "x", []byte("next"), ours, 0); err != nil {
		t.Fatal(err)
	}
	if got, err := s.settle(root, "x", num, w.random, false); got != ours || err != nil {
		t.Errorf("the one overtaken is told %d, %v; its revision is %d", got, err, ours)
	}
	for range keptRevs + 1 {
		if _, err := s.Set(ctx, "x", nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.settle(root, "x", num, w.random, false); err == nil || errors.Is(err, cluster.ErrChanged) {
		t.Errorf("after very many writes the one overtaken is told %v", err)
	}
	if _, err := s.settle(root, "x", num, w.random, true); err == nil {
		t.Error("a writer that took minutes has written")
	}
}

func mustCurrent(t *testing.T, s *store, key string) *file {
	t.Helper()
	f, _, err := s.current(s.held.root, key)
	if err != nil || f == nil {
		t.Fatalf("%v, %v", f, err)
	}
	return f
}

// A file system that hangs keeps no call waiting beyond its time, and no more
// than some goroutines.
func TestHangingFileSystem(t *testing.T) {
	s := openAt(t, t.TempDir(), "")
	s.o.Timeout = 20 * time.Millisecond
	hang := make(chan struct{})
	for range maxRunning + 3 {
		if err := s.do(context.Background(), func() error { <-hang; return nil }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an operation that hangs: %v", err)
		}
	}
	if len(s.slots) != maxRunning {
		t.Errorf("%d operations run", len(s.slots))
	}
	close(hang)
	netservertest.Eventually(t, "operations end", func() bool { return len(s.slots) == 0 })
}

// What is over for long is removed, and what a writer that was ended has left.
func TestOldFilesAreRemoved(t *testing.T) {
	ctx, s := context.Background(), openAt(t, t.TempDir(), "")
	long := time.Now().Add(-2 * gcAge)
	for name, old := range map[string]bool{tempPrefix + "old": true, tempPrefix + "new": false} {
		p := filepath.Join(s.dir, name)
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if old {
			if err := os.Chtimes(p, long, long); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, key := range []string{"kept", "deleted"} {
		if _, err := s.Set(ctx, key, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(ctx, "deleted", 0); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"kept", "deleted"} {
		if err := os.Chtimes(filepath.Join(s.dir, mustCurrent(t, s, key).name), long, long); err != nil {
			t.Fatal(err)
		}
	}
	w := &watch{s: s, told: make(map[string]*seen)}
	if _, err := w.look(ctx, true); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range left {
		names = append(names, f.Name())
	}
	if got := strings.Join(names, " "); got != ".tmp-new kept@1" {
		t.Errorf("left: %s", got)
	}
}

// A Watch without events of the system, as on NFS, sees changes by looking.
func TestPolling(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := openAt(t, t.TempDir(), "")
	w := &watch{s: s, told: make(map[string]*seen)}
	poll := make(chan time.Time, 1)
	poll <- time.Now()
	if _, err := s.Set(ctx, "x", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	all, err := w.await(ctx, nil, poll)
	if !all || err != nil {
		t.Fatal(all, err)
	}
	events, err := w.look(ctx, all)
	if err != nil || len(events) != 1 || string(events[0].Value.Data) != "1" {
		t.Errorf("%v, %v", events, err)
	}
}

// A directory that is replaced is used as it is then; a Watch ends.
func TestDirectoryIsReplaced(t *testing.T) {
	ctx, s := context.Background(), openAt(t, t.TempDir(), "")
	if _, err := s.Set(ctx, "x", nil, 0); err != nil {
		t.Fatal(err)
	}
	synced, done := make(chan bool, 1), make(chan error, 1)
	go func() {
		done <- s.Watch(ctx, "", func(e cluster.Event) {
			if e.Synced {
				synced <- true
			}
		})
	}()
	<-synced
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, "x"); !errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	if _, err := s.Set(ctx, "y", nil, 0); err != nil {
		t.Errorf("Set: %v", err)
	}
	if err := <-done; err == nil || !strings.Contains(err.Error(), "replaced") {
		t.Errorf("Watch: %v", err)
	}
}

func FuzzFile(f *testing.F) {
	s := openAt(f, f.TempDir(), "")
	if _, err := s.Set(context.Background(), "x", []byte("value"), time.Hour); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(s.dir, "x@1"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		w := &file{name: "x@1", num: 1}
		s.parse(w, "x", data)
		if (w.bad == nil) != (w.kind != 0 && w.Data != nil) && w.bad == nil {
			t.Errorf("%+v", w)
		}
		if w.bad != nil && !errors.Is(w.bad, cluster.ErrValue) {
			t.Error(w.bad)
		}
		w.follows(uint32(len(data)), 0)
	})
}
