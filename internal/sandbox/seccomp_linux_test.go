//go:build amd64 || arm64

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"netserver/internal/childproc"
)

// callVar names what a process does after RefuseCalls.
const callVar = "PROC_TEST_CALL"

// forbidden are what an intruder would do.
var forbidden = map[string]func() error{
	"run a program":        func() error { return exec.Command("/bin/true").Run() },
	"become a program":     func() error { return syscall.Exec("/bin/true", []string{"true"}, nil) },
	"become an open file":  func() error { return raw(unix.SYS_EXECVEAT, ^uintptr(0), 0, 0) },
	"fork":                 func() error { return raw(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0) },
	"new namespace thread": func() error { return raw(unix.SYS_CLONE, unix.CLONE_THREAD|unix.CLONE_NEWUSER, 0, 0) },
	"unshare":              func() error { return unix.Unshare(unix.CLONE_NEWUSER) },
	"setns":                func() error { return unix.Setns(-1, 0) },
	"trace":                func() error { return unix.PtraceAttach(os.Getppid()) },
	"read memory":          func() error { _, err := unix.ProcessVMReadv(os.Getppid(), nil, nil, 0); return err },
	"take a descriptor":    func() error { _, err := unix.PidfdGetfd(-1, 0, 0); return err },
	"open a process":       func() error { _, err := unix.PidfdOpen(os.Getppid(), 0); return err },
	"signal another":       func() error { return unix.Kill(os.Getppid(), 0) },
	"signal all":           func() error { return unix.Kill(-1, 0) },
	"signal its group":     func() error { return unix.Kill(0, 0) },
	"signal a thread":      func() error { return raw(unix.SYS_TGKILL, uintptr(os.Getppid()), uintptr(os.Getppid()), 0) },
	"limit another":        func() error { return unix.Prlimit(os.Getppid(), unix.RLIMIT_CORE, nil, new(unix.Rlimit)) },
	"mount":                func() error { return unix.Mount("none", "/nowhere", "tmpfs", 0, "") },
	"open a tree":          func() error { _, err := unix.OpenTree(-1, "", 0); return err },
	"load BPF":             func() error { return raw(unix.SYS_BPF, 0, 0, 0) },
	"measure":              func() error { return raw(unix.SYS_PERF_EVENT_OPEN, 0, 0, 0) },
	"keys":                 func() error { _, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false); return err },
	"add a key": func() error {
		_, err := unix.AddKey("user", "x", []byte("y"), unix.KEY_SPEC_PROCESS_KEYRING)
		return err
	},
	"load a module":  func() error { return unix.InitModule(nil, "") },
	"another kernel": func() error { return raw(unix.SYS_KEXEC_LOAD, 0, 0, 0) },
	"page faults":    func() error { return raw(unix.SYS_USERFAULTFD, 0, 0, 0) },
	"a ring":         func() error { return raw(unix.SYS_IO_URING_SETUP, 0, 0, 0) },
	"open by handle": func() error {
		return raw(unix.SYS_OPEN_BY_HANDLE_AT, ^uintptr(0), 0, 0)
	},
	"become another":  func() error { return raw(unix.SYS_SETUID, 0, 0, 0) },
	"capabilities":    func() error { return raw(unix.SYS_CAPSET, 0, 0, 0) },
	"type":            func() error { return raw(unix.SYS_IOCTL, 0, unix.TIOCSTI, 0) },
	"type, high half": func() error { return raw(unix.SYS_IOCTL, 0, unix.TIOCSTI|1<<32, 0) },
	"take a terminal": func() error { return raw(unix.SYS_IOCTL, 0, unix.TIOCSCTTY, 0) },
	"personality":     func() error { return raw(unix.SYS_PERSONALITY, 0x0040000, 0, 0) },
}

func raw(nr, a, b, c uintptr) error {
	if _, _, errno := unix.RawSyscall(nr, a, b, c); errno != 0 {
		return errno
	}
	return nil
}

func refusing(p *childproc.Part) int {
	if err := RefuseCalls(); err != nil {
		p.Link.Send([]byte(err.Error()))
		return 1
	}
	what := os.Getenv(callVar)
	if what == "serve" {
		err := servesOn()
		p.Link.Send(fmt.Append(nil, err))
		return 0
	}
	p.Link.Send([]byte("tries"))
	// On another thread than the one that set the filter.
	done := make(chan error)
	for range 4 {
		go func() {
			runtime.LockOSThread()
			done <- forbidden[what]()
		}()
	}
	p.Link.Send(fmt.Append(nil, "it came back: ", <-done))
	return 0
}

func TestAttackerMakesRefusedCalls(t *testing.T) {
	for what := range forbidden {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			got, why := refuse(t, what)
			if strings.Contains(got[0], "has no seccomp") {
				t.Skip(got[0])
			}
			if len(got) != 1 || got[0] != "tries" || why != "signal: bad system call" {
				t.Errorf("%q, ended by %q", got, why)
			}
		})
	}
}

// refuse runs a process under the filter and returns what it says and how it
// ended.
func refuse(t *testing.T, what string) (got []string, why string) {
	t.Helper()
	b, err := childproc.Self()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	c, err := childproc.Start{Binary: b, Role: "refuse", Args: os.Args[:1], Env: append(os.Environ(), callVar+"="+what), Stderr: os.Stderr}.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Link.Close()
	for {
		m, _, err := c.Link.Receive(1 << 16)
		if err != nil {
			return got, c.Wait()
		}
		got = append(got, string(m))
	}
}

func TestServingNeedsNoRefusedCall(t *testing.T) {
	got, why := refuse(t, "serve")
	if len(got) == 1 && strings.Contains(got[0], "has no seccomp") {
		t.Skip(got[0])
	}
	if len(got) != 1 || got[0] != "<nil>" || why != "" {
		t.Errorf("%q, ended by %q", got, why)
	}
}

// servesOn does what servers do.
func servesOn() error {
	for _, family := range []int{unix.AF_PACKET, unix.AF_ALG, unix.AF_VSOCK} {
		if _, err := unix.Socket(family, unix.SOCK_RAW, 0); !errors.Is(err, unix.EAFNOSUPPORT) {
			return fmt.Errorf("socket of family %d: %v", family, err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	served := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = c.Write([]byte("x"))
			c.Close()
		}
		served <- err
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Read(make([]byte, 1)); err != nil {
		return err
	}
	u, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "@" + fmt.Sprint(os.Getpid()), Net: "unixgram"})
	if err != nil {
		return err
	}
	u.Close()
	net.Interfaces() // netlink
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	net.DefaultResolver.LookupHost(ctx, "localhost")
	// The runtime's own signals, new threads and stacks.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	if err := unix.Kill(os.Getpid(), unix.SIGUSR1); err != nil {
		return err
	}
	<-signals
	threads := make(chan struct{})
	for range 20 {
		go func() {
			runtime.LockOSThread() // which ends with it
			runtime.GC()
			threads <- struct{}{}
		}()
	}
	for range 20 {
		<-threads
	}
	spin := make(chan struct{})
	go func() {
		for i := 0; i < 1<<28; i++ { // to be preempted
			_ = *(*int)(unsafe.Pointer(&i))
		}
		close(spin)
	}()
	runtime.GC()
	<-spin
	var lim unix.Rlimit
	return errors.Join(<-served, unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &lim), unix.Prlimit(os.Getpid(), unix.RLIMIT_NOFILE, nil, &lim))
}

// The program refuses calls of other kinds of processor, and each jump of it
// ends within it.
func TestFilterIsWhole(t *testing.T) {
	f := servingFilter(77)
	for i, in := range f {
		if in.Code&7 == unix.BPF_JMP && i+1+int(max(in.Jt, in.Jf)) >= len(f) {
			t.Errorf("instruction %d jumps out of the filter: %+v", i, in)
		}
	}
	if last := f[len(f)-1]; last.Code != unix.BPF_RET|unix.BPF_K || last.K != allow {
		t.Errorf("it ends with %+v", last)
	}
}
