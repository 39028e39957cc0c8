//go:build unix

package exec_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"netserver"
	"netserver/handler/exec"
)

// alive reports whether process pid runs, and is not a zombie.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if os.IsNotExist(err) || errors.Is(err, syscall.ESRCH) {
		if _, err := os.Stat("/proc/self"); err != nil {
			return syscall.Kill(pid, 0) == nil
		}
		return false
	}
	return !bytes.Contains(b, []byte(") Z "))
}

func pidOf(t *testing.T, r netserver.Record) int {
	t.Helper()
	for _, a := range r.Notes {
		if a.Key == "pid" {
			return int(a.Value.Int64())
		}
	}
	t.Fatalf("no pid in %q", notes(r))
	return 0
}

// killGroup ends what a program has left running.
func killGroup(t *testing.T, r netserver.Record) { syscall.Kill(-pidOf(t, r), syscall.SIGKILL) }

// reset ends a client's connection with a RST.
func reset(t *testing.T, c net.Conn) {
	t.Helper()
	if tc, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = tc.NetConn()
	}
	if err := c.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// readPid reads the number that a program has printed in a line.
func readPid(t *testing.T, r io.Reader) (pid int) {
	t.Helper()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err == nil {
		fields := strings.Fields(line)
		pid, err = strconv.Atoi(fields[len(fields)-1])
	}
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return pid
}

var tcpKinds = map[string]struct {
	proto string
	pipes bool
}{"tcp": {"tcp", false}, "tcp by pipes": {"tcp", true}, "tls": {"tls", false}}

// A reset ends a program that neither reads nor writes, whatever the client
// has sent before: nothing, its end, or more than anybody takes.
func TestResetEndsTheProgram(t *testing.T) {
	before := map[string]func(c client){
		"silent":  func(c client) {},
		"ended":   func(c client) { c.CloseWrite() },
		"pushing": func(c client) { fill(c) },
	}
	for name, kind := range tcpKinds {
		for what, act := range before {
			t.Run(name+" "+what, func(t *testing.T) {
				h := sh(`trap 'exit 9' TERM; echo $$; while :; do sleep 0.05; done`)
				h.Pipes = kind.pipes
				s := serve(t, h)
				c := s.dial(kind.proto)
				pid := readPid(t, c)
				act(c)
				reset(t, c)
				r := s.record()
				if !errors.Is(r.Err, syscall.ECONNRESET) || !strings.Contains(notes(r), "exit=9") {
					t.Fatalf("record: %v; %s", r.Err, notes(r))
				}
				if alive(pid) {
					t.Fatal("the program goes on")
				}
			})
		}
	}
}

// fill sends until nobody takes any more.
func fill(c net.Conn) {
	b := make([]byte, 64<<10)
	for {
		c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

func TestStubbornProgramIsKilled(t *testing.T) {
	for name, kind := range tcpKinds {
		t.Run(name, func(t *testing.T) {
			h := helper(t, "stubborn")
			h.Pipes = kind.pipes
			h.KillGrace = 200 * time.Millisecond
			s := serve(t, h)
			c := s.dial(kind.proto)
			pid := readPid(t, c)
			begin := time.Now()
			reset(t, c)
			r := s.record()
			if !strings.Contains(notes(r), "signal=SIGKILL") || alive(pid) {
				t.Fatalf("record: %v; %s", r.Err, notes(r))
			}
			if d := time.Since(begin); d < h.KillGrace {
				t.Fatalf("killed after %v already", d)
			}
		})
	}
}

// A child of the program that ignores TERM goes with the program.
func TestGroupIsKilled(t *testing.T) {
	h := sh(`(trap '' TERM; echo child; while :; do sleep 0.05; done) & echo $! ; wait`)
	h.KillGrace = 300 * time.Millisecond
	for _, proto := range []string{"tcp", "tls"} {
		s := serve(t, h)
		c := s.dial(proto)
		r := bufio.NewReader(c)
		var pid int
		for range 2 {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if n, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
				pid = n
			}
		}
		reset(t, c)
		s.record()
		eventually(t, "the child ends", func() bool { return !alive(pid) })
	}
}

// What is left of the group is killed at once when nobody has the standard
// error any more: most often it is dead, and init has not noticed yet.
func TestStragglersWithoutStderr(t *testing.T) {
	for _, proto := range []string{"tcp", "tls"} {
		h := sh(`(trap '' TERM; exec 2>&-; echo $$; while :; do sleep 0.05; done) & wait`)
		h.KillGrace = 9 * time.Second
		s := serve(t, h)
		c := s.dial(proto)
		group := readPid(t, c)
		begin := time.Now()
		reset(t, c)
		s.record()
		if d := time.Since(begin); d > h.KillGrace/2 {
			t.Errorf("%s: it took %v", proto, d)
		}
		eventually(t, "the group ends", func() bool { return groupDead(group) })
	}
}

// groupDead reports whether no process of a group runs, zombies aside.
func groupDead(group int) bool {
	d, _ := os.ReadDir("/proc")
	for _, e := range d {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if g, err := syscall.Getpgid(pid); err == nil && g == group && alive(pid) {
			return false
		}
	}
	return true
}

// The server's end of patience ends programs, over every protocol.
func TestCutEndsTheProgram(t *testing.T) {
	everyStream(t, func(t *testing.T, proto string, pipes bool) {
		h := sh(`trap 'echo goodbye; exit 4' TERM; echo $$; while :; do sleep 0.05; done`)
		h.Pipes = pipes
		s := serve(t, h, func(s *netserver.Server) { s.Config.Shutdown.Grace = -1 })
		c := s.dial(proto)
		pid := readPid(t, c)
		if err := s.stop(); !errors.Is(err, netserver.ErrCut) {
			t.Fatal(err)
		}
		if r := s.record(); !errors.Is(r.Err, netserver.ErrCut) || alive(pid) {
			t.Fatalf("record: %v; %s", r.Err, notes(r))
		}
		if rest, _ := io.ReadAll(c); proto != "tls" && !pipes && string(rest) != "goodbye\n" {
			t.Fatalf("with its socket, the program could say %q only", rest)
		}
	})
}

// The idle limit ends the program where the server sees the bytes.
func TestIdleClientEndsTheProgram(t *testing.T) {
	s := serve(t, sh("exec cat"), func(s *netserver.Server) { s.Config.Timeouts.Idle = 100 * time.Millisecond })
	s.dial("tls")
	if r := s.record(); !errors.Is(r.Err, netserver.ErrIdle) {
		t.Fatal(r.Err)
	}
}

// A client that takes nothing must not keep a program that was ended.
func TestStalledReaderIsCut(t *testing.T) {
	s := serve(t, sh("exec cat /dev/zero"), func(s *netserver.Server) { s.Config.Timeouts.Write = 200 * time.Millisecond })
	s.dial("tls")
	if r := s.record(); !errors.Is(r.Err, netserver.ErrWriteStalled) {
		t.Fatal(r.Err)
	}
}

// SIGPIPE is not ignored in programs: yes ends when its client leaves. Nothing
// else is ignored or blocked either.
func TestSignalsAreDefault(t *testing.T) {
	everyStream(t, func(t *testing.T, proto string, pipes bool) {
		h := sh("yes; exit 5")
		h.Pipes = pipes
		s := serve(t, h)
		c := s.dial(proto)
		io.ReadFull(c, make([]byte, 1000))
		c.Close()
		if r := s.record(); r.Err == nil {
			t.Fatalf("record: %s", notes(r))
		}
	})
	own, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Skip(err)
	}
	s := serve(t, &exec.Handler{Path: "cat", Args: []string{"/proc/self/status"}})
	out := s.run("tcp", "")
	for _, name := range []string{"SigBlk:", "SigIgn:"} {
		if got, want := line(out, name), line(string(own), name); got != want {
			t.Errorf("%s, and %s in the server", got, want)
		}
	}
}

// line returns the line of text that begins with prefix.
func line(text, prefix string) string {
	_, after, _ := strings.Cut(text, prefix)
	rest, _, _ := strings.Cut(after, "\n")
	return prefix + rest
}

func TestYesIsALeavingClient(t *testing.T) {
	s := serve(t, &exec.Handler{Path: "yes"})
	c := s.dial("tcp")
	io.ReadFull(c, make([]byte, 1000))
	c.Close()
	r := s.record()
	if !errors.Is(r.Err, syscall.EPIPE) && !errors.Is(r.Err, syscall.ECONNRESET) {
		t.Fatalf("record: %v; %s", r.Err, notes(r))
	}
	if !strings.Contains(s.log.String(), "msg=left") {
		t.Fatal(s.log.String())
	}
}

func TestExitStatus(t *testing.T) {
	for _, c := range []struct{ script, note, err string }{
		{"exit 0", "exit=0", ""},
		{"exit 3", "exit=3", "program exited with status 3"},
		{"kill -SEGV $$", "signal=SIGSEGV", "program ended by SIGSEGV"},
	} {
		for _, proto := range []string{"tcp", "tls", "unix"} {
			s := serve(t, sh(c.script))
			s.run(proto, "")
			r := s.record()
			got := ""
			var e *exec.ExitError
			if errors.As(r.Err, &e) {
				got = e.Error()
			}
			if got != c.err || !strings.Contains(notes(r), c.note) {
				t.Errorf("%s over %s: %v; %s", c.script, proto, r.Err, notes(r))
			}
		}
	}
}

// What a program leaves running may write for WaitDelay and not longer.
func TestLeftoversDoNotHoldTheClient(t *testing.T) {
	everyStreamAtOnce(t, func(t *testing.T, proto string, pipes bool) {
		h := sh(`(while kill -0 $$ 2>&-; do :; done; echo late; exec sleep 1000) & echo early`)
		h.Pipes = pipes
		h.WaitDelay = 4 * time.Second
		s := serve(t, h)
		c := s.dial(proto)
		got, err := io.ReadAll(c)
		if string(got) != "early\nlate\n" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		r := s.record()
		if syscall.Kill(-pidOf(t, r), 0) != nil {
			t.Error("what was left running was killed")
		}
		killGroup(t, r)
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	})
}

// A job in the background that lets go of its descriptors holds nobody.
func TestBackgroundJobHoldsNobody(t *testing.T) {
	everyStream(t, func(t *testing.T, proto string, pipes bool) {
		h := sh(`sleep 1000 <&- >&- 2>&- & echo done`)
		h.Pipes = pipes
		h.WaitDelay = time.Hour
		s := serve(t, h)
		if got, err := io.ReadAll(s.dial(proto)); string(got) != "done\n" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		killGroup(t, s.record())
	})
}

// A server that stops waits for no daemon that holds a program's standard error.
func TestDaemonDoesNotHoldTheServer(t *testing.T) {
	h := sh(`exec >&- <&-; sleep 1000 & exit 0`)
	h.WaitDelay = time.Hour
	for _, proto := range []string{"tcp", "tls"} {
		s := serve(t, h, func(s *netserver.Server) { s.Config.Shutdown.Grace = 200 * time.Millisecond })
		c := s.dial(proto)
		if proto == "tls" { // with the socket the end is known later
			io.ReadAll(c)
		}
		if err := s.stop(); !errors.Is(err, netserver.ErrCut) || strings.Contains(err.Error(), "not returned") {
			t.Errorf("%s: %v", proto, err)
		}
		killGroup(t, s.record())
	}
}

// Threads end while programs run: none of them may take a program along.
func TestProgramsSurviveThreads(t *testing.T) {
	s := serve(t, sh("echo ready; exec cat"))
	readers := make(map[client]*bufio.Reader)
	for range 20 {
		c := s.dial("tls")
		readers[c] = bufio.NewReader(c)
	}
	for _, r := range readers {
		if line, err := r.ReadString('\n'); line != "ready\n" {
			t.Fatal(err)
		}
	}
	// As many at once as need every thread there is, and so those that
	// started programs, if they are not kept.
	release := make(chan struct{})
	var locked, ended sync.WaitGroup
	for range 100 {
		locked.Add(1)
		ended.Go(func() {
			runtime.LockOSThread() // and so the thread ends with us
			locked.Done()
			<-release
		})
	}
	locked.Wait()
	close(release)
	ended.Wait()
	for c, r := range readers {
		fmt.Fprintln(c, "still there?")
		if line, err := r.ReadString('\n'); line != "still there?\n" {
			t.Errorf("%q, %v", line, err)
		}
		c.Close()
		s.record()
	}
}

func needLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends programs with their server")
	}
}

// helperServer serves with a program until it is killed.
func helperServer() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	h := &exec.Handler{Path: "sh", Args: []string{"-c", `echo $$; exec sleep 1000`}, Pipes: true}
	(&netserver.Server{Handler: h}).Serve(context.Background(), l)
}

// A server that is killed leaves no program behind.
func TestKilledServerLeavesNoOrphans(t *testing.T) {
	needLinux(t)
	cmd, out := startHelper(t, "server")
	var pids []int
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		c, err := net.Dial("tcp", strings.TrimSpace(addr))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		pids = append(pids, readPid(t, c))
	}
	cmd.Process.Kill()
	cmd.Wait()
	for _, pid := range pids {
		eventually(t, fmt.Sprintf("process %d ends", pid), func() bool { return !alive(pid) })
	}
}
