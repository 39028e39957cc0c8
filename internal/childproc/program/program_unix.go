//go:build unix

package program

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"netserver/internal/childproc"
)

// StartFDs runs cmd with files as descriptors 0 to 2. They must be in blocking
// mode, which programs expect; the caller still owns them.
func (s *Starter) StartFDs(cmd *Command, env []string, files [3]uintptr) (*Program, error) {
	p := &Program{Exited: make(chan struct{})}
	attr := &syscall.ProcAttr{Dir: cmd.Dir, Env: env, Files: files[:], Sys: p.sys.attr()}
	cmd.limited(attr.Sys)
	var err error
	if p.group, err = cmd.Cgroup.make(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", cmd.Path, err)
	}
	p.group.join(attr.Sys)
	s.threads.do(func(t *thread) {
		err = cmd.withUmask(t, func() (err error) {
			p.Pid, _, err = syscall.StartProcess(cmd.Path, cmd.Argv, attr)
			return err
		})
		if err == nil && cmd.held() {
			if err = cmd.begin(p.Pid); err != nil {
				p.sys.close()
			}
		}
	})
	p.group.started()
	if err != nil {
		s.threads.done()
		p.group.remove()
		return nil, fmt.Errorf("cannot start %s: %w", cmd.Path, cmd.explain(err))
	}
	s.tally.started.Add(1)
	go p.await(s)
	return p, nil
}

// identify has the program run as its user.
func (cmd *Command) identify(attr *syscall.SysProcAttr) {
	u := cmd.User
	if u == nil {
		return
	}
	attr.Credential = &syscall.Credential{Uid: uint32(u.UID), Gid: uint32(u.GID)}
	for _, g := range u.Groups {
		attr.Credential.Groups = append(attr.Credential.Groups, uint32(g))
	}
}

// explain says what is missing if it is not the program itself.
func (cmd *Command) explain(err error) error {
	switch err {
	case syscall.ENOENT:
	case syscall.EACCES:
		return cmd.explainAccess(err)
	case syscall.ENOEXEC:
		return fmt.Errorf("neither a program for this system nor a script that begins with #!: %w", err)
	default:
		return err
	}
	if _, serr := os.Stat(cmd.Dir); cmd.Dir != "" && serr != nil {
		return fmt.Errorf("its working directory %s: %w", cmd.Dir, err)
	}
	f, ferr := os.Open(cmd.Path)
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

// explainAccess says who may not do what: the system tells neither.
func (cmd *Command) explainAccess(err error) error {
	switch {
	case cmd.User != nil && cmd.Dir != "":
		return fmt.Errorf("user %d may not execute it, or not enter its working directory %s: %w", cmd.User.UID, cmd.Dir, err)
	case cmd.User != nil:
		return fmt.Errorf("user %d may not execute it, or not enter a directory above it: %w", cmd.User.UID, err)
	case cmd.Dir != "" && unix.Access(cmd.Dir, unix.X_OK) != nil:
		return fmt.Errorf("its working directory %s: %w", cmd.Dir, err)
	}
	return err
}

// Start runs cmd with the ends of pipes, or whatever files, as its
// descriptors.
func (s *Starter) Start(cmd *Command, env []string, files [3]*os.File) (*Program, error) {
	var fds [3]uintptr
	for i, f := range files {
		fds[i] = f.Fd() // which makes it blocking
	}
	return s.StartFDs(cmd, env, fds)
}

// await reaps the program.
func (p *Program) await(s *Starter) {
	var ru syscall.Rusage
	ws, err := p.reap(&ru)
	s.threads.done()
	if err == nil {
		p.Usage = usageOf(&ru)
	}
	switch {
	case err != nil: // another part of this process collected the status
		p.Exit.Status = -1
	case ws.Signaled():
		p.Exit = Exit{Status: -1, Signal: unix.SignalName(ws.Signal())}
	default:
		p.Exit.Status = ws.ExitStatus()
	}
	empty := p.group.empty()
	if !empty {
		p.group.kill() // what the program has left
	}
	s.tally.ended(p.Exit)
	close(p.Exited)
	p.tell()
	if !empty {
		p.group.remove()
	}
}

// usageOf translates what the system reports. A program begins as a copy of the
// server, whose memory Linux counts as the program's: a maximum that is not
// above the server's own tells nothing.
func usageOf(ru *syscall.Rusage) Usage {
	u := Usage{User: time.Duration(ru.Utime.Nano()), System: time.Duration(ru.Stime.Nano())}
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err == nil && ru.Maxrss > own.Maxrss {
		u.MaxRSS = int64(ru.Maxrss)
		if runtime.GOOS != "darwin" {
			u.MaxRSS <<= 10
		}
	}
	return u
}

// wait4 waits for the program and collects its status and what it has used.
func (p *Program) wait4(ru *syscall.Rusage) (ws syscall.WaitStatus, err error) {
	for {
		if _, err = syscall.Wait4(p.Pid, &ws, 0, ru); err != syscall.EINTR {
			return ws, err
		}
	}
}

// terminate sends TERM to the program and its group. CONT lets stopped
// processes obey.
func (p *Program) terminate() {
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGCONT)
}

func (p *Program) kill() {
	p.signal(syscall.SIGKILL)
	p.group.kill()
}

// signal reaches the group, and the program if it has moved to another. After
// the program is reaped, the group must just have been seen alive: a pid is
// not reused while a group has it, and takes far longer than groupProbe to
// come round again.
func (p *Program) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	syscall.Kill(-p.Pid, sig)
	if !p.reaped {
		syscall.Kill(p.Pid, sig)
	}
}

// groupAlive reports whether a process of the reaped program's group is left.
// If we are init, as in a container, it reaps those of the group first.
func (p *Program) groupAlive() bool {
	for {
		pid, err := syscall.Wait4(-p.Pid, nil, syscall.WNOHANG, nil)
		if err != syscall.EINTR && pid <= 0 {
			return syscall.Kill(-p.Pid, 0) != syscall.ESRCH
		}
	}
}
