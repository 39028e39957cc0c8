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
)

// wholeSocket returns the client's socket if a program can have it: it carries
// the client's bytes as they are, and none has been taken from it.
func (s *session) wholeSocket() stream {
	if s.h.Pipes || s.c.Datagram() || s.c.Buffered() > 0 {
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
	s.c.Note(slog.Bool("socket", true))
	sock.SetDeadline(time.Time{})
	s.tasks.Go(func() { s.watch(sock) })
	s.startLog()

	gone := s.await(ctx, s.p.exited)
	if gone == nil && s.stderr != nil {
		s.stderr.stopWaiting(s.h.waitDelay())
		gone = s.await(ctx, s.logged)
	}
	if gone != nil {
		s.p.end(s.h.killGrace(), s.logged)
		s.stderr.stopWaiting(0)
	}
	if gone == nil && s.p.exit != (exit{}) {
		gone = s.leftBefore(sock)
	}
	s.countSince(before, sock)
	setBlocking(rc, false)
	s.c.CloseWrite() // what the program left running may hold the socket
	return s.finish(gone)
}

// countSince tells the record what has passed on the socket since before.
func (s *session) countSince(before counted, sock stream) {
	if now := count(sock); before.ok && now.ok {
		s.c.Count(now.in-min(now.in, before.in), now.out-min(now.out, before.out))
		return
	}
	s.c.Uncounted()
}

// leftBefore returns an error if the program failed because its client had
// gone: by SIGPIPE, or after a system call told it of the reset.
func (s *session) leftBefore(sock stream) error {
	_, tcp := sock.(*net.TCPConn)
	if s.p.exit.signal == "SIGPIPE" || tcp && pollSocket(sock)&unix.POLLHUP != 0 {
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
	env := s.h.resolved.environ(s.c)
	setBlocking(rc, true)
	cerr := rc.Control(func(fd uintptr) {
		files := [3]uintptr{fd, fd, fd}
		if stderr != nil {
			files[2] = stderr.Fd()
		}
		s.p, err = s.h.start(&s.h.resolved, env, files)
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

// setBlocking changes the mode of a socket, which all processes that have it
// share. A program expects the blocking one; ours would wait for ever in it.
func setBlocking(rc syscall.RawConn, blocking bool) {
	rc.Control(func(fd uintptr) { syscall.SetNonblock(int(fd), !blocking) })
}

// watchPause bounds how often bytes on their way to the program wake us, who
// only wait for a reset. Without it, a fast upload cost twice the CPU here.
const watchPause = 100 * time.Millisecond

// watch returns when the client has reset the connection, which it reports, or
// when nobody may wait any more. It reads nothing. A client that has only
// closed its side is no news: it may be waiting for the answer. And once the
// answer's end has been sent, a reset only says that the client did not wait
// for that.
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

// isReset reports whether the client has reset the connection, and nobody been
// told of it.
func isReset(sock stream) bool { return pollSocket(sock)&(unix.POLLERR|unix.POLLNVAL) != 0 }

// pollSocket returns the conditions of a socket that cannot be masked.
func pollSocket(sock stream) (events int16) {
	rc, err := sock.SyscallConn()
	if err != nil {
		return 0
	}
	rc.Control(func(fd uintptr) { events = poll(fd) })
	return events
}

// poll returns the conditions of a socket that cannot be masked. It leaves an
// error there, for the program to see.
func poll(fd uintptr) int16 {
	fds := []unix.PollFd{{Fd: int32(fd)}}
	for {
		if _, err := unix.Poll(fds, 0); err != unix.EINTR {
			return fds[0].Revents
		}
	}
}
