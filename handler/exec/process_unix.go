//go:build unix && !linux

package exec

import "syscall"

// A process is what the system knows of a program beside its number.
type process struct{}

// attr asks for a session, and with it a process group and no controlling
// terminal.
func (*process) attr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// reap waits for the program's end and takes its status. A signal that is sent
// at that very moment could in principle reach a new process of that number.
func (p *program) reap() (syscall.WaitStatus, error) {
	ws, err := p.wait4()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reaped = true
	return ws, err
}

// A parent starts programs.
type parent struct{}

func (*parent) do(f func()) { f() }
func (*parent) done()       {}
