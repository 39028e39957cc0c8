// Package idle ends requests in which nothing moves: no byte of the body comes,
// and none of the answer is written.
//
// Of this module it imports handler/httpd/cgi, for its page. Start reading at
// Handler.
package idle

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"time"

	"netserver/handler/httpd/cgi"
)

// ErrIdle is the cause of the end of a request's context. It says of itself that it
// is a timeout (Timeout() bool).
var ErrIdle error = idleError{}

type idleError struct{}

func (idleError) Error() string { return "idle: nothing moved in the request for too long" }
func (idleError) Timeout() bool { return true }

// Handler returns a handler that has next answer, and ends a request's context
// with ErrIdle when nothing has moved for the time that limit gives it; 0 or less
// is no limit. If nothing of the answer has been sent by the time next returns, the
// client gets status 500, and what next has begun to send after that end stands for
// it. If something had been sent before, the connection ends, so that the client
// does not take it for whole. A request that takes its connection over is left alone from
// then on.
func Handler(next http.Handler, limit func(*http.Request) time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := limit(r)
		if d <= 0 {
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		m := &mover{ResponseWriter: w, d: d, ctx: ctx, timer: time.AfterFunc(d, func() { cancel(ErrIdle) })}
		defer m.timer.Stop()
		r = r.WithContext(ctx)
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &body{r.Body, m}
		}
		next.ServeHTTP(m, r)
		m.timer.Stop()
		switch {
		case context.Cause(ctx) != ErrIdle || m.hijacked || m.late:
		case m.sent:
			panic(http.ErrAbortHandler)
		default:
			cgi.ErrorPage(w, http.StatusInternalServerError, "Server Timeout on process\n")
		}
	})
}

// A mover notes that an answer goes on.
type mover struct {
	http.ResponseWriter
	d        time.Duration
	ctx      context.Context
	timer    *time.Timer
	sent     bool
	late     bool // it began when the time was up
	hijacked bool
}

// moved begins the time anew, unless it is up.
func (m *mover) moved() {
	if m.timer.Stop() {
		m.timer.Reset(m.d)
	}
}

// begin notes that the answer begins, if it has not.
func (m *mover) begin() {
	if !m.sent {
		m.sent, m.late = true, context.Cause(m.ctx) == ErrIdle
	}
}

// Unwrap is for http.ResponseController.
func (m *mover) Unwrap() http.ResponseWriter { return m.ResponseWriter }

func (m *mover) WriteHeader(status int) {
	m.moved()
	if status >= 200 {
		m.begin()
	}
	m.ResponseWriter.WriteHeader(status)
}

func (m *mover) Write(b []byte) (int, error) {
	m.moved()
	m.begin()
	return m.ResponseWriter.Write(b)
}

// piece is how much is copied before the time begins anew.
const piece = 1 << 20

func (m *mover) ReadFrom(src io.Reader) (total int64, err error) {
	rf, ok := m.ResponseWriter.(io.ReaderFrom)
	if !ok {
		return io.Copy(struct{ io.Writer }{m}, src)
	}
	m.begin()
	limited, isLimited := src.(*io.LimitedReader)
	for {
		m.moved()
		part := io.LimitedReader{R: src, N: piece}
		if isLimited { // which the kernel's copy knows, but not one within another
			part = io.LimitedReader{R: limited.R, N: min(piece, limited.N)}
		}
		n, err := rf.ReadFrom(&part)
		total += n
		if isLimited {
			limited.N -= n
		}
		if err != nil || n < piece || isLimited && limited.N <= 0 {
			return total, err
		}
	}
}

func (m *mover) Flush() { m.FlushError() }

func (m *mover) FlushError() error {
	m.begin()
	return http.NewResponseController(m.ResponseWriter).Flush()
}

func (m *mover) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(m.ResponseWriter).Hijack()
	if err == nil {
		m.hijacked = true
		m.timer.Stop()
	}
	return nc, rw, err
}

// A body notes that it goes on.
type body struct {
	io.ReadCloser
	m *mover
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.m.moved()
	}
	return n, err
}
