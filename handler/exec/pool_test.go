//go:build unix

package exec_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"netserver"
	"netserver/handler/exec"
	"netserver/netservertest"
)

// serveSpare starts h with spare programs, and waits for them.
func serveSpare(t testing.TB, h *exec.Handler, n int) *server {
	t.Helper()
	h.Spare = n
	s := serve(t, h)
	waitSpare(t, h)
	return s
}

func waitSpare(t testing.TB, h *exec.Handler) {
	t.Helper()
	eventually(t, "all spare programs wait", func() bool { return len(h.Spares()) == h.Spare })
}

// A client gets a program that was started before it came, the oldest, and
// another one takes that one's place. No variable tells of the client.
func TestSparePrograms(t *testing.T) {
	h := sh(`read x; echo "$$ got $x"; env; cat`)
	s := serveSpare(t, h, 3)
	for _, proto := range []string{"tcp", "tls", "unix", "tcp"} {
		waitSpare(t, h)
		oldest := h.Spares()[0]
		out := s.run(proto, "hello\nand more")
		if !strings.HasPrefix(out, fmt.Sprintf("%d got hello\n", oldest)) || !strings.HasSuffix(out, "\nand more") {
			t.Errorf("%s: %q; the oldest is %d", proto, out, oldest)
		}
		for _, name := range []string{"PROTO=", "REMOTE", "UCSPI", "SSL_", "LOCAL"} {
			if strings.Contains(out, name) {
				t.Errorf("%s: %s in %q", proto, name, out)
			}
		}
		r := s.record()
		if v, ok := note(r, "spare"); !ok || !v.Bool() || r.Err != nil || r.In != 14 || r.Out != uint64(len(out)) {
			t.Errorf("%s: record %v, %d in, %d out, %s", proto, r.Err, r.In, r.Out, notes(r))
		}
		eventually(t, "another program takes its place", func() bool {
			now := h.Spares()
			return len(now) == 3 && !slices.Contains(now, oldest)
		})
	}
}

// A client that comes when no program is left has one started, which knows no
// more than the others.
func TestNoSpareProgramLeft(t *testing.T) {
	h := sh(`read x; echo "got $x $PROTO"; cat`)
	s := serveSpare(t, h, 2)
	var all sync.WaitGroup
	for i := range 50 {
		c := s.dial([]string{"tcp", "tls", "unix"}[i%3])
		all.Go(func() {
			fmt.Fprintln(c, i)
			c.CloseWrite()
			if got, err := io.ReadAll(c); string(got) != fmt.Sprintf("got %d \n", i) || err != nil {
				t.Errorf("%d: %q, %v", i, got, err)
			}
			c.Close()
		})
	}
	all.Wait()
	for range 50 {
		if r := s.record(); r.Err != nil {
			t.Error(r.Err)
		}
	}
	waitSpare(t, h)
}

// What a program says before it has a client, the client gets, and the log what
// it says to its standard error.
func TestSpareProgramSpeaksFirst(t *testing.T) {
	s := serveSpare(t, sh(`echo welcome; echo begun >&2; read x; echo "got $x"`), 1)
	for _, proto := range []string{"tcp", "tls", "unix"} {
		c := s.dial(proto)
		r := bufio.NewReader(c)
		if line, err := r.ReadString('\n'); line != "welcome\n" {
			t.Fatalf("%s: %q, %v", proto, line, err)
		}
		fmt.Fprintln(c, "hi")
		if rest, err := io.ReadAll(r); string(rest) != "got hi\n" || err != nil {
			t.Fatalf("%s: %q, %v", proto, rest, err)
		}
		s.record()
	}
	if n := strings.Count(s.log.String(), "line=begun"); n != 3 {
		t.Errorf("%d of 3 lines in the log\n%s", n, s.log)
	}
}

// A datagram's program may have been started before as well.
func TestSpareProgramForDatagrams(t *testing.T) {
	h := sh(`x=$(cat); echo "got $x"`)
	h.Spare = 1
	s := serveDatagrams(t, h)
	for _, proto := range []string{"udp", "unixgram"} {
		waitSpare(t, h)
		if got, err := s.packet(proto, []byte("a packet"))(); string(got) != "got a packet\n" {
			t.Errorf("%s: %q, %v", proto, got, err)
		}
		if _, ok := note(s.record(), "spare"); !ok {
			t.Errorf("%s: by no spare program", proto)
		}
	}
}

// A program that ends before it has a client is told of once, and is started
// again ever more slowly; clients are served all the same.
func TestSpareProgramThatDoesNotWait(t *testing.T) {
	h := sh(`echo first >&2; echo no input, no me >&2; exit 3`)
	log := new(logBuffer)
	h.Spare, h.Log = 4, textLog(log)
	s := serve(t, h)
	eventually(t, "the log tells of it", func() bool { return strings.Contains(log.String(), "ended before") })
	for range 3 {
		s.run("tls", "")
		if r := s.record(); !strings.Contains(notes(r), "exit=3") {
			t.Errorf("record: %v %s", r.Err, notes(r))
		}
	}
	text := log.String()
	if strings.Count(text, "\n") != 1 || !strings.Contains(text, "exit=3") || !strings.Contains(text, `stderr="no input, no me"`) {
		t.Error(text)
	}
}

// A spare program that is ended from outside is replaced.
func TestSpareProgramIsKilled(t *testing.T) {
	h := sh(`read x; echo "got $x"`)
	s := serveSpare(t, h, 2)
	old := h.Spares()
	for _, pid := range old {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	eventually(t, "others take their place", func() bool {
		now := h.Spares()
		return len(now) == 2 && !slices.Contains(now, old[0]) && !slices.Contains(now, old[1])
	})
	if got := s.run("tls", "x\n"); got != "got x\n" {
		t.Errorf("%q", got)
	}
}

// Once a program's file has been replaced, no client gets one of the old ones;
// once it is gone, none is started.
func TestSpareProgramsFileIsReplaced(t *testing.T) {
	name := filepath.Join(t.TempDir(), "program")
	write := func(what string) {
		text := "#!/bin/sh\nread x\necho " + what + " $x\n"
		if err := netservertest.WriteProgram(name+".new", []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			t.Fatal(err)
		}
	}
	write("old")
	h := &exec.Handler{Path: name}
	s := serveSpare(t, h, 3)
	old := h.Spares()
	if got := s.run("tls", "x\n"); got != "old x\n" {
		t.Fatalf("%q", got)
	}
	s.record()
	write("new")
	for range 5 {
		if got := s.run("tls", "x\n"); got != "new x\n" {
			t.Fatalf("%q", got)
		}
		s.record()
	}
	eventually(t, "the old programs end", func() bool { return !slices.ContainsFunc(old, alive) })
	waitSpare(t, h)
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	s.run("tls", "x\n")
	if r := s.record(); r.Err == nil || !strings.Contains(r.Err.Error(), "no such file") {
		t.Errorf("record: %v", r.Err)
	}
}

// A server that takes no more clients ends its spare programs, and goes on
// serving the clients it has.
func TestSpareProgramsEndBeforeTheLastClient(t *testing.T) {
	h := sh(`trap '' TERM; while read x; do echo "got $x"; done`)
	h.KillGrace = 300 * time.Millisecond
	s := serveSpare(t, h, 3)
	c := s.dial("tls")
	r := bufio.NewReader(c)
	say := func(what string) {
		fmt.Fprintln(c, what)
		if line, err := r.ReadString('\n'); line != "got "+what+"\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
	say("one")
	waitSpare(t, h)
	pids := h.Spares()
	stopped := make(chan struct{})
	go func() { s.stop(); close(stopped) }()
	eventually(t, "the spare programs end", func() bool { return !slices.ContainsFunc(pids, alive) })
	if left := h.Spares(); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
	say("two")
	c.Close()
	<-stopped
}

// No more than a few programs are at their start at once.
func TestSpareProgramsStartAFewAtATime(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip(err)
	}
	h := sh(`i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; read x`)
	h.Spare = 16
	serve(t, h)
	most := 0
	eventually(t, "all programs wait", func() bool {
		running := 0
		for _, pid := range h.Spares() {
			if b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); strings.Contains(string(b), ") R ") {
				running++
			}
		}
		most = max(most, running)
		return len(h.Spares()) == h.Spare && running == 0
	})
	if most > exec.MaxStarting {
		t.Errorf("%d at once", most)
	}
}

func TestSpareProgramsThatCannotBe(t *testing.T) {
	for want, h := range map[string]*exec.Handler{
		"1025 spare programs are too many": {Path: "cat", Spare: exec.MaxSpare + 1},
		"either Spare or Substitute":       {Path: "cat", Args: []string{"%{peer}"}, Spare: 1, Substitute: true},
		"either Spare or Terminal":         {Path: "cat", Spare: 1, Terminal: new(exec.Terminal)},
	} {
		if err := h.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// helperSpare serves with spare programs until it is killed.
func helperSpare() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	h := &exec.Handler{Path: "cat", Spare: 5}
	go (&netserver.Server{Handler: h}).Serve(context.Background(), l)
	for len(h.Spares()) < h.Spare {
		time.Sleep(time.Millisecond)
	}
	fmt.Println(h.Spares())
	select {}
}

// Spare programs end with a server that is killed.
func TestKilledServerLeavesNoSparePrograms(t *testing.T) {
	needLinux(t)
	cmd, out := startHelper(t, "spare")
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, f := range strings.Fields(strings.Trim(line, "[]\n")) {
		var pid int
		if _, err := fmt.Sscan(f, &pid); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	if len(pids) != 5 {
		t.Fatal(line)
	}
	cmd.Process.Kill()
	cmd.Wait()
	eventually(t, "all end", func() bool { return !slices.ContainsFunc(pids, alive) })
}
