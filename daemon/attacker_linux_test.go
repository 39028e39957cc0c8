package daemon_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"netserver"
	"netserver/daemon"
	"netserver/internal/sandbox"
	"netserver/port"

	"golang.org/x/sys/unix"
)

// attacker is a program that is run for a client, as a job or for a password,
// and tries what a hostile one would. It prints a line for each thing that it
// can do, and "done".
func attacker(args []string) int {
	for _, what := range args {
		switch what {
		case "terminal":
			attackTerminal()
		case "descriptors":
			attackDescriptors()
		case "parents":
			attackParents()
		case "environment":
			for _, kv := range os.Environ() {
				fmt.Println("env", kv)
			}
			var lim unix.Rlimit
			unix.Getrlimit(unix.RLIMIT_NOFILE, &lim)
			// Package syscall has raised it to one below the hard limit.
			fmt.Println("nofile", lim.Cur, lim.Max)
		}
	}
	fmt.Println("done")
	return 0
}

// hostile is a program of a library's user whose handler does what its client
// says, as one does that somebody has broken into.
func hostile() int {
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
		for {
			line, err := c.ReadLine()
			if err != nil {
				return err
			}
			fmt.Fprintln(c, string(line), did(string(line)))
		}
	})}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: "tcp", IPv: "4"}}
	err := daemon.Run(context.Background(), s, daemon.Config{}, daemon.Hooks{}, daemon.Layers(os.Args[1:], os.Environ())...)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	return 0
}

func did(what string) error {
	switch what {
	case "run":
		return exec.Command("/bin/true").Run()
	case "trace":
		return unix.PtraceAttach(os.Getppid())
	}
	return errors.New("what?")
}

// fenced tries what an intruder in an echo's worker would, and prints what
// Landlock lets it do.
func fenced(args []string) int {
	dir, abstract := args[0], args[1]
	level, err := sandbox.Restrict(sandbox.Sandbox{Read: []string{dir}})
	if err != nil {
		fmt.Println(err)
		return 0
	}
	fmt.Println(level)
	can := func(what string, err error) {
		if err == nil {
			fmt.Println("can", what)
		}
	}
	for _, name := range []string{filepath.Join(dir, "named"), "/etc/passwd", "/etc/hosts", os.Args[0]} {
		_, err := os.ReadFile(name)
		can("read "+name, err)
	}
	_, err = os.ReadDir("/etc")
	can("list /etc", err)
	can("write", os.WriteFile(filepath.Join(dir, "new"), nil, 0o600))
	can("write over", os.WriteFile(filepath.Join(dir, "named"), nil, 0o600))
	can("truncate", os.Truncate(filepath.Join(dir, "named"), 0))
	can("remove", os.Remove(filepath.Join(dir, "named")))
	can("run", exec.Command("/bin/true").Run())
	can("run what it may read", exec.Command(filepath.Join(dir, "program")).Run())
	for _, name := range []string{"/dev/tty", "/dev/ptmx", "/dev/console"} {
		_, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
		can("open "+name, err)
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	_, err = lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	can("open a port", err)
	_, err = net.Dial("unix", abstract)
	can("reach another's abstract socket", err)
	can("signal its parent", unix.Kill(os.Getppid(), 0))
	for range 100 {
		// The runtime signals its threads.
		go func() { runtime.LockOSThread() }()
		runtime.GC()
	}
	fmt.Println("done")
	return 0
}

// attackTerminal types into the terminal from which the server was started.
func attackTerminal() {
	if f, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0); err == nil {
		fmt.Println("can open /dev/tty")
		f.Close()
	}
	typed := byte('x')
	push := func(how string, fd int) {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCSTI, uintptr(unsafe.Pointer(&typed))); errno == 0 {
			fmt.Println("can type into", fd, how)
		}
	}
	for fd := range 10 {
		push("as it is", fd)
		unix.IoctlSetInt(fd, unix.TIOCSCTTY, 0)
		push("once it is its own", fd)
	}
}

// attackDescriptors reads what was left open.
func attackDescriptors() {
	// The Go program has descriptors of its own: they close at an exec, which
	// inherited ones did not.
	for fd := 3; fd < 64; fd++ {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			name, _ := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
			fmt.Println("has descriptor", fd, name)
		}
	}
}

// attackParents takes what the processes of the server have, those that run as
// the same user.
func attackParents() {
	for pid := os.Getppid(); owner(pid) == os.Geteuid(); pid = parentOf(pid) {
		attackProcess(pid)
	}
}

func attackProcess(pid int) {
	fmt.Println("tried", pid)
	can := func(what string, err error) {
		if err == nil {
			fmt.Println("can", what, "of", pid)
		}
	}
	_, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	can("list descriptors", err)
	for fd := range 32 {
		f, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/%d", pid, fd), os.O_RDWR, 0)
		can("open descriptor "+strconv.Itoa(fd), err)
		f.Close()
	}
	_, err = os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	can("read the environment", err)
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	can("open memory", err)
	f.Close()
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		for fd := range 32 {
			_, err := unix.PidfdGetfd(pidfd, fd, 0)
			can("take descriptor "+strconv.Itoa(fd), err)
		}
	}
	b := make([]byte, 8)
	_, err = unix.ProcessVMReadv(pid, []unix.Iovec{{Base: &b[0], Len: 8}}, []unix.RemoteIovec{{Base: 0x400000, Len: 8}}, 0)
	can("read memory", err)
	runtime.LockOSThread()
	if err = unix.PtraceAttach(pid); err == nil {
		unix.Wait4(pid, nil, unix.WALL, nil)
		unix.PtraceDetach(pid)
	}
	can("trace the threads", err)
	runtime.UnlockOSThread()
}

func parentOf(pid int) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	var state string
	var parent int
	fmt.Sscan(string(b[bytes.LastIndexByte(b, ')')+1:]), &state, &parent)
	return parent
}

func owner(pid int) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(b), "\nUid:")
	uid := -1
	fmt.Fscan(io.LimitReader(strings.NewReader(rest), 100), &uid)
	return uid
}
