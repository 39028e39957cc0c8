package peers

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"netserver/bench/honest"
	"netserver/bench/loopback"
)

const (
	readyWait = 15 * time.Second // for a server to answer its first client
	endWait   = 3 * time.Second  // for it to end when it is asked to
)

// A Usage is what a process and all below it have used.
type Usage struct {
	CPU          time.Duration // user and system
	Memory, Peak int64         // sums of resident bytes, now and at most; pages that processes share count for each
	Processes    int
}

// A Process is a running server.
type Process struct {
	Addr   netip.AddrPort
	Took   time.Duration // from its start until it had answered its first client
	cmd    *exec.Cmd
	stderr tail
	ended  chan struct{} // closed when it has ended
	err    error
}

// Start starts a server that listens on port and waits until it has answered
// a client, over TLS if secure. The caller must Stop it.
func Start(ctx context.Context, cmd *exec.Cmd, port uint16, secure bool) (*Process, error) {
	return start(ctx, cmd, port, func(ctx context.Context, p *Process) error {
		return honest.Once(ctx, netip.Addr{}, p.Addr, secure)
	})
}

// StartTried is Start with a client of the caller's, which try is: it is called
// until it returns no error.
func StartTried(ctx context.Context, cmd *exec.Cmd, port uint16, try func(context.Context) error) (*Process, error) {
	return start(ctx, cmd, port, func(ctx context.Context, _ *Process) error { return try(ctx) })
}

// StartUnchecked is Start for a server that answers no client: it waits until
// one can connect.
func StartUnchecked(ctx context.Context, cmd *exec.Cmd, port uint16) (*Process, error) {
	return start(ctx, cmd, port, func(ctx context.Context, p *Process) error {
		c, err := loopback.Dial(ctx, netip.Addr{}, p.Addr, time.Second)
		if err == nil {
			c.Close()
		}
		return err
	})
}

// start starts a server and waits until try succeeds.
func start(ctx context.Context, cmd *exec.Cmd, port uint16, try func(context.Context, *Process) error) (*Process, error) {
	p := &Process{
		Addr:  netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port),
		cmd:   cmd,
		ended: make(chan struct{}),
	}
	cmd.Stderr = &p.stderr
	endWithUs(cmd)
	cmd.WaitDelay = endWait
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go p.wait()
	if err := p.ready(ctx, try); err != nil {
		p.Stop()
		return nil, fmt.Errorf("%w%s", err, p.stderr.said())
	}
	p.Took = time.Since(begin)
	return p, nil
}

func (p *Process) wait() {
	p.err = p.cmd.Wait()
	close(p.ended)
}

func (p *Process) ready(ctx context.Context, try func(context.Context, *Process) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	for {
		one, stop := context.WithTimeout(ctx, 2*time.Second)
		err := try(one, p)
		stop()
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("it ended before it served: %v", p.err)
		case <-ctx.Done():
			return fmt.Errorf("it served no client: %w", err)
		case <-time.After(time.Millisecond): // Took is not exact to less than that
		}
	}
}

// Usage returns what the process and all below it have used so far.
func (p *Process) Usage() (Usage, error) {
	select {
	case <-p.ended:
		return Usage{}, fmt.Errorf("the server has ended: %v%s", p.err, p.stderr.said())
	default:
		return usage(p.cmd.Process.Pid)
	}
}

// Share returns the bytes of memory that the process and all below it use now:
// of pages that processes share, each one's share.
func (p *Process) Share() (int64, error) {
	all, err := tree(p.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, st := range all {
		sum += share(st.pid)
	}
	return sum, nil
}

// Descriptors returns how many files the process and all below it have open.
func (p *Process) Descriptors() (int, error) {
	all, err := tree(p.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, st := range all {
		sum += descriptors(st.pid)
	}
	return sum, nil
}

// PID returns the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the process and all below it without asking, and waits until it has
// ended. Stop must be called all the same.
func (p *Process) Kill() {
	below, _ := tree(p.cmd.Process.Pid)
	p.cmd.Process.Kill()
	kill(same(below))
	<-p.ended
}

// Stop ends the process and all below it: those it has started are known by
// their ids and start times, so that nobody else's process is met.
func (p *Process) Stop() {
	below, err := tree(p.cmd.Process.Pid)
	if err == nil && len(below) > 0 {
		below = below[1:]
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(endWait):
		p.cmd.Process.Kill()
		<-p.ended
	}
	for deadline := time.Now().Add(time.Second); ; time.Sleep(10 * time.Millisecond) {
		pids := same(below)
		if len(pids) == 0 {
			return
		}
		if time.Now().After(deadline) {
			kill(pids)
			return
		}
	}
}

func kill(pids []int) {
	for _, pid := range pids {
		if proc, err := os.FindProcess(pid); err == nil {
			proc.Kill()
		}
	}
}

// A tail keeps the last of what a process said.
type tail struct {
	mu sync.Mutex
	b  []byte
}

var _ io.Writer = (*tail)(nil)

// Write keeps b and forgets what is too old.
func (t *tail) Write(b []byte) (int, error) {
	const most = 2048
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	if over := len(t.b) - most; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(b), nil
}

// said returns it for the end of an error.
func (t *tail) said() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := strings.TrimSpace(string(t.b))
	if s == "" {
		return ""
	}
	return "; it said: " + s
}
