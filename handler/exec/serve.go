package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"netserver"
	"netserver/internal/childproc/program"
	"netserver/proto"
)

// A stream is a TCP or UNIX stream socket.
type stream interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}

// Serve runs the program for c and returns when it has ended: nil if it exited
// with status 0, an *ExitError if not, or why the client went away before.
func (h *Handler) Serve(ctx context.Context, c *netserver.Conn) error {
	if err := h.Check(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := handshake(ctx, c); err != nil {
		return err
	}
	if h.Terminal != nil && c.Datagram() {
		return fmt.Errorf("a datagram has no terminal: %w", errors.ErrUnsupported)
	}
	cmd, err := h.resolved.of(c)
	if err != nil {
		return err
	}
	ctx, cancel := h.timed(ctx)
	defer cancel()
	s := &session{h: h, c: c, cmd: cmd, gone: make(chan error, 1), quit: make(chan struct{})}
	if h.stderr() == StderrLog {
		s.log = newLineLog(c, &h.lines)
		s.log.Look = func(line []byte) { h.ports.look(c, line) }
	}
	if sock := s.wholeSocket(); sock != nil {
		return s.serveSocket(ctx, sock)
	}
	return s.servePipes(ctx)
}

// handshakeTimeout bounds a handshake that the engine did not perform.
const handshakeTimeout = 10 * time.Second

// handshake completes the handshake of a connection that would do it at the
// first byte, such as one of tls.NewListener: the program runs only for
// clients that completed it.
func handshake(ctx context.Context, c *netserver.Conn) error {
	hc, ok := c.NetConn().(proto.Handshaker)
	if state := c.TLS(); !ok || state == nil || state.HandshakeComplete {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	if err := hc.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	return nil
}

// A session is one client with its program.
type session struct {
	h   *Handler
	c   *netserver.Conn
	cmd *command
	p   *program.Program
	log *program.Lines // nil unless standard error goes to the log
	pipes

	ended  atomic.Bool   // the program's output ended, and the client was told
	gone   chan error    // why the client went away: the first reason
	logged chan struct{} // closed when nobody can write to stderr; nil without it
	tasks  sync.WaitGroup

	mu   sync.Mutex
	quit chan struct{} // closed, under mu, when nothing may wait for the client any more
}

// leave records why the client went away.
func (s *session) leave(why error) {
	select {
	case s.gone <- why:
	default:
	}
}

// servePipes connects the client and the program by pipes.
func (s *session) servePipes(ctx context.Context) error {
	if err := s.join(); err != nil {
		return err
	}
	s.c.Note(slog.Int("pid", s.p.Pid))
	outDone := make(chan struct{})
	s.tasks.Go(s.input)
	s.tasks.Go(func() { s.output(outDone) })
	s.startLog()

	gone := s.await(ctx, s.p.Exited)
	if gone == nil {
		s.stdout.StopWaiting(s.h.waitDelay())
		s.stderr.StopWaiting(s.h.waitDelay())
		gone = s.await(ctx, outDone)
	}
	s.stdin.Close()
	if gone != nil {
		s.stdout.Close()
		s.p.End(s.hungUp(s.h.killGrace()), s.logged)
		s.stderr.StopWaiting(0)
	}
	s.awaitLog(ctx)
	return s.finish(gone)
}

// join gives the client a program that waits, or starts one.
func (s *session) join() (err error) {
	if s.h.Spare <= 0 {
		s.p, s.pipes, err = s.h.startPipes(s.cmd, s.cmd.environ(s.c))
		return err
	}
	if sp := s.h.pool.Load().take(); sp != nil {
		s.p, s.pipes = sp.p, sp.pipes
		s.c.Note(slog.Bool("spare", true))
		return nil
	}
	s.p, s.pipes, err = s.h.startPipes(s.cmd, s.cmd.env)
	return err
}

// startPipes starts a program that is joined by pipes, or has a terminal.
func (h *Handler) startPipes(cmd *command, env []string) (*program.Program, pipes, error) {
	ours, theirs, err := h.open()
	if err != nil {
		return nil, pipes{}, fmt.Errorf("cannot join the program: %w", err)
	}
	p, err := h.starter.Start(&cmd.Command, env, theirs)
	closeAll(theirs[:]...)
	if err != nil {
		ours.close()
		return nil, pipes{}, err
	}
	return p, ours, nil
}

// await waits until done is closed and returns nil, or until the client must
// go or is gone, and returns why.
func (s *session) await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
	case why := <-s.gone:
		return why
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case why := <-s.gone: // perhaps the reason why the program ended
		return why
	default:
		return nil
	}
}

// finish ends the client's goroutines and records how the program ended.
func (s *session) finish(gone error) error {
	s.stop(gone != nil)
	s.tasks.Wait()
	s.c.SetDeadline(time.Time{})
	s.pipes.close()
	s.c.Note(s.p.Exit.Attr())
	s.c.Note(s.p.Usage.Attrs()...)
	if n := s.log.Dropped(); n > 0 {
		s.c.Note(slog.Int("stderr_dropped", n))
	}
	if gone != nil {
		return gone
	}
	return exitError(s.p.Exit)
}

// stop ends pending reads from the client, or also pending writes to it.
func (s *session) stop(writing bool) {
	past := time.Unix(1, 0)
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.quit)
	s.c.SetReadDeadline(past)
	if writing {
		s.c.SetWriteDeadline(past)
	}
}

// input copies the client's bytes to the program and closes its input at their
// end. Then it watches for the client to go away.
func (s *session) input() {
	var to io.Writer = stdin{s.pipes.stdin, streamSocket(s.c.NetConn())}
	if s.h.Terminal != nil {
		to = &typist{Writer: to, last: -1}
	}
	_, err := s.c.WriteTo(to)
	var notRead *stdinError
	unread := errors.As(err, &notRead)
	away := err != nil && !unread
	if unread && errors.Is(err, errReset) {
		err, away = errReset, true
	}
	if away {
		s.leave(err) // before the program ends because its input does
	}
	if t, ok := to.(*typist); ok && err == nil {
		s.endTyping(t)
	}
	s.pipes.stdin.Close()
	if away {
		return
	}
	if sock := streamSocket(s.c.NetConn()); sock != nil && s.mayWatch(sock) {
		s.watch(sock)
	}
}

// mayWatch prepares for watch, unless nothing may wait any more.
func (s *session) mayWatch(sock stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.quit:
		return false
	default:
		sock.SetReadDeadline(time.Time{}) // a read deadline may be set
		return true
	}
}

// output copies the program's output to the client, and then closes done.
func (s *session) output(done chan<- struct{}) {
	relay := s.relay
	if s.c.Datagram() {
		relay = s.answer
	}
	if err := relay(); err != nil {
		s.leave(err)
		return
	}
	close(done)
}

// relay copies the program's output to the client, followed by its end.
func (s *session) relay() error {
	if err := s.stdout.CopyTo(s.send); err != nil {
		return err
	}
	s.ended.Store(true)
	if err := s.c.CloseWrite(); err != nil && !isNoMatter(err) {
		return err
	}
	return nil
}

// isNoMatter reports whether an end that could not be passed on is harmless:
// half-close is not supported, or the client has already closed the connection
// and had all that it wanted.
func isNoMatter(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ENOTCONN)
}

func (s *session) send(b []byte) error {
	_, err := s.c.Write(b)
	return err
}

// startLog logs the program's standard error.
func (s *session) startLog() {
	if s.stderr != nil {
		s.logged = make(chan struct{})
		s.tasks.Go(s.logErrors)
	}
}

// awaitLog waits for the last line, bounded by stopWaiting and ctx.
func (s *session) awaitLog(ctx context.Context) {
	if s.logged == nil {
		return
	}
	select {
	case <-s.logged:
	case <-ctx.Done():
	}
	s.stderr.StopWaiting(0)
}

func (s *session) logErrors() {
	s.stderr.CopyTo(func(b []byte) error { s.log.Write(b); return nil })
	s.log.Flush()
	close(s.logged)
}

// maxPacket is the largest payload of a UDP packet over IPv4.
const maxPacket = 65507

// answer sends the program's whole output as one packet.
func (s *session) answer() error {
	var packet []byte
	err := s.stdout.CopyTo(func(b []byte) error {
		if len(packet)+len(b) > maxPacket {
			return fmt.Errorf("the program's answer is longer than %d bytes, the limit of one packet", maxPacket)
		}
		packet = append(packet, b...)
		return nil
	})
	if err != nil || len(packet) == 0 {
		return err
	}
	return s.send(packet)
}

// stallCheck is how often we check that the client is still there while its
// program reads no input.
const stallCheck = time.Second

// stdin is a program's input.
type stdin struct {
	f    *os.File
	sock stream // the client's, or nil
}

// A stdinError says that the program accepts no more input.
type stdinError struct{ error }

func (e *stdinError) Unwrap() error { return e.error }

// Write waits for the program as long as necessary, but not if the client is
// gone.
func (w stdin) Write(b []byte) (n int, err error) {
	for {
		w.f.SetWriteDeadline(time.Now().Add(stallCheck))
		m, err := w.f.Write(b[n:])
		n += m
		switch {
		case err == nil:
			return n, nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return n, &stdinError{err}
		case w.sock != nil && isReset(w.sock):
			return n, &stdinError{errReset}
		}
	}
}

// errReset is the error of a client that reset the connection while nobody was
// reading it.
var errReset = fmt.Errorf("the client left: %w", syscall.ECONNRESET)
