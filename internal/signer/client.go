package signer

import (
	"crypto"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// ErrGone is the error of a signature after the key agent has ended.
var ErrGone = errors.New("the process that holds the private keys is gone")

// ErrSlow is the error of a signature that did not arrive within Timeout.
var ErrSlow = errors.New("the process that holds the private keys does not answer")

// ErrRefused is the error of a signature that the key agent refused.
var ErrRefused = errors.New("the process that holds the private keys refused to sign")

// Timeout bounds the wait for a signature; the wait may end after half of it.
const Timeout = 10 * time.Second

// maxWaiting bounds the outstanding requests to what a socket's buffers hold,
// so that sending never blocks.
const maxWaiting = 128

// A Client requests signatures from a Server. It needs no goroutine of its
// own: one of the waiting callers reads the answers for all. It is safe for
// concurrent use.
type Client struct {
	c     net.Conn
	room  chan struct{} // one element for each outstanding request
	lead  chan struct{} // one element while somebody reads
	calls sync.Pool     // of *call

	write sync.Mutex // one request at a time

	mu      sync.Mutex
	last    uint32
	waiting map[uint32]*call // nil for a request nobody waits for any more
	broken  error

	// For the reader only.
	in    []byte
	until time.Time // the read deadline
}

// NewClient returns a Client over c. Closing the Client closes c.
func NewClient(c net.Conn) *Client {
	return &Client{
		c: c, room: make(chan struct{}, maxWaiting), lead: make(chan struct{}, 1),
		waiting: make(map[uint32]*call), in: make([]byte, 0, 2*(answerHead+maxSignature)),
	}
}

// Close ends the connection. Signatures fail with ErrGone from then on.
func (c *Client) Close() error { return c.c.Close() }

// Key returns the Server's key with the number id. It is a crypto.Signer and
// crypto.MessageSigner for crypto/tls, and can do nothing else.
func (c *Client) Key(id uint32, pub crypto.PublicKey) crypto.Signer {
	return &remote{c: c, id: id, pub: pub}
}

// A remote is a key in another process.
type remote struct {
	c   *Client
	id  uint32
	pub crypto.PublicKey
}

func (k *remote) Public() crypto.PublicKey { return k.pub }

// SignMessage signs a handshake message. The other process supplies the
// randomness.
func (k *remote) SignMessage(_ io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	scheme := schemeOf(k.pub, opts)
	if scheme == 0 || len(msg) > maxMessage {
		return nil, fmt.Errorf("%w: not a signature of a handshake", ErrRefused)
	}
	return k.c.ask(request{key: k.id, scheme: scheme, msg: msg})
}

// Sign signs the hash of a handshake of TLS 1.0 or 1.1.
func (k *remote) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if h := opts.HashFunc(); h != crypto.SHA1 && h != crypto.MD5SHA1 || len(digest) != h.Size() {
		return nil, fmt.Errorf("%w: not a signature of a handshake", ErrRefused)
	}
	return k.c.ask(request{key: k.id, scheme: legacy, msg: digest})
}

// A call is an outstanding request.
type call struct {
	done  chan result // holds one
	timer *time.Timer // nil until it is needed
	armed bool
	buf   []byte
}

// late returns a channel that fires when the call has taken too long. Most
// calls never need it.
func (p *call) late() <-chan time.Time {
	switch {
	case p.timer == nil:
		p.timer = time.NewTimer(Timeout)
	case !p.armed:
		p.timer.Reset(Timeout)
	}
	p.armed = true
	return p.timer.C
}

func (p *call) stop() {
	if p.armed {
		p.timer.Stop()
		p.armed = false
	}
}

type result struct {
	sig []byte
	err error
}

func (c *Client) ask(r request) ([]byte, error) {
	p, ok := c.calls.Get().(*call)
	if !ok {
		p = &call{done: make(chan result, 1)}
	}
	select {
	case c.room <- struct{}{}:
	default:
		select {
		case c.room <- struct{}{}:
		case <-p.late():
			return nil, ErrSlow
		}
	}
	if err := c.begin(&r, p); err != nil {
		<-c.room
		return nil, err
	}
	c.send(r, p)
	res, ok := c.await(r.id, p)
	if p.stop(); ok {
		c.calls.Put(p)
	}
	return res.sig, res.err
}

// begin registers an outstanding request.
func (c *Client) begin(r *request, p *call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return c.broken
	}
	c.last++
	r.id = c.last
	c.waiting[r.id] = p
	return nil
}

func (c *Client) send(r request, p *call) {
	p.buf = appendRequest(p.buf[:0], r)
	c.write.Lock()
	_, err := c.c.Write(p.buf)
	c.write.Unlock()
	if err != nil {
		c.fail(fmt.Errorf("%w: %w", ErrGone, err))
	}
}

// await waits for the answer, and reads everybody's answers unless somebody
// else does. It returns false if p may still be answered.
func (c *Client) await(id uint32, p *call) (result, bool) {
	leads := false
	select {
	case r := <-p.done:
		return r, true
	case c.lead <- struct{}{}:
		leads = true
	default:
		select {
		case r := <-p.done:
			return r, true
		case c.lead <- struct{}{}:
			leads = true
		case <-p.late():
		}
	}
	if leads {
		if r, ok := c.leading(p); ok {
			return r, true
		}
	}
	c.forget(id)
	return result{err: ErrSlow}, false
}

// leading reads, and then lets somebody else read.
func (c *Client) leading(p *call) (result, bool) {
	defer func() { <-c.lead }()
	return c.read(p)
}

// forget gives up on a request; its answer still frees room when it comes.
func (c *Client) forget(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.waiting[id]; ok {
		c.waiting[id] = nil
	}
}

// read reads answers until p has its own or timed out.
func (c *Client) read(p *call) (r result, ok bool) {
	// Setting a deadline for each read would cost as much as the rest.
	if now := time.Now(); c.until.Sub(now) < Timeout/2 {
		c.until = now.Add(Timeout)
		c.c.SetReadDeadline(c.until)
	}
	for {
		select {
		case r := <-p.done:
			return r, true
		default:
		}
		n, err := c.c.Read(c.in[len(c.in):cap(c.in)])
		c.in = c.in[:len(c.in)+n]
		good := c.deliver()
		var ne net.Error
		switch {
		case !good:
			c.fail(fmt.Errorf("%w: it sent what is no answer", ErrGone))
		case errors.As(err, &ne) && ne.Timeout():
			return r, false
		case err == io.EOF:
			c.fail(ErrGone)
		case err != nil:
			c.fail(fmt.Errorf("%w: %w", ErrGone, err))
		}
	}
}

// deliver distributes the complete answers read so far.
func (c *Client) deliver() bool {
	rest := c.in
	for {
		a, n, ok := parseAnswer(rest)
		if !ok {
			return false
		}
		if n == 0 {
			c.in = c.in[:copy(c.in, rest)]
			return true
		}
		rest = rest[n:]
		c.mu.Lock()
		p, known := c.waiting[a.id]
		delete(c.waiting, a.id)
		c.mu.Unlock()
		if !known {
			continue
		}
		<-c.room
		if p == nil {
			continue
		}
		if a.st != statusSigned {
			p.done <- result{err: fmt.Errorf("%w: %v", ErrRefused, a.st)}
			continue
		}
		p.done <- result{sig: append([]byte(nil), a.sig...)}
	}
}

// fail fails all outstanding and future requests.
func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return
	}
	c.broken = err
	c.c.Close()
	for id, p := range c.waiting {
		delete(c.waiting, id)
		<-c.room
		if p != nil {
			p.done <- result{err: err}
		}
	}
}
