package daemon_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"netserver/netservertest"
)

const hasNotAnswered = "has not responded for"

// A worker that SIGSTOP stopped is found, killed and replaced, of each type;
// so is one that only has a client left.
func TestHungWorkerIsReplaced(t *testing.T) {
	for _, args := range [][]string{
		{"Fork"}, {"Single"}, {"PreForkSimple", "--max_servers", "1"},
		{"PreFork", "--min_servers", "1", "--max_servers", "1", "--min_spare_servers", "0"},
	} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel() // it waits for that time, which has to be long for who is well on a busy machine
			r := start(t, append(args, "--port", "127.0.0.1:0", "--worker_timeout", "0.7")...)
			r.serving()
			old := r.only()
			stopProcess(t, old)
			r.wait(hasNotAnswered, 1)
			r.wait("signal: killed; starting a replacement", 1)
			c := mustDial(t, r.addr(0))
			c.mustAsk(t, "hello")
			leaving := r.only(old)
			r.signal(syscall.SIGHUP)
			r.wait("restart: ports and handler are the same", 1)
			netservertest.Eventually(t, "two workers", func() bool { return len(r.children()) == 2 })
			stopProcess(t, leaving)
			r.wait(hasNotAnswered, 2)
			if !strings.Contains(r.text(), "a signal stopped it") {
				t.Error("the reason is missing")
			}
			if _, err := c.r.ReadByte(); err == nil {
				t.Error("the client of a killed worker goes on")
			}
			c = mustDial(t, r.addr(0))
			c.mustAsk(t, "hello")
		})
	}
}

// A worker in place of another that hangs before it serves is killed too.
func TestWorkerThatHangsAtItsStart(t *testing.T) {
	t.Setenv("DAEMON_TEST_HANG", filepath.Join(openDir(t), "hang"))
	r := startProgram(t, os.Args[0], "library", "--worker_timeout", "0.3")
	r.wait("hook serving", 1)
	old := r.only()
	writeFile(t, os.Getenv("DAEMON_TEST_HANG"), "")
	syscall.Kill(old, syscall.SIGKILL)
	r.wait("hook hangs", 1)
	stopProcess(t, r.only(old))
	os.Remove(os.Getenv("DAEMON_TEST_HANG"))
	r.wait(hasNotAnswered, 1)
	r.wait("hook worker-start", 3)
}

// When everything is stopped and goes on, as at a suspend, nobody is killed.
// Another server's worker, which is killed meanwhile, tells the time.
func TestStopOfAllKillsNobody(t *testing.T) {
	const timeout = "0.4"
	r := start(t, "--port", "127.0.0.1:0", "--worker_timeout", timeout)
	clock := start(t, "--port", "127.0.0.1:0", "--worker_timeout", timeout)
	r.serving()
	clock.serving()
	worker, hand := r.only(), clock.only()
	for i := range 3 {
		// The worker first: what the supervisor notes before it is stopped
		// itself must not count for what comes after.
		syscall.Kill(worker, syscall.SIGSTOP) // and the other in the same moment
		stopProcess(t, r.pid())
		stopProcess(t, worker)
		stopProcess(t, hand)
		clock.wait(hasNotAnswered, i+1)
		syscall.Kill(r.pid(), syscall.SIGCONT)
		syscall.Kill(worker, syscall.SIGCONT)
		if err := once(r.addr(0)); err != nil {
			t.Error(err)
		}
		mustDial(t, clock.addr(0)).mustAsk(t, "it serves")
		hand = clock.only(hand)
	}
	stopProcess(t, hand)
	clock.wait(hasNotAnswered, 4)
	if strings.Contains(r.text(), hasNotAnswered) || r.only() != worker {
		t.Error("a healthy worker was killed")
	}
}

// A worker in a debugger is left alone.
func TestTracedWorkerIsLeftAlone(t *testing.T) {
	rooted(t)
	r := start(t, "--port", "127.0.0.1:0", "--worker_timeout", "0.7")
	r.serving()
	worker := r.only()
	traced := make(chan error)
	release := make(chan struct{})
	go func() {
		runtime.LockOSThread() // the thread is the tracer
		defer runtime.UnlockOSThread()
		err := unix.PtraceSeize(worker)
		if err == nil {
			err = unix.PtraceInterrupt(worker)
		}
		if err == nil { // until it has stopped it cannot be let go
			_, err = unix.Wait4(worker, nil, unix.WALL, nil)
		}
		traced <- err
		<-release
		if err := unix.PtraceDetach(worker); err != nil {
			t.Errorf("it cannot be let go: %v", err)
		}
		close(traced)
	}()
	if err := <-traced; err != nil {
		close(release)
		t.Skipf("a process cannot be traced here: %v", err)
	}
	syscall.Kill(worker, syscall.SIGSTOP) // its other threads
	r.wait("is tracing it, so it is left alone", 1)
	syscall.Kill(worker, syscall.SIGCONT) // before nobody traces it any more
	close(release)
	<-traced
	mustDial(t, r.addr(0)).mustAsk(t, "hello")
	if strings.Contains(r.text(), hasNotAnswered) {
		t.Error("it was killed")
	}
}

// The service manager's watchdog does not hear of a server none of whose
// workers answers.
func TestWatchdogNeedsAWorker(t *testing.T) {
	m := startManager(t)
	r := start(t, "--port", "127.0.0.1:0", "--worker_timeout", "30")
	r.serving()
	m.stillAlive()
	worker := r.only()
	stopProcess(t, worker)
	r.wait("no worker responds; no longer notifying the service manager's watchdog", 1)
	n := m.signs()
	r.signal(syscall.SIGUSR2) // a look at the supervisor, which is well
	r.wait("state: worker 1", 1)
	if m.signs() > n {
		t.Error("the watchdog was told that all is well")
	}
	syscall.Kill(worker, syscall.SIGCONT)
	m.stillAlive()
}
