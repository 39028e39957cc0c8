//go:build !unix

package exec

import (
	"context"
	"fmt"
	"os"
)

// A process is the system's handle on a program besides its pid.
type process struct{ *os.Process }

// A parent starts programs.
type parent struct{}

func (*parent) do(f func()) { f() }
func (*parent) done()       {}

// startPipes runs cmd with files as its standard input, output and error.
func (h *Handler) startPipes(cmd *command, env []string, files [3]*os.File) (*program, error) {
	var proc *os.Process
	var err error
	h.threads.do(func() {
		proc, err = os.StartProcess(cmd.path, cmd.argv, &os.ProcAttr{Dir: cmd.dir, Env: env, Files: files[:]})
	})
	if err != nil {
		h.threads.done()
		return nil, fmt.Errorf("cannot start %s: %w", cmd.path, err)
	}
	p := &program{pid: proc.Pid, exited: make(chan struct{}), sys: process{proc}}
	go p.await(&h.threads)
	return p, nil
}

func (p *program) await(threads *parent) {
	state, err := p.sys.Wait()
	p.mu.Lock()
	p.reaped = true
	p.mu.Unlock()
	threads.done()
	p.exit.status = -1
	if err == nil {
		p.exit.status = state.ExitCode()
	}
	close(p.exited)
}

// terminate does nothing: the end of its input must suffice.
func (p *program) terminate() {}

// kill ends the program but not its children.
func (p *program) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		p.sys.Kill()
	}
}

func (p *program) groupAlive() bool { return false }

// wholeSocket returns nil: a program cannot get the client's socket here.
func (s *session) wholeSocket() stream { return nil }

func (s *session) serveSocket(context.Context, stream) error { panic("there is no whole socket") }

func (s *session) watch(stream) {}

func isReset(stream) bool { return false }
