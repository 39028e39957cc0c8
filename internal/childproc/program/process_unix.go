//go:build unix && !linux

package program

import "syscall"

// A process is the system's handle on a program besides its pid.
type process struct{}

// attr requests a session, and with it a process group and no controlling
// terminal.
func (*process) attr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

func (*process) close() {}

// reap waits for the program's end and collects its status. A signal sent at
// that very moment could in principle reach a new process with the same pid.
func (p *Program) reap(ru *syscall.Rusage) (syscall.WaitStatus, error) {
	ws, err := p.wait4(ru)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reaped = true
	return ws, err
}

// A parent starts programs.
type parent struct{}

// A thread is one that starts programs.
type thread struct{}

func (*parent) do(f func(*thread)) { f(nil) }
func (*parent) done()              {}
