package httpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"netserver"
)

// A conn is a client as net/http sees it. It hides ConnectionState: net/http
// would not look for HTTP/2 on a connection that has it. It has no ReadFrom
// either: for that net/http sends the head of an answer by itself, before the
// body, and the kernel copies no file for us that would make up for it.
type conn struct {
	c   *netserver.Conn
	ctx context.Context
	s   *servers
	tls *tls.ConnectionState // of an HTTP/2 client, for its requests
	h2  bool

	reads    reads
	phase    atomic.Int32
	goneAway atomic.Bool // GOAWAY was sent
	failed   atomic.Bool // no further request can come
	over     atomic.Bool // net/http has closed it
	requests atomic.Uint64
	open     atomic.Int32 // requests that are being answered, and one for net/http's Close
	done     func()       // what is called at the end; nil if the client is detached

	mu       sync.Mutex
	err      error // what ended the client, if that is worth an error
	notes    []slog.Attr
	answered uint64 // requests of a certificate authority
	proof    error  // what ends the client if all were such
}

// The phases of an HTTP/1.1 connection.
const (
	phaseHead     = iota // a request's head is being read
	phaseHandler         // and the request answered
	phaseIdle            // nothing of the next one is here
	phaseHijacked        // the connection is the handler's
)

// A tlsConn is a conn of HTTP/1.1 over TLS.
type tlsConn struct{ *conn }

// ConnectionState is where net/http takes Request.TLS from.
func (t tlsConn) ConnectionState() tls.ConnectionState { return *t.c.TLS() }

// lastLook is how long a client may take to be seen to have sent a request
// before the server drained: its goroutine must run within that time.
const lastLook = 20 * time.Millisecond

// peeked is how many bytes of a further request net/http waits for, within the
// idle limit, before the head's time begins.
const peeked = 4

// Read reads from the client. It ends when the server drains, if nothing of a
// request is here.
func (hc *conn) Read(b []byte) (int, error) {
	n, err := hc.readBy(b)
	if err == netserver.ErrDraining {
		hc.s.drain()
		if hc.phase.Load() == phaseIdle {
			// It may have come since the read was told.
			hc.SetReadDeadline(time.Now().Add(lastLook))
		}
		n, err = hc.readBy(b)
	}
	if n > 0 && !hc.h2 && hc.phase.CompareAndSwap(phaseIdle, phaseHead) && n < peeked {
		hc.SetReadDeadline(time.Now().Add(hc.s.h.headerTimeout()))
	}
	if err != nil {
		hc.readFailed(err)
	}
	return n, err
}

// readFailed notes why a read failed, if that ends the client and net/http says
// nothing of it.
func (hc *conn) readFailed(err error) {
	if phase := hc.phase.Load(); hc.h2 || phase == phaseHead || phase == phaseIdle {
		hc.failed.Store(true)
	}
	switch {
	case err == io.EOF:
	case errors.Is(err, syscall.ETIMEDOUT): // the kernel tells whoever asks first
		hc.fail(fmt.Errorf("%w: %w", netserver.ErrWriteStalled, err))
	case !errors.Is(err, os.ErrDeadlineExceeded):
		hc.fail(err)
	case hc.h2 && hc.requests.Load() == 0, !hc.h2 && hc.phase.Load() == phaseHead:
		hc.fail(fmt.Errorf("%w: no whole request head within %v", netserver.ErrFirstRequestTimeout, hc.s.h.headerTimeout()))
	}
}

// Write writes to the client.
func (hc *conn) Write(b []byte) (int, error) {
	if hc.h2 {
		hc.sniffGoAway(b)
	} else if phase := hc.phase.Load(); phase == phaseHead || phase == phaseIdle { // then more than one request came at once
		hc.sniffStatus(b)
	}
	n, err := hc.c.Write(b)
	if err != nil {
		hc.fail(err)
	}
	return n, err
}

// CloseWrite tells the client that nothing more will come.
func (hc *conn) CloseWrite() error { return hc.c.CloseWrite() }

// Close ends the client once all its requests are answered; of HTTP/2 some may
// still be. The engine then closes the connection such that what the client
// still sends does not lose what it has not read yet. Somebody who reads
// meanwhile needs it closed at once.
//
// While net/http closes what looks idle to it, nothing is closed: a request may
// have come since it looked, and the read that waits is told of the drain. If it
// was the connection's own goroutine that called Close, changed ends the client.
func (hc *conn) Close() error {
	if !hc.h2 && hc.phase.Load() != phaseHijacked && hc.s.sparing.Load() {
		return nil
	}
	return hc.close()
}

func (hc *conn) close() error {
	hc.sniffSilence()
	if hc.over.Swap(true) {
		return net.ErrClosed
	}
	if hc.h2 || hc.reads.busy() {
		hc.c.Close()
	}
	hc.leave()
	return nil
}

// join notes that a request of HTTP/2 is being answered. It reports false if the
// client has ended since net/http took the request: it starts a goroutine for
// each, and does not wait for them at the end of the connection.
func (hc *conn) join() bool {
	for {
		n := hc.open.Load()
		if n <= 0 {
			return false
		}
		if hc.open.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// leave notes that a request is answered, or that net/http is done.
func (hc *conn) leave() {
	if hc.open.Add(-1) > 0 {
		return
	}
	hc.s.h.leave(hc.s)
	if hc.done != nil {
		hc.done()
		return
	}
	if hc.phase.Load() == phaseHijacked || hc.s.draining() {
		go hc.c.End(hc.end()) // others wait for this Close
		return
	}
	hc.c.End(hc.end())
}

// SetDeadline sets both deadlines.
func (hc *conn) SetDeadline(t time.Time) error {
	return errors.Join(hc.SetReadDeadline(t), hc.SetWriteDeadline(t))
}

// The others are those of the client.
func (hc *conn) LocalAddr() net.Addr  { return hc.c.LocalAddr() }
func (hc *conn) RemoteAddr() net.Addr { return hc.c.RemoteAddr() }

// changed notes what net/http says of an HTTP/1.1 connection.
func (hc *conn) changed(s http.ConnState) {
	if hc.h2 {
		return
	}
	switch s {
	case http.StateIdle:
		hc.phase.Store(phaseIdle)
	case http.StateHijacked:
		hc.phase.Store(phaseHijacked)
		hc.disarm()
	case http.StateClosed:
		if !hc.over.Load() {
			hc.close()
		}
	}
}

// fail notes what ended the client, unless that was net/http; the first counts.
func (hc *conn) fail(err error) {
	if hc.over.Load() {
		return
	}
	hc.mu.Lock()
	defer hc.mu.Unlock()
	if hc.err == nil {
		hc.err = err
	}
}

// maxNotes bounds what the requests of one client add to its record.
const maxNotes = 16

func (hc *conn) note(attrs ...slog.Attr) {
	hc.mu.Lock()
	defer hc.mu.Unlock()
	hc.notes = append(hc.notes, attrs[:min(len(attrs), maxNotes-len(hc.notes))]...)
}

// end returns the client's error, and adds to its record what its requests were.
func (hc *conn) end() error {
	hc.mu.Lock()
	defer hc.mu.Unlock()
	name := "http/1"
	if hc.h2 {
		name = "h2"
	}
	hc.c.Note(slog.String("http", name), slog.Uint64("requests", hc.requests.Load()))
	hc.c.Note(hc.notes...)
	if hc.err == nil && hc.answered > 0 && hc.answered == hc.requests.Load() {
		return hc.proof
	}
	return hc.err
}

// A connContext is the context of a client's requests.
type connContext struct {
	context.Context
	hc *conn
	s  *http.Server
}

type connKey struct{}

// Value returns the conn, the http.Server, and the values of the client.
func (c *connContext) Value(key any) any {
	switch key {
	case connKey{}:
		return c.hc
	case http.ServerContextKey:
		return c.s
	}
	return c.Context.Value(key)
}

func connOf(ctx context.Context) *conn {
	hc, _ := ctx.Value(connKey{}).(*conn)
	return hc
}
