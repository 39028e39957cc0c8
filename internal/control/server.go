package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"netserver/access"
)

// Bounds of the resources that the socket's clients can use.
const (
	maxOpen   = 256 // connections at once; further ones are refused
	maxSilent = 64  // of them: without a request so far; one more ends the oldest
	maxWatch  = 32  // of them: those that wait until the server has ended

	requestTime = 5 * time.Second  // for a request to arrive
	writeTime   = 10 * time.Second // for a client to take one object
	// AnswerTime bounds the work on a request, except for those that wait for
	// the server's end.
	AnswerTime = 2 * time.Minute

	endTime = 2 * time.Second // for the last answers when the server ends
)

// A frame is one line of an answer.
type frame struct {
	Part   string          `json:"part,omitempty"` // what Data is
	Data   json.RawMessage `json:"data,omitempty"`
	End    bool            `json:"end,omitempty"` // the last frame of a successful request
	Errors []string        `json:"errors,omitempty"`
}

// A Server answers the clients of a control socket. Its fields must not change
// while Serve runs.
type Server struct {
	// Allow reports whether a process may use the socket. It is called before
	// a byte is read.
	Allow func(*access.Cred) error
	// Handle carries out a request and sends its answer. Its error ends the
	// answer. ctx ends when the request has taken too long.
	Handle func(ctx context.Context, by *access.Cred, r *Request, a *Answer) error
	// Fail is called with errors of Accept.
	Fail func(error)

	open, watch chan struct{}
	wg          sync.WaitGroup
	cancel      context.CancelFunc
	l           net.Listener

	accepted uint64 // the accept loop's

	mu     sync.Mutex
	silent []silent // oldest first
}

// A silent is a client that has not sent its request yet.
type silent struct {
	net.Conn
	n uint64 // its place in the order of accept
}

// Serve accepts clients of l, in the background, until Close.
func (s *Server) Serve(l net.Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	s.l, s.cancel = l, cancel
	s.open, s.watch = make(chan struct{}, maxOpen), make(chan struct{}, maxWatch)
	s.wg.Go(func() { s.accept(ctx) })
}

// Close stops the server. Requests in progress have two seconds to end. Call
// it once, after Serve.
func (s *Server) Close() error {
	err := s.l.Close()
	t := time.AfterFunc(endTime, s.cancel)
	defer t.Stop()
	s.wg.Wait()
	s.cancel()
	return err
}

func (s *Server) accept(ctx context.Context) {
	for {
		c, err := s.l.Accept()
		switch {
		case err == nil:
			s.start(ctx, c)
			continue
		case errors.Is(err, net.ErrClosed):
			return
		}
		s.Fail(err)
		select {
		case <-time.After(time.Second): // usually out of descriptors
		case <-ctx.Done():
			return
		}
	}
}

// start serves a client, unless there are too many.
func (s *Server) start(ctx context.Context, c net.Conn) {
	select {
	case s.open <- struct{}{}:
	default:
		// It fits into the socket's buffer, so this does not block.
		(&Answer{c: c, ctx: ctx}).fail(errors.New("too many clients of the control socket; try again"))
		c.Close()
		return
	}
	s.accepted++
	one := silent{c, s.accepted}
	s.wg.Go(func() {
		defer func() { <-s.open }()
		s.serve(ctx, one)
	})
}

// listen records that c has not sent its request yet. Clients that never do
// must not keep others out: the one that was accepted first is closed, whosever
// goroutine came here last.
func (s *Server) listen(c silent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := len(s.silent)
	for i > 0 && s.silent[i-1].n > c.n {
		i--
	}
	if s.silent = slices.Insert(s.silent, i, c); len(s.silent) > maxSilent {
		s.silent[0].Close()
		s.silent = slices.Delete(s.silent, 0, 1)
	}
}

func (s *Server) heard(c silent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.silent, c); i >= 0 {
		s.silent = slices.Delete(s.silent, i, i+1)
	}
}

// serve carries out one client's request.
func (s *Server) serve(ctx context.Context, one silent) {
	c := one.Conn
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	a := &Answer{c: c, ctx: ctx}
	cred, err := credOf(c)
	if err == nil {
		err = s.Allow(cred)
	}
	if err != nil {
		a.fail(err)
		return
	}
	s.listen(one)
	r, err := readRequest(c)
	s.heard(one)
	if err == nil {
		err = s.handle(ctx, cred, r, a)
	}
	if err != nil {
		a.fail(err)
		return
	}
	a.write(frame{End: true})
}

func (s *Server) handle(ctx context.Context, cred *access.Cred, r *Request, a *Answer) error {
	if !r.Wait && !r.WhenOthersReady {
		ctx, cancel := context.WithTimeoutCause(ctx, AnswerTime, errors.New("it took too long"))
		defer cancel()
		return s.Handle(ctx, cred, r, a)
	}
	select {
	case s.watch <- struct{}{}:
		defer func() { <-s.watch }()
	default:
		return errors.New("too many clients are waiting for the end of the server already; leave out wait")
	}
	return s.Handle(ctx, cred, r, a)
}

func credOf(c net.Conn) (*access.Cred, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil, fmt.Errorf("it is not a UNIX socket: %w", access.ErrNoCred)
	}
	return access.CredOf(u)
}

// readRequest reads one line, or the rest before the end.
func readRequest(c net.Conn) (*Request, error) {
	c.SetReadDeadline(time.Now().Add(requestTime))
	b, err := bufio.NewReaderSize(io.LimitReader(c, MaxRequest+1), MaxRequest+1).ReadBytes('\n')
	if err != nil && err != io.EOF {
		return nil, errors.New("the request did not arrive in time")
	}
	return ParseRequest(b)
}

// An Answer writes the answer to a request. It is for one goroutine.
type Answer struct {
	c   net.Conn
	ctx context.Context
}

// Send sends one part of the answer. An error means that the client is gone or
// not reading.
func (a *Answer) Send(part string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%s: %w", part, err)
	}
	if part != Clean(part) || strings.ContainsAny(part, `"\<>&`) {
		return a.write(frame{Part: part, Data: b})
	}
	// A frame as it would be, without reading b once more.
	return a.line(slices.Concat([]byte(partBefore+part+dataBefore), b, []byte("}")))
}

// What stands in a frame before its part and before its data.
const (
	partBefore = `{"part":"`
	dataBefore = `","data":`
)

func (a *Answer) write(f frame) error {
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return a.line(b)
}

// line writes a frame.
func (a *Answer) line(b []byte) (err error) {
	a.c.SetWriteDeadline(time.Now().Add(writeTime))
	if a.ctx.Err() != nil {
		return a.ctx.Err()
	}
	_, err = a.c.Write(append(b, '\n'))
	return err
}

// maxErrors bounds the errors in one answer.
const maxErrors = 100

// fail ends the answer with an error, or several joined ones.
func (a *Answer) fail(err error) error {
	list := Texts(err)
	if len(list) > maxErrors {
		list = append(list[:maxErrors], fmt.Sprintf("and %d more", len(list)-maxErrors))
	}
	return a.write(frame{Errors: list})
}

// Texts returns the texts of joined errors.
func Texts(err error) []string {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var all []string
		for _, e := range many.Unwrap() {
			all = append(all, Texts(e)...)
		}
		return all
	}
	return []string{err.Error()}
}
