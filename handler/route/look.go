package route

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"netserver"
	"netserver/internal/hello"
	"netserver/proto"
)

// A look is the choice of a route for one client.
type look struct {
	h     *Handler
	c     *netserver.Conn
	facts Facts
	left  bool // the client has, and sent nothing
}

// choose returns the number of the client's route, that of the default if there
// is one, or -1. The error is the client's.
func (l *look) choose() (int, error) {
	f := &l.facts
	x := l.h.index
	needs := x.looks || x.names && f.Plain && f.tls == No
	if f.Datagram || !needs || l.c.Hello() != nil {
		return l.settled(), nil
	}
	if f.Plain && x.names {
		f.tls = More
	}
	begin := time.Now()
	defer l.c.SetReadDeadline(time.Time{})
	for {
		at, wait := l.now()
		if at >= 0 || wait == 0 {
			return at, nil
		}
		l.c.SetReadDeadline(begin.Add(wait))
		if err := l.more(); err != nil {
			return -1, err
		}
		f.Waited = time.Since(begin)
		if f.Waited >= l.h.wait() {
			f.Ended = true // what is not there by now does not count
			if f.tls == More && hello.Begins(f.First) {
				return -1, fmt.Errorf("%w: of %d bytes after %v", proto.ErrHelloTimeout, len(f.First), l.h.wait())
			}
			if err := l.readHello(); err != nil {
				return -1, err
			}
			return l.settled(), nil
		}
	}
}

// wait returns how long the first bytes of a client are waited for at most.
func (h *Handler) wait() time.Duration {
	wait := h.Wait
	if wait <= 0 {
		wait = defaultWait
	}
	return max(wait, h.index.silence)
}

// now returns the client's route, or -1 and how long, since the beginning, to
// wait for what decides; 0 if nothing will. A route whose conditions hold waits
// for those before it that may be the client's, unless it is for those who stay
// silent.
func (l *look) now() (at int, wait time.Duration) {
	f, x := &l.facts, l.h.index
	open := f.tls == More // whose name may be that of another route
	for i := range x.candidates(f.ServerName) {
		r := &l.h.Routes[i]
		if r.PassThrough && f.Decrypted {
			continue
		}
		switch r.verdict(f) {
		case Yes:
			if !open || r.isSilent(f) {
				return i, 0
			}
		case More:
			open = true
		}
	}
	if open {
		return -1, l.until()
	}
	return l.otherwise(), 0
}

// until returns when to look again, with or without more bytes.
func (l *look) until() time.Duration {
	wait := l.h.wait()
	if len(l.facts.First) > 0 {
		return wait
	}
	for i := range l.h.Routes {
		for _, m := range l.h.Routes[i].forms() {
			if m.silence > l.facts.Waited {
				wait = min(wait, m.silence)
			}
		}
	}
	return wait
}

// settled returns the route by what is known, where nothing more will be.
func (l *look) settled() int {
	f := &l.facts
	for i := range l.h.index.candidates(f.ServerName) {
		r := &l.h.Routes[i]
		if (!r.PassThrough || !f.Decrypted) && r.verdict(f) == Yes {
			return i
		}
	}
	return l.otherwise()
}

func (l *look) otherwise() int {
	if l.h.Default == nil {
		return -1
	}
	return len(l.h.Routes)
}

// more waits for a byte more than there is, and looks at all there is then. It
// returns at the client's end and at the deadline as well.
func (l *look) more() error {
	f := &l.facts
	if f.Ended {
		return nil
	}
	limit := maxFirst
	if f.tls == More {
		limit = hello.Longest
	}
	if len(f.First) >= limit {
		f.Ended = true
		return nil
	}
	b, err := l.c.Peek(len(f.First) + 1)
	if isDeadline(err) {
		// A read that begins after its deadline, as on a busy machine, has not
		// looked at what is there. The next one has time for that.
		l.c.SetReadDeadline(time.Now().Add(lastLook))
		b, err = l.c.Peek(len(f.First) + 1)
	}
	switch {
	case err == nil:
		if n := min(l.c.Buffered(), limit); n > len(b) {
			if b, err = l.c.Peek(n); err != nil {
				return err
			}
		}
	case isDeadline(err):
	case errors.Is(err, io.EOF):
		f.Ended, l.left = true, len(b) == 0
	default:
		return err
	}
	f.First = b
	return l.readHello()
}

// lastLook is how long a read may take that is to return what is there.
const lastLook = time.Millisecond

// isDeadline reports whether a read ended by the deadline that was set here.
func isDeadline(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) && !isLimit(err) }

// isLimit reports whether a read ended by a limit of the port.
func isLimit(err error) bool {
	return errors.Is(err, netserver.ErrIdle) || errors.Is(err, netserver.ErrMaxLife) || errors.Is(err, netserver.ErrTooSlow) || errors.Is(err, netserver.ErrDraining)
}

// readHello reads the hello of a TLS client of a plain port, once it is whole.
// One that cannot be read is an error: without it the client would take a route
// for those who send none.
func (l *look) readHello() error {
	f := &l.facts
	if f.tls != More || len(f.First) == 0 && !f.Ended {
		return nil
	}
	_, need := hello.Message(f.First)
	if need > 0 && !f.Ended {
		return nil
	}
	f.tls = No
	h, err := proto.ParseClientHello(f.First)
	switch {
	case err == nil:
		f.fromHello(h)
	case hello.Begins(f.First) && need > 0:
		return fmt.Errorf("%w: the client ended in it", proto.ErrBadHello)
	case hello.Begins(f.First):
		return proto.ErrBadHello
	}
	return nil
}
