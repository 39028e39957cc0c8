package daemon_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"netserver/internal/childproc"
	"netserver/netservertest"
)

// processesWith lists the processes that run and have a word among their
// arguments.
func processesWith(word string) (pids []int) {
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		b, _ := os.ReadFile(name)
		if pid, err := strconv.Atoi(strings.Split(name, "/")[2]); err == nil && bytes.Contains(b, []byte("\x00"+word+"\x00")) && alive(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// killAll kills them, and what they start meanwhile.
func killAll(word string) {
	for pids := processesWith(word); len(pids) > 0; pids = processesWith(word) {
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// zombiesOf counts the children of pid that have ended and wait.
func zombiesOf(t *testing.T, pid int) (n int) {
	for _, c := range childrenOf(t, pid) {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c)); err == nil && bytes.Contains(b, []byte(") Z ")) {
			n++
		}
	}
	return n
}

// mustRead reads all that a program sends its client.
func mustRead(t *testing.T, addr string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// sleepFor returns a number of seconds that no other process sleeps.
func sleepFor() string { return fmt.Sprintf("1%07d.%d", os.Getpid(), rand.Uint32()) }

// What a killed worker's programs have started is ended, in whatever session
// it is, and whatever it ignores.
func TestKilledWorkersProgramsAreEnded(t *testing.T) {
	word := sleepFor()
	t.Cleanup(func() { killAll(word) })
	// Each of the three starts another when the one before is killed.
	script := `trap "" TERM HUP
		setsid sh -c 'trap "" TERM HUP; sleep $0; setsid sleep $0; setsid sleep $0' ` + word + ` <&- >&- 2>&- &
		sleep ` + word + ` <&- >&- 2>&- &
		echo started; wait`
	r := start(t, "--port", "127.0.0.1:0", "--", "/bin/sh", "-c", script)
	addr := r.addr(0)
	for i := range 3 {
		c := mustDial(t, addr)
		if line, err := c.r.ReadString('\n'); line != "started\n" {
			t.Fatal(line, err)
		}
		netservertest.Eventually(t, "the programs run", func() bool { return len(processesWith(word)) >= 2 })
		worker := r.only()
		syscall.Kill(worker, syscall.SIGKILL)
		r.wait("left processes behind; ending them", i+1)
		netservertest.Eventually(t, "nothing is left", func() bool { return len(processesWith(word)) == 0 })
		netservertest.Eventually(t, "no zombies", func() bool { return zombiesOf(t, r.pid()) == 0 })
		r.only(worker)
	}
	mustDial(t, addr)
}

// What programs leave running goes on when their worker ends in order, or when
// another is killed.
func TestLeftoversOfAnOrderlyEndGoOn(t *testing.T) {
	word := sleepFor()
	r := start(t, "PreForkSimple", "--max_servers", "2", "--port", "127.0.0.1:0", "--", "/bin/sh", "-c", "sleep "+word+" <&- >&- 2>&- & echo left")
	t.Cleanup(func() { killAll(word) })
	if got := mustRead(t, r.addr(0)); got != "left\n" {
		t.Fatalf("%q", got)
	}
	netservertest.Eventually(t, "it runs", func() bool { return len(processesWith(word)) == 1 })
	left := processesWith(word)[0]
	var old []int
	netservertest.Eventually(t, "both workers run", func() bool { old = r.children(); return len(old) == 2 })
	r.signal(syscall.SIGHUP)
	r.wait("restart: ports and handler are the same", 1)
	netservertest.Eventually(t, "the old workers have ended", func() bool { return !alive(old[0]) && !alive(old[1]) })
	syscall.Kill(r.children()[0], syscall.SIGKILL)
	r.wait("signal: killed; starting a replacement", 1)
	if now := processesWith(word); len(now) != 1 || now[0] != left {
		t.Errorf("%v was left, and there is %v", left, now)
	}
	syscall.Kill(left, syscall.SIGKILL)
	netservertest.Eventually(t, "the supervisor reaps it", func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/%d", left))
		return err != nil
	})
}

// As process 1 the server reaps what others leave, with and without a
// supervisor, and its programs' statuses are not lost by that.
func TestProcessOne(t *testing.T) {
	rooted(t)
	for _, supervisor := range []string{"1", "0"} {
		cmd := exec.Command("/bin/sh", "-c", `mount -t proc proc /proc && exec "$0" "$@"`, os.Args[0],
			"--port", "127.0.0.1:0", "--supervisor", supervisor, "--user", "root", "--log_level", "3", "--", "/bin/sh", "-c", `(sleep 0.01 <&- >&- 2>&- &) ; echo done; exit 7`)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Unshareflags: syscall.CLONE_NEWNS}
		r := startCmd(t, cmd, "command")
		addr := r.addr(0)
		const n = 40
		for range n {
			if got := mustRead(t, addr); got != "done\n" {
				t.Fatalf("%q", got)
			}
		}
		r.wait("exit=7", n)
		netservertest.Eventually(t, "no zombies", func() bool {
			return zombiesOf(t, r.pid()) == 0
		})
	}
}

// A process that package os has started is no orphan, before and after its
// end, and Wait has its status.
func TestOwnChildrenAreNoOrphans(t *testing.T) {
	var cmds []*exec.Cmd
	for range 20 {
		cmd := exec.Command("/bin/sh", "-c", "exit 3")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cmds = append(cmds, cmd)
	}
	netservertest.Eventually(t, "they have ended", func() bool { return zombiesOf(t, os.Getpid()) >= len(cmds) })
	for _, o := range childproc.Orphans() {
		for _, cmd := range cmds {
			if o.Pid == cmd.Process.Pid {
				t.Errorf("%+v", o)
			}
		}
	}
	for _, cmd := range cmds {
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 3 {
			t.Errorf("exit status %d", code)
		}
	}
}
