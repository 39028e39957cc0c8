//go:build unix

package exec

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"netserver/internal/childproc"
)

// start runs cmd with files as descriptors 0 to 2. They must be in blocking
// mode, which programs expect; the caller still owns them.
func (h *Handler) start(cmd *command, env []string, files [3]uintptr) (*program, error) {
	p := &program{exited: make(chan struct{})}
	attr := &syscall.ProcAttr{Dir: cmd.dir, Env: env, Files: files[:], Sys: p.sys.attr()}
	var err error
	h.threads.do(func() {
		p.pid, _, err = syscall.StartProcess(cmd.path, cmd.argv, attr)
	})
	if err != nil {
		h.threads.done()
		return nil, fmt.Errorf("cannot start %s: %w", cmd.path, cmd.explain(err))
	}
	go p.await(&h.threads)
	return p, nil
}

// explain says what is missing if it is not the program itself.
func (cmd *command) explain(err error) error {
	switch err {
	case syscall.ENOENT:
	case syscall.ENOEXEC:
		return fmt.Errorf("neither a program for this system nor a script that begins with #!: %w", err)
	default:
		return err
	}
	if _, serr := os.Stat(cmd.dir); cmd.dir != "" && serr != nil {
		return fmt.Errorf("its working directory %s: %w", cmd.dir, err)
	}
	f, ferr := os.Open(cmd.path)
	if ferr != nil {
		return err
	}
	defer f.Close()
	switch name, script := childproc.InterpreterOf(f); {
	case script:
		return fmt.Errorf("the interpreter %s that its first line names: %w", name, err)
	case name != "":
		return fmt.Errorf("%s, which loads its shared libraries: %w", name, err)
	}
	return err
}

// startPipes runs cmd with the ends of pipes, or whatever files, as its
// descriptors.
func (h *Handler) startPipes(cmd *command, env []string, files [3]*os.File) (*program, error) {
	var fds [3]uintptr
	for i, f := range files {
		fds[i] = f.Fd() // which makes it blocking
	}
	return h.start(cmd, env, fds)
}

// await reaps the program.
func (p *program) await(threads *parent) {
	ws, err := p.reap()
	threads.done()
	switch {
	case err != nil: // another part of this process collected the status
		p.exit.status = -1
	case ws.Signaled():
		p.exit = exit{status: -1, signal: unix.SignalName(ws.Signal())}
	default:
		p.exit.status = ws.ExitStatus()
	}
	close(p.exited)
}

// wait4 waits for the program and collects its status.
func (p *program) wait4() (ws syscall.WaitStatus, err error) {
	for {
		if _, err = syscall.Wait4(p.pid, &ws, 0, nil); err != syscall.EINTR {
			return ws, err
		}
	}
}

// terminate sends TERM to the program and its group. CONT lets stopped
// processes obey.
func (p *program) terminate() {
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGCONT)
}

func (p *program) kill() { p.signal(syscall.SIGKILL) }

// signal reaches the group, and the program if it has moved to another. After
// the program is reaped, the group must just have been seen alive: a pid is
// not reused while a group has it, and takes far longer than groupProbe to
// come round again.
func (p *program) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	syscall.Kill(-p.pid, sig)
	if !p.reaped {
		syscall.Kill(p.pid, sig)
	}
}

// groupAlive reports whether a process of the reaped program's group is left.
// If we are init, as in a container, it reaps those of the group first.
func (p *program) groupAlive() bool {
	for {
		pid, err := syscall.Wait4(-p.pid, nil, syscall.WNOHANG, nil)
		if err != syscall.EINTR && pid <= 0 {
			return syscall.Kill(-p.pid, 0) != syscall.ESRCH
		}
	}
}
