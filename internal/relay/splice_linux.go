package relay

import (
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"netserver/internal/deadline"
)

// pipeSize is how much a pipe between two sockets may hold, and the most that
// one splice moves. A user who is not root may have 64 such pipes; further ones
// have what a pipe has by default, and then next to nothing (pipe(7)).
// With less than minPipe copying by hand is faster.
const (
	pipeSize = 1 << 20
	minPipe  = 64 << 10
)

// splice lets the kernel move bytes from src to dst until src ends. It returns
// errNoSplice, with nothing lost, if the kernel will not or no pipe is to be
// had.
//
// Package net has splice too, but it holds its pipe, two descriptors, while
// src is silent, loses what is in the pipe when a deadline of dst passes, and
// tells of no progress.
func splice(src *Source, dst *Sink) (total int64, err error) {
	s := &splicer{src: src, dst: dst}
	fill, drain := s.fillFrom, s.drainTo
	defer s.release()
	for {
		if err := s.in(fill); err != nil {
			return total, err
		}
		if s.held == 0 {
			src.failure(io.EOF) // a client notes it
			return total, nil
		}
		n := s.held
		err := s.out(drain)
		total += int64(n - s.held)
		if err != nil {
			return total, err
		}
	}
}

// A splicer is one splice under way.
type splicer struct {
	src  *Source
	dst  *Sink
	pipe *pipe // nil while src is silent
	held int   // bytes in it
	err  error // what fillFrom or drainTo met
}

// in waits for src and moves bytes into the pipe: none at its end.
func (s *splicer) in(fill func(uintptr) bool) error {
	for {
		s.src.arm()
		s.err = nil
		s.src.waits()
		err := s.src.rc.Read(fill)
		s.src.came()
		if s.src.isAsked() {
			if s.src.answer(s.held, err) {
				return ErrPaused
			}
			if s.held == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
				continue
			}
		}
		switch {
		case err == nil && s.err == nil:
			return nil
		case err == nil && s.err == syscall.EINVAL:
			return errNoSplice
		case err == nil:
			err = opError("read", s.src.conn, os.NewSyscallError("splice", s.err))
		case s.src.again(err):
			continue
		}
		return s.src.failure(err)
	}
}

func (s *splicer) fillFrom(fd uintptr) bool {
	if s.pipe == nil {
		if s.pipe = getPipe(); s.pipe == nil {
			s.err = syscall.EINVAL
			return true
		}
	}
	n, err := spliceOnce(s.pipe.w, int(fd), pipeSize)
	if err == syscall.EAGAIN {
		s.release()
		return false
	}
	s.held, s.err = n, err
	if n > 0 {
		s.src.got(n)
	}
	return true
}

// out empties the pipe into dst.
func (s *splicer) out(drain func(uintptr) bool) error {
	s.dst.begin()
	s.dst.waits()
	defer s.dst.went()
	for s.held > 0 {
		s.dst.arm()
		s.err = nil
		held := s.held
		err := s.dst.rc.Write(drain)
		switch {
		case err == nil && s.err == nil:
			continue
		case err == nil:
			err = opError("write", s.dst.conn, os.NewSyscallError("splice", s.err))
		case deadline.IsTimeout(err) && s.held < held && s.dst.mayGoOn(), s.dst.again(err):
			continue
		}
		return s.dst.failure(err)
	}
	return nil
}

func (s *splicer) drainTo(fd uintptr) bool {
	for s.held > 0 {
		n, err := spliceOnce(int(fd), s.pipe.r, s.held)
		if err == syscall.EAGAIN {
			return false
		}
		if err != nil {
			s.err = err
			return true
		}
		s.held -= n
		s.dst.took(n)
	}
	return true
}

// release gives the pipe back, or closes one with bytes left in it.
func (s *splicer) release() {
	if s.pipe == nil {
		return
	}
	if s.held > 0 {
		s.pipe.close()
	} else {
		pipes.Put(s.pipe)
	}
	s.pipe = nil
}

func spliceOnce(to, from, max int) (int, error) {
	for {
		n, err := unix.Splice(from, nil, to, nil, max, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		if err != syscall.EINTR {
			return int(n), err
		}
	}
}

// A pipe is one that nobody reads or writes but by splice.
type pipe struct {
	r, w    int
	cleanup runtime.Cleanup
}

// pipes holds empty pipes. Those that the garbage collector takes are closed.
var pipes sync.Pool

// getPipe returns an empty pipe, or nil if the system has no fit one for us.
func getPipe() *pipe {
	if p, ok := pipes.Get().(*pipe); ok {
		return p
	}
	var fd [2]int
	if unix.Pipe2(fd[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return nil
	}
	if _, err := unix.FcntlInt(uintptr(fd[0]), unix.F_SETPIPE_SZ, pipeSize); err != nil {
		if n, err := unix.FcntlInt(uintptr(fd[0]), unix.F_GETPIPE_SZ, 0); err != nil || n < minPipe {
			closePipe(fd)
			return nil
		}
	}
	p := &pipe{r: fd[0], w: fd[1]}
	p.cleanup = runtime.AddCleanup(p, closePipe, fd)
	return p
}

func (p *pipe) close() {
	p.cleanup.Stop()
	closePipe([2]int{p.r, p.w})
}

func closePipe(fd [2]int) {
	unix.Close(fd[0])
	unix.Close(fd[1])
}
