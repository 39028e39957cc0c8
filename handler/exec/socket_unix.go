//go:build unix

package exec

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"netserver/internal/childproc/program"
)

// wholeSocket returns the client's socket if a program can get it: it carries
// the client's plain bytes, and none has been read from it.
func (s *session) wholeSocket() stream {
	if s.h.Pipes || s.h.Terminal != nil || s.h.Spare > 0 || s.c.Datagram() || s.c.Buffered() > 0 {
		return nil
	}
	switch nc := s.c.NetConn().(type) {
	case *net.TCPConn, *net.UnixConn:
		return streamSocket(nc)
	}
	return nil
}

// serveSocket gives the program the client's socket.
func (s *session) serveSocket(ctx context.Context, sock stream) error {
	rc, err := sock.SyscallConn()
	if err != nil {
		return err
	}
	before := count(sock)
	if err := s.startSocket(rc); err != nil {
		return err
	}
	s.c.Note(slog.Bool("socket", true), slog.Int("pid", s.p.Pid))
	sock.SetDeadline(time.Time{})
	s.tasks.Go(func() { s.watch(sock) })
	s.startLog()

	gone := s.await(ctx, s.p.Exited)
	if gone == nil && s.stderr != nil {
		s.stderr.StopWaiting(s.h.waitDelay())
		gone = s.await(ctx, s.logged)
	}
	if gone != nil {
		s.p.End(s.h.killGrace(), s.logged)
		s.stderr.StopWaiting(0)
	}
	if gone == nil && s.p.Exit != (program.Exit{}) {
		gone = s.leftBefore(sock)
	}
	s.countSince(before, sock)
	setBlocking(rc, false)
	s.c.CloseWrite() // processes left behind may hold the socket
	return s.finish(gone)
}

// countSince records the bytes that have passed through the socket since
// before.
func (s *session) countSince(before counted, sock stream) {
	if now := count(sock); before.ok && now.ok {
		s.c.Count(int64(now.in-min(now.in, before.in)), int64(now.out-min(now.out, before.out)))
		return
	}
	s.c.Count(-1, -1)
}

// leftBefore returns an error if the program failed because its client was
// gone: by SIGPIPE, or after a system call reported the reset.
func (s *session) leftBefore(sock stream) error {
	_, tcp := sock.(*net.TCPConn)
	if s.p.Exit.Signal == "SIGPIPE" || tcp && pollSocket(sock)&unix.POLLHUP != 0 {
		return fmt.Errorf("the client left before the program's end: %w", syscall.EPIPE)
	}
	return nil
}

// startSocket starts the program with the socket as its descriptors.
func (s *session) startSocket(rc syscall.RawConn) error {
	var stderr *os.File
	var err error
	if s.h.Stderr != StderrClient {
		if s.stderr, stderr, err = openStderr(s.h.Stderr, nil); err != nil {
			return fmt.Errorf("cannot open the program's standard error: %w", err)
		}
		defer closeAll(stderr)
	}
	env := s.cmd.environ(s.c)
	setBlocking(rc, true)
	cerr := rc.Control(func(fd uintptr) {
		files := [3]uintptr{fd, fd, fd}
		if stderr != nil {
			files[2] = stderr.Fd()
		}
		s.p, err = s.h.starter.StartFDs(&s.cmd.Command, env, files)
	})
	if err == nil {
		err = cerr
	}
	if err != nil {
		s.pipes.close()
		setBlocking(rc, false)
	}
	return err
}

// setBlocking changes the mode of a socket, which all its processes share.
// Programs expect blocking mode; the server could hang in it.
func setBlocking(rc syscall.RawConn, blocking bool) {
	rc.Control(func(fd uintptr) { syscall.SetNonblock(int(fd), !blocking) })
}

// watchPause bounds how often data for the program wakes us while we only wait
// for a reset. Without it, a fast upload cost twice the CPU here.
const watchPause = 100 * time.Millisecond

// watch returns when the client has reset the connection, which it reports, or
// when nothing may wait any more. It reads nothing. A client that has only
// closed its side does not count: it may be waiting for the answer. And once
// the answer's end has been sent, a reset only means that the client did not
// wait for it.
func (s *session) watch(sock stream) {
	rc, err := sock.SyscallConn()
	if err != nil {
		return
	}
	for {
		reset, woken := false, false
		err := rc.Read(func(fd uintptr) bool {
			reset = poll(fd)&(unix.POLLERR|unix.POLLNVAL) != 0
			done := reset || woken
			woken = true
			return done
		})
		if reset && !s.ended.Load() {
			s.leave(errReset)
		}
		if reset || err != nil {
			return
		}
		pause := time.NewTimer(watchPause)
		select {
		case <-pause.C:
		case <-s.quit:
			pause.Stop()
			return
		}
	}
}

// isReset reports whether the client has reset the connection and no system
// call has reported it yet.
func isReset(sock stream) bool { return pollSocket(sock)&(unix.POLLERR|unix.POLLNVAL) != 0 }

// pollSocket returns the unmaskable poll(2) conditions of a socket.
func pollSocket(sock stream) (events int16) {
	rc, err := sock.SyscallConn()
	if err != nil {
		return 0
	}
	rc.Control(func(fd uintptr) { events = poll(fd) })
	return events
}

// poll returns the unmaskable poll(2) conditions of a socket. It leaves a
// pending error in place for the program.
func poll(fd uintptr) int16 {
	fds := []unix.PollFd{{Fd: int32(fd)}}
	for {
		if _, err := unix.Poll(fds, 0); err != unix.EINTR {
			return fds[0].Revents
		}
	}
}
