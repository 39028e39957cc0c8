package reverse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"strings"
	"sync"
	"time"

	"netserver"
	"netserver/handler/httpd"
	"netserver/proto"
)

// A Handler passes requests on to HTTP/1.1 servers, its targets. Its fields must
// not change while it serves; it may serve any number of requests at once.
//
// A target is told the Host that the client asked for, and who the client is by
// X-Forwarded-For, X-Forwarded-Host and X-Forwarded-Proto, which are set here:
// what clients themselves say by these, by other names that begin with
// X-Forwarded-, and by Forwarded, X-Real-Ip, X-Client-Ip and True-Client-Ip, is
// taken out, also with underscores for the dashes, which many targets do not tell
// apart. For a client of a UNIX socket there is no X-Forwarded-For. What is
// for one connection only (hop-by-hop, RFC 9110 section 7.6.1) is not passed on;
// Upgrade is, for WebSocket and the like over HTTP/1.1. The path and the query go
// on as they came. CONNECT and TRACE are answered with 405.
//
// A target that cannot be connected to, breaks off before its answer, or whose
// answer no client could get (a status below 200), makes 502, one that takes too
// long 504, and the reason is the error of the client's record. One that breaks
// off later is that too, and its client's connection ends. A request without a body, or with a method that may be repeated, is
// tried again if a connection that was kept has just been closed.
type Handler struct {
	// Dial connects to a target. c is the request's client, or nil without
	// PerClient. ctx does not end with the request, so it needs a time limit.
	// Required.
	Dial func(ctx context.Context, c *netserver.Conn) (net.Conn, error)
	// PerClient makes a connection for each request, for its client alone: for
	// targets that get a PROXY header, or are chosen by the client's address.
	PerClient bool
	// Idle is how many connections to targets are kept for further requests, for
	// up to IdleTimeout. Default 64 and 30 s; with a negative Idle none is.
	Idle        int
	IdleTimeout time.Duration
	// AnswerTimeout is how long a target may take for the head of its answer,
	// from when it has the request. Default 60 s; negative means no limit.
	AnswerTimeout time.Duration
	// Log gets what goes wrong after the head of an answer. Nil logs nothing.
	Log *slog.Logger

	once      sync.Once
	transport *http.Transport
	proxy     *httputil.ReverseProxy
}

const (
	defaultIdle          = 64
	defaultIdleTimeout   = 30 * time.Second
	defaultAnswerTimeout = 60 * time.Second
	maxAnswerHead        = 1 << 20
)

var _ proto.Descriptors = (*Handler)(nil)

// Descriptors returns what a client takes beside its own connection. One of
// HTTP/2 may have more requests at once than that.
func (h *Handler) Descriptors() int { return 1 }

// Close closes the connections that are kept.
func (h *Handler) Close() {
	h.once.Do(h.build)
	h.transport.CloseIdleConnections()
}

// ServeHTTP has a target answer.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace {
		http.Error(w, "405 method not allowed", http.StatusMethodNotAllowed)
		return
	}
	h.once.Do(h.build)
	if !r.ProtoAtLeast(1, 1) {
		w = finalOnly{w}
	}
	h.proxy.ServeHTTP(w, r)
}

// A finalOnly passes on no answer before the last one: HTTP/1.0 knows none, and
// its clients would take it for the last (RFC 9110, section 15.2).
type finalOnly struct{ http.ResponseWriter }

// Unwrap is for http.ResponseController.
func (w finalOnly) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w finalOnly) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (h *Handler) build() {
	h.transport = &http.Transport{
		DialContext:            h.dial,
		MaxIdleConns:           orDefault(h.Idle, defaultIdle),
		MaxIdleConnsPerHost:    orDefault(h.Idle, defaultIdle),
		IdleConnTimeout:        orDefault(h.IdleTimeout, defaultIdleTimeout),
		ResponseHeaderTimeout:  orDefault(h.AnswerTimeout, defaultAnswerTimeout),
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxAnswerHead,
		DisableCompression:     true, // the answer goes on as it comes
		DisableKeepAlives:      h.PerClient || h.Idle < 0,
	}
	h.proxy = &httputil.ReverseProxy{
		Rewrite:        rewrite,
		Transport:      h.transport,
		BufferPool:     new(buffers),
		ModifyResponse: check,
		ErrorHandler:   answerError,
		ErrorLog:       log.New(logger{h.Log}, "", 0),
	}
}

// orDefault returns d, def for 0, and 0 for a negative d.
func orDefault[T int | time.Duration](d, def T) T {
	switch {
	case d == 0:
		return def
	case d < 0:
		return 0
	}
	return d
}

// dialError is the error of Dial, which names the target.
type dialError struct{ error }

func (d dialError) Unwrap() error { return d.error }

func (h *Handler) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	var c *netserver.Conn
	if h.PerClient {
		c = httpd.Conn(ctx)
	}
	nc, err := h.Dial(ctx, c)
	if err != nil {
		return nil, dialError{err}
	}
	return nc, nil
}

// rewrite makes the request for the target, from which ReverseProxy has taken
// what is for one connection only.
func rewrite(pr *httputil.ProxyRequest) {
	out := pr.Out
	out.URL.Scheme, out.URL.Host = "http", "target"
	out.URL.RawQuery = pr.In.URL.RawQuery
	out.Host = pr.In.Host
	for name := range out.Header {
		if isClaim(name) {
			delete(out.Header, name)
		}
	}
	pr.SetXForwarded()
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header.Set("User-Agent", "") // or Go's own would be sent
	}
}

// isClaim reports whether clients say by a header who they are. To programs that
// get headers as variables (CGI, WSGI and more) an underscore is a dash.
func isClaim(name string) bool {
	if strings.Contains(name, "_") {
		name = http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
	}
	return strings.HasPrefix(name, "X-Forwarded-") || claims[name]
}

// claims are by what clients say who they are, beside X-Forwarded-.
var claims = map[string]bool{"Forwarded": true, "X-Real-Ip": true, "X-Client-Ip": true, "True-Client-Ip": true}

// check refuses an answer that no client can get, and has what goes wrong with
// the rest of it noted.
func check(res *http.Response) error {
	switch {
	case res.StatusCode == http.StatusSwitchingProtocols:
	case res.StatusCode < 200: // those that come before the last one are not here
		return fmt.Errorf("an answer with status %03d", res.StatusCode)
	case res.Body != http.NoBody:
		res.Body = &body{res.Body, res.Request.Context()}
	}
	return nil
}

// A body is that of an answer.
type body struct {
	io.ReadCloser
	ctx context.Context // the request's
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && (b.ctx.Err() == nil || isTimeout(context.Cause(b.ctx))) {
		httpd.Fail(b.ctx, fmt.Errorf("%w: %w", proto.ErrTargetFailed, err))
	}
	return n, err
}

// answerError answers for a target that has not.
func answerError(w http.ResponseWriter, r *http.Request, err error) {
	ctx := r.Context()
	if ctx.Err() != nil {
		if err = context.Cause(ctx); !isTimeout(err) {
			panic(http.ErrAbortHandler) // the client has left, or is cut
		}
	}
	var tooLarge *http.MaxBytesError
	var dial dialError
	status := http.StatusBadGateway
	switch {
	case errors.As(err, &tooLarge):
		status = http.StatusRequestEntityTooLarge
	case errors.As(err, &dial):
		err = dial.error
		if !errors.Is(err, proto.ErrNoTarget) {
			err = fmt.Errorf("%w: %w", proto.ErrNoTarget, err)
		}
		httpd.Fail(ctx, err)
	default:
		httpd.Fail(ctx, fmt.Errorf("%w: %w", proto.ErrTargetFailed, err))
	}
	if isTimeout(err) {
		status = http.StatusGatewayTimeout
	}
	http.Error(w, fmt.Sprintf("%d %s", status, strings.ToLower(http.StatusText(status))), status)
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// buffers are for copying answers.
type buffers struct{ sync.Pool }

func (p *buffers) Get() []byte {
	if b, ok := p.Pool.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 32<<10)
}

func (p *buffers) Put(b []byte) { p.Pool.Put(&b) }

// A logger takes the lines of ReverseProxy.
type logger struct{ log *slog.Logger }

// Write logs a line.
func (l logger) Write(b []byte) (int, error) {
	if l.log != nil {
		l.log.Debug("reverse proxy", "says", strings.TrimSpace(string(b)))
	}
	return len(b), nil
}
