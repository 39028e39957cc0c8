package program

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Limits are set from outside, while the kernel holds the program before its
// first instruction: it traces the program for that long. Package syscall
// has nothing to set them between fork and exec, and a program of our own that
// sets them and executes the other took 2.3 ms of processor time, against
// less than 0.1 ms.

// begin sets the limits of a program that was started with Ptrace, and lets it
// run. It is called on the thread that has started it. If it fails, the program
// has ended without having run.
func (cmd *Command) begin(pid int) error {
	err := awaitExec(pid)
	if err == errEnded {
		return err
	}
	if err == nil {
		err = cmd.limit(pid)
	}
	if err == nil {
		if err = unix.PtraceDetach(pid); err != nil {
			err = os.NewSyscallError("ptrace", err)
		}
	}
	if err != nil {
		discard(pid)
	}
	return err
}

// errEnded says that the program has ended, and was reaped, before it began.
var errEnded = errors.New("it was ended before it began")

// discard ends and reaps a program that is held.
func discard(pid int) {
	syscall.Kill(pid, syscall.SIGKILL)
	var ws syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(pid, &ws, 0, nil); err == nil && !ws.Stopped() || err != nil && err != syscall.EINTR {
			return
		}
	}
}

// awaitExec waits until the kernel holds the program.
func awaitExec(pid int) error {
	for {
		var ws syscall.WaitStatus
		switch _, err := syscall.Wait4(pid, &ws, syscall.WALL, nil); {
		case err == syscall.EINTR:
		case err != nil:
			return os.NewSyscallError("wait4", err)
		case !ws.Stopped():
			return errEnded
		case ws.StopSignal() == syscall.SIGTRAP:
			return nil
		default: // sent by somebody
			if err := unix.PtraceCont(pid, int(ws.StopSignal())); err != nil {
				return os.NewSyscallError("ptrace", err)
			}
		}
	}
}

// limit sets the limits of a process that is held.
func (cmd *Command) limit(pid int) error {
	return errors.Join(cmd.setLimits(pid), cmd.setNice(pid))
}

func (cmd *Command) setNice(pid int) error {
	if cmd.Limits.Nice == 0 {
		return nil
	}
	own, err := unix.Getpriority(unix.PRIO_PROCESS, pid)
	if err == nil { // the system call's result is 20 minus the number
		err = unix.Setpriority(unix.PRIO_PROCESS, pid, min(20-own+cmd.Limits.Nice, 19))
	}
	if err != nil {
		return fmt.Errorf("priority (of another user's program it needs CAP_SYS_NICE): %w", os.NewSyscallError("setpriority", err))
	}
	return nil
}

// limited completes how a program is started.
func (cmd *Command) limited(attr *syscall.SysProcAttr) {
	attr.Ptrace = cmd.held()
	cmd.own(attr)
	cmd.identify(attr)
}

// withUmask runs f with the umask of cmd. The thread has one of its own from
// then on, and so must not run anything else.
func (cmd *Command) withUmask(t *thread, f func() error) error {
	if cmd.Umask == nil {
		return f()
	}
	if !t.private {
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return fmt.Errorf("a umask of programs alone needs the system call unshare, which a container or a unit's SystemCallFilter can forbid: %w", err)
		}
		t.private = true
	}
	defer unix.Umask(unix.Umask(*cmd.Umask))
	return f()
}

// noProgram cannot be started: all that comes before the program is tried.
const noProgram = os.DevNull + "/none"

// Probe returns why the system cannot start cmd as it says. It starts the
// program and ends it before its first instruction. What servers that were
// killed have left of its control groups it ends.
func (s *Starter) Probe(cmd *Command) error {
	if !cmd.held() && cmd.Umask == nil && cmd.User == nil && cmd.Cgroup.Parent == "" {
		return nil
	}
	if err := cmd.Cgroup.check(); err != nil {
		return err
	}
	if cmd.Cgroup.Parent != "" {
		cmd.Cgroup.sweep()
	}
	g, err := cmd.Cgroup.make()
	if err != nil {
		return err
	}
	defer g.remove()
	defer g.started()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	attr := &syscall.ProcAttr{Dir: cmd.Dir, Files: []uintptr{null.Fd(), null.Fd(), null.Fd()},
		Sys: &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}}
	cmd.limited(attr.Sys)
	attr.Sys.Ptrace, attr.Sys.Setctty = true, false
	g.join(attr.Sys)
	defer s.threads.done()
	var refused error // by the start itself
	s.threads.do(func(t *thread) {
		var pid int
		err = cmd.withUmask(t, func() error {
			pid, _, refused = syscall.StartProcess(cmd.Path, cmd.Argv, attr)
			if refused == syscall.EPERM && !cmd.held() { // perhaps ptrace, which only the probe needs
				attr.Sys.Ptrace = false
				_, _, refused = syscall.StartProcess(noProgram, cmd.Argv, attr)
			}
			return refused
		})
		if refused == syscall.ENOTDIR && !attr.Sys.Ptrace {
			refused, err = nil, nil
			return
		}
		if err != nil {
			return
		}
		if err = awaitExec(pid); err == errEnded {
			return
		}
		if err == nil {
			err = cmd.limit(pid)
		}
		discard(pid)
	})
	if refused != nil {
		return cmd.refusal(refused)
	}
	return err
}

// refusal says what is missing if a start is refused to this process.
func (cmd *Command) refusal(err error) error {
	switch {
	case cmd.Cgroup.Parent != "" && (err == syscall.EACCES && cmd.User == nil || err == syscall.ENOENT && cmd.explain(err) == err):
		return fmt.Errorf("control group: this process may not start one in %s: it needs to write to cgroup.procs there and in the next directory above both it and its own group: %w", cmd.Cgroup.Parent, err)
	case err == syscall.EPERM && cmd.User != nil:
		return fmt.Errorf("to start it as user %d needs CAP_SETUID and CAP_SETGID, and with limits ptrace, which a container, a unit's SystemCallFilter or kernel.yama.ptrace_scope can forbid: %w", cmd.User.UID, err)
	case err == syscall.EPERM:
		return fmt.Errorf("limits are set while the program is held by ptrace, which a container, a unit's SystemCallFilter or kernel.yama.ptrace_scope can forbid: %w", err)
	}
	return cmd.explain(err)
}
