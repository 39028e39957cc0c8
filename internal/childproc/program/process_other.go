//go:build !unix

package program

import (
	"errors"
	"fmt"
	"os"
)

// A process is the system's handle on a program besides its pid.
type process struct{ *os.Process }

// A parent starts programs.
type parent struct{}

// A thread is one that starts programs.
type thread struct{}

func (*parent) do(f func(*thread)) { f(nil) }
func (*parent) done()              {}

// Start runs cmd with files as its standard input, output and error.
func (s *Starter) Start(cmd *Command, env []string, files [3]*os.File) (*Program, error) {
	var proc *os.Process
	var err error
	s.threads.do(func(*thread) {
		proc, err = os.StartProcess(cmd.Path, cmd.Argv, &os.ProcAttr{Dir: cmd.Dir, Env: env, Files: files[:]})
	})
	if err != nil {
		s.threads.done()
		return nil, fmt.Errorf("cannot start %s: %w", cmd.Path, err)
	}
	p := &Program{Pid: proc.Pid, Exited: make(chan struct{}), sys: process{proc}}
	s.tally.started.Add(1)
	go p.await(s)
	return p, nil
}

func (p *Program) await(s *Starter) {
	state, err := p.sys.Wait()
	p.mu.Lock()
	p.reaped = true
	p.mu.Unlock()
	s.threads.done()
	p.Exit.Status = -1
	if err == nil {
		p.Exit.Status = state.ExitCode()
		p.Usage = Usage{User: state.UserTime(), System: state.SystemTime()}
	}
	s.tally.ended(p.Exit)
	close(p.Exited)
	p.tell()
}

// terminate does nothing: the end of its input must suffice.
func (p *Program) terminate() {}

// kill ends the program but not its children.
func (p *Program) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		p.sys.Kill()
	}
}

func (p *Program) groupAlive() bool { return false }

// Probe returns why the system cannot start cmd as it says.
func (s *Starter) Probe(cmd *Command) error {
	if cmd.held() || cmd.Umask != nil || cmd.User != nil || cmd.Cgroup.Parent != "" {
		return fmt.Errorf("limits and users of programs need another system: %w", errors.ErrUnsupported)
	}
	return nil
}
