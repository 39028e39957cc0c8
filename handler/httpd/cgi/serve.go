package cgi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"netserver/handler/httpd"
	"netserver/internal/childproc/program"
	"netserver/internal/descriptors"
	"netserver/logs"
)

// ServeHTTP runs the program for a request, and returns when it has ended. What
// goes wrong before its headers are whole is answered with status 500; what goes
// wrong later ends the connection.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !knownMethod(w, r) {
		return
	}
	if err := h.Check(); err != nil {
		h.refuse(w, r, err)
		return
	}
	env := h.Origin.Vars(r)
	if slices.ContainsFunc(env, func(kv string) bool { return strings.IndexByte(kv, 0) >= 0 }) {
		ErrorPage(w, http.StatusBadRequest, "Invalid request\n")
		return
	}
	s := &session{h: h, w: w, r: r, rc: http.NewResponseController(w), out: answer{h: h, w: w}}
	s.out.last = s.endsConnection
	if err := s.start(env); err != nil {
		h.refuse(w, r, err)
		return
	}
	s.rc.EnableFullDuplex()
	err := s.serve()
	if err == nil {
		err = s.out.unfinished()
	}
	s.note()
	s.finish(err)
}

// methods are those that Net::Server::HTTP knows.
var methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "PUSH", "HEAD", "OPTIONS"}

// knownMethod answers a request with another method.
func knownMethod(w http.ResponseWriter, r *http.Request) bool {
	if slices.Contains(methods, strings.ToUpper(r.Method)) {
		return true
	}
	ErrorPage(w, http.StatusNotImplemented, "Invalid request\n")
	return false
}

// refuse answers a request whose program cannot be started.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	logger(r).LogAttrs(r.Context(), slog.LevelError, "cgi", slog.String("error", err.Error()))
	why := reason(err).Error()
	if errors.Is(err, syscall.ENOENT) {
		why = "No such file or directory" // as the C library says it
	}
	ErrorPage(w, http.StatusInternalServerError, fmt.Sprintf("Could not run external script %s: %s\n", h.Path, why))
}

// logger is the client's.
func logger(r *http.Request) *slog.Logger {
	if c := httpd.Conn(r.Context()); c != nil {
		return c.Logger()
	}
	return slog.Default()
}

// A session is one request with its program.
type session struct {
	h  *Handler
	w  http.ResponseWriter
	r  *http.Request
	rc *http.ResponseController
	p  *program.Program

	stdin  *os.File
	stdout *program.Outlet
	stderr *program.Outlet // nil unless it goes to the log
	log    *program.Lines  // likewise
	logged chan struct{}   // closed when nobody has the standard error any more; nil without it
	out    answer
	tasks  sync.WaitGroup
	taken  atomic.Bool // all of the body has been read
}

// endsConnection reports whether the answer has to be the last one of its
// connection: while there may be more of the body to come, net/http cannot know
// where the next request begins, once reading has been ended by a deadline.
func (s *session) endsConnection() bool {
	return s.r.ProtoMajor == 1 && s.r.Body != nil && s.r.Body != http.NoBody && !s.taken.Load()
}

// start starts the program.
func (s *session) start(env []string) (err error) {
	var theirs [3]*os.File
	defer func() {
		for _, f := range theirs {
			if f != nil && f != os.Stderr {
				f.Close()
			}
		}
		if err != nil {
			s.close()
		}
	}()
	if theirs[0], s.stdin, err = os.Pipe(); err != nil {
		return err
	}
	if s.stdout, theirs[1], err = program.OpenOutlet(); err != nil {
		return err
	}
	switch s.h.Stderr {
	case "client":
		theirs[2] = theirs[1]
	case "drop":
		theirs[2], err = descriptors.Null()
	case "inherit":
		theirs[2] = os.Stderr
	default:
		s.stderr, theirs[2], err = program.OpenOutlet()
	}
	if err != nil {
		return err
	}
	s.p, err = s.h.starter.Start(&s.h.command, env, theirs)
	return err
}

func (s *session) close() {
	if s.stdin != nil {
		s.stdin.Close()
	}
	s.stdout.Close()
	s.stderr.Close()
}

// serve joins the client and the program, and returns at the program's end: nil,
// or what ended it before.
func (s *session) serve() error {
	ctx, cancel := s.h.timed(s.r.Context())
	defer cancel()
	failed, done := make(chan error, 1), make(chan struct{})
	s.tasks.Go(s.input)
	s.tasks.Go(func() {
		defer close(done)
		if err := s.stdout.CopyTo(s.out.write); err != nil {
			failed <- err
		}
	})
	if s.stderr != nil {
		s.startLog()
	}
	err := await(ctx, s.p.Exited, failed)
	if err == nil {
		s.stdout.StopWaiting(s.h.waitDelay())
		s.stderr.StopWaiting(s.h.waitDelay())
		err = await(ctx, done, failed)
	}
	if err != nil {
		s.stdin.Close()
		s.stdout.Close()
		s.p.End(s.h.killGrace(), s.logged)
	}
	s.stderr.StopWaiting(0)
	cut := s.unblock(err != nil && s.out.sent.Load())
	s.tasks.Wait()
	if cut && err == nil {
		// What is still coming of the body has to be taken before the connection
		// is closed: closing it with bytes unread resets it, and the client may
		// lose the end of its answer.
		s.rc.SetReadDeadline(time.Now().Add(restTime))
	}
	if !s.out.sent.Load() && s.endsConnection() {
		s.w.Header().Set("Connection", "close")
	}
	s.out.end()
	s.close()
	return err
}

// await waits until done is closed, or for what ends the request before.
func await(ctx context.Context, done <-chan struct{}, failed <-chan error) error {
	select {
	case <-done:
	case err := <-failed:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// input copies the body to the program, and ends its input.
func (s *session) input() {
	defer s.stdin.Close()
	if s.r.Body == nil || s.r.Body == http.NoBody {
		return
	}
	_, err := io.Copy(struct{ io.Writer }{s.stdin}, s.r.Body)
	s.taken.Store(err == nil)
}

// unblock ends what may wait for the client still: the rest of a body that
// nobody takes or, of an answer that is given up, a client that reads nothing. It
// reports whether it ended the reading.
func (s *session) unblock(writes bool) bool {
	if s.r.Body == nil || s.r.Body == http.NoBody {
		if writes {
			s.rc.SetWriteDeadline(time.Unix(1, 0))
		}
		return false
	}
	ended := make(chan struct{})
	go func() { s.tasks.Wait(); close(ended) }()
	select {
	case <-ended:
		return false
	case <-time.After(10 * time.Millisecond):
	}
	s.rc.SetReadDeadline(time.Unix(1, 0))
	if writes {
		s.rc.SetWriteDeadline(time.Unix(1, 0))
	}
	return true
}

// restTime is how long the rest of a body is waited for when its program has
// answered without it, as net/http waits before it closes.
const restTime = 500 * time.Millisecond

// startLog logs the program's standard error.
func (s *session) startLog() {
	var own program.Rate
	own.Init(requestLines, requestLines)
	log := logger(s.r)
	s.log = &program.Lines{
		Emit: func(line string) {
			log.LogAttrs(context.Background(), logs.Notice, "stderr", slog.String("program", s.h.Path), slog.String("line", line))
		},
		Allow: func() bool { return own.Allow() && s.h.lines.Allow() },
	}
	s.logged = make(chan struct{})
	s.tasks.Go(func() {
		s.stderr.CopyTo(func(b []byte) error { s.log.Write(b); return nil })
		s.log.Flush()
		close(s.logged)
	})
}

// note adds to the client's record how a program ended that did not end well.
func (s *session) note() {
	exit := s.p.Exit
	if exit.Status != 0 {
		httpd.Note(s.r.Context(), slog.Int("pid", s.p.Pid), exit.Attr())
	}
	if n := s.log.Dropped(); n > 0 {
		httpd.Note(s.r.Context(), slog.Int("stderr_dropped", n))
	}
}

// finish answers what the program has not answered.
func (s *session) finish(err error) {
	exit := s.p.Exit
	late := errors.Is(err, ErrTimeout)
	if late {
		logger(s.r).LogAttrs(context.Background(), slog.LevelError, "cgi", slog.String("program", s.h.Path), slog.String("error", err.Error()))
	}
	var headers *errHeaders
	switch {
	case s.out.sent.Load():
		if err != nil || exit.Signal != "" && exit.Signal != "SIGPIPE" {
			panic(http.ErrAbortHandler) // the client must not take it for whole
		}
	case errors.As(err, &headers):
		s.fail(headers.detail)
	case late:
		s.fail("Server Timeout on process\n")
	case err != nil:
		// The client is gone, or whoever ended the context answers.
	case s.out.any && exit.Status != 0:
		s.fail("Script exited unsuccessfully")
	default:
		s.fail(premature)
	}
}

// fail answers with what is wrong with the program, and logs it.
func (s *session) fail(what string) {
	attrs := []slog.Attr{slog.String("program", s.h.Path), slog.String("error", strings.TrimSpace(what))}
	if s.p.Exit.Status != 0 || s.p.Exit.Signal != "" {
		attrs = append(attrs, s.p.Exit.Attr())
	}
	logger(s.r).LogAttrs(context.Background(), slog.LevelError, "cgi", attrs...)
	ErrorPage(s.w, http.StatusInternalServerError, what)
}
