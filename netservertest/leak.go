package netservertest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Main runs the tests of a binary and returns its exit status: 1 also when
// they pass but leave goroutines or descriptors behind, which it prints. It is
// for TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(netservertest.Main(m)) }
//
// Descriptors are counted where the system lists them, in /proc/self/fd or
// /dev/fd.
func Main(m *testing.M) int {
	before := take()
	code := m.Run()
	if code == 0 && !before.clean(os.Stderr, stableTime) {
		code = 1
	}
	return code
}

// CheckLeaks fails the test if, after its cleanup functions that were added
// later, there are more goroutines or descriptors than now. It must not be
// used in tests that run in parallel with others.
func CheckLeaks(t testing.TB) {
	t.Helper()
	before := take()
	t.Cleanup(func() {
		var report strings.Builder
		if !t.Failed() && !before.clean(&report, min(stableTime, patience(t))) {
			t.Error(report.String())
		}
	})
}

// stableTime is how long goroutines may take to end after what they worked for
// has: they are told, and then have to be scheduled.
const stableTime = 10 * time.Second

// A snapshot is what a test binary holds at one time.
type snapshot struct {
	goroutines map[string]bool // by number
	fds        map[string]string
}

func take() snapshot {
	// The first socket starts the poller, whose descriptors stay.
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close()
	}
	s := snapshot{goroutines: make(map[string]bool), fds: descriptors()}
	for _, g := range goroutines() {
		s.goroutines[g.id] = true
	}
	return s
}

// clean waits until nothing is left that s did not hold, and otherwise, when
// limit has passed, reports what it is to w.
func (s snapshot) clean(w io.Writer, limit time.Duration) bool {
	if settles(s.unchanged, limit) {
		return true
	}
	for _, g := range s.newGoroutines() {
		fmt.Fprintf(w, "a goroutine is left behind:\n%s\n\n", g.stack)
	}
	for fd, what := range s.newDescriptors() {
		fmt.Fprintf(w, "a descriptor is left open: %s, %s\n", fd, what)
	}
	return false
}

// unchanged reports whether nothing is left that s did not hold. Package net
// keeps pipes for splicing in a pool that only the garbage collector empties;
// it must not run while other descriptors are open, as it would close those
// of forgotten connections and files.
func (s snapshot) unchanged() bool {
	left := s.newDescriptors()
	pipes := 0
	for _, what := range left {
		if strings.HasPrefix(what, "pipe:") {
			pipes++
		}
	}
	if pipes > 0 && pipes == len(left) {
		runtime.GC()
		return false
	}
	return len(left) == 0 && len(s.newGoroutines()) == 0
}

func (s snapshot) newGoroutines() []goroutine {
	var left []goroutine
	for _, g := range goroutines() {
		if !s.goroutines[g.id] && !g.ours() {
			left = append(left, g)
		}
	}
	return left
}

func (s snapshot) newDescriptors() map[string]string {
	left := descriptors()
	for fd, what := range s.fds {
		if left[fd] == what { // else it is another one with an old number
			delete(left, fd)
		}
	}
	return left
}

type goroutine struct {
	id    string
	stack string
}

// ours reports whether g belongs to the runtime or to package testing.
func (g goroutine) ours() bool {
	for _, f := range []string{
		"testing.(*M).", "testing.tRunner", "testing.(*T).Run(", "testing.runTests(", "testing.runFuzz",
		"os/signal.signal_recv", "os/signal.loop", "runtime.ensureSigM", "runtime/trace.Start", "runtime/pprof.profileWriter",
		"netservertest.goroutines(",
	} {
		if strings.Contains(g.stack, f) {
			return true
		}
	}
	return false
}

// goroutines returns all goroutines of the process but the runtime's own.
func goroutines() []goroutine {
	buf := make([]byte, 64<<10)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	var list []goroutine
	for part := range bytes.SplitSeq(buf, []byte("\n\n")) {
		head, ok := strings.CutPrefix(string(part), "goroutine ")
		if !ok {
			continue
		}
		id, _, _ := strings.Cut(head, " ")
		list = append(list, goroutine{id: id, stack: string(part)})
	}
	return list
}

// descriptors returns the open descriptors and what they are, or nothing where
// the system does not list them.
func descriptors() map[string]string {
	m := make(map[string]string)
	for _, dir := range []string{"/proc/self/fd", "/dev/fd"} {
		d, err := os.Open(dir)
		if err != nil {
			continue
		}
		self := fmt.Sprint(d.Fd())
		names, err := d.Readdirnames(-1)
		if err == nil {
			for _, n := range names {
				if n == self {
					continue
				}
				what, err := os.Readlink(dir + "/" + n)
				if err != nil {
					what = "of unknown kind"
				}
				m[n] = what
			}
		}
		d.Close()
		return m
	}
	return m
}
