package program

import (
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A process is Linux's handle on a program besides its pid.
type process struct {
	pidfd int      // -1 if the kernel has none
	file  *os.File // the same; nil until it is polled
}

// attr requests a session, and with it a process group and no controlling
// terminal, KILL when the server dies, and a descriptor that becomes readable
// when the program ends.
func (s *process) attr() *syscall.SysProcAttr {
	s.pidfd = -1
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, PidFD: &s.pidfd}
}

// close forgets a program that has ended before anybody waits for it.
func (s *process) close() {
	if s.pidfd >= 0 {
		unix.Close(s.pidfd)
	}
}

// reap waits for the program's end and collects its status. Until then the pid
// is not reused, so no signal can reach another process.
func (p *Program) reap(ru *syscall.Rusage) (syscall.WaitStatus, error) {
	if p.sys.pidfd < 0 || !p.sys.poll() {
		var info unix.Siginfo
		for unix.Waitid(unix.P_PID, p.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reaped = true
	if f := p.sys.file; f != nil {
		// Last of all, since it marks the program as ours to wait for.
		defer f.Close()
	}
	return p.wait4(ru)
}

// poll waits for the program's end without a thread: a thousand programs would
// need a thousand.
func (s *process) poll() bool {
	unix.FcntlInt(uintptr(s.pidfd), unix.F_SETFL, unix.O_NONBLOCK)
	s.file = os.NewFile(uintptr(s.pidfd), "pidfd")
	rc, err := s.file.SyscallConn()
	if err != nil {
		return false
	}
	ended := false
	rc.Read(func(fd uintptr) bool {
		var info unix.Siginfo
		for {
			err = unix.Waitid(unix.P_PIDFD, int(fd), &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
			if err != unix.EINTR {
				break
			}
		}
		ended = err == nil && info.Signo != 0
		return ended || err != nil && err != unix.EAGAIN
	})
	return ended
}

// maxThreads bounds the threads of a parent. A thread that starts a program
// sleeps until the program's file is loaded. With one thread, and other work on
// the processors, clients waited for each other's programs.
const maxThreads = 4

// A parent starts programs from operating system threads that live as long as
// they do. On Linux, the death of the parent thread kills a program, and a
// goroutine's thread ends with any goroutine locked to it.
type parent struct {
	mu       sync.Mutex
	programs int
	threads  int
	starting int
	work     chan func(*thread) // nil while there are no programs
}

// A thread is one that starts programs.
type thread struct {
	private bool // its umask and working directory are its own
}

// do runs f on one of the threads. done must follow once the program was
// reaped, or if f started none.
func (p *parent) do(f func(*thread)) {
	p.mu.Lock()
	p.programs++
	if p.work == nil {
		p.work = make(chan func(*thread))
	}
	if p.starting++; p.starting > p.threads && p.threads < maxThreads {
		p.threads++
		go runLocked(p.work)
	}
	work := p.work
	p.mu.Unlock()
	ran := make(chan struct{})
	work <- func(t *thread) { f(t); close(ran) }
	<-ran
	p.mu.Lock()
	p.starting--
	p.mu.Unlock()
}

func (p *parent) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.programs--; p.programs == 0 {
		close(p.work)
		p.work, p.threads = nil, 0
	}
}

func runLocked(work <-chan func(*thread)) {
	runtime.LockOSThread()
	var t thread
	for f := range work {
		f(&t)
	}
	if !t.private {
		runtime.UnlockOSThread() // otherwise the thread ends
	}
}
