package proto

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
)

// aheadSize is the size of a read buffer below TLS: some full records, so that
// a busy connection needs fewer system calls than crypto/tls alone, which
// reads a record in one or two.
const aheadSize = 40 << 10

var aheadBuffers = sync.Pool{New: func() any { b := make([]byte, aheadSize); return &b }}

// ahead reads ahead for a tls.Conn, and hands it no byte of the next record
// before it asks. So between records crypto/tls holds nothing, which it does
// not tell otherwise, and the connection can wait for input on its socket,
// without a buffer. Only one goroutine may read.
type ahead struct {
	net.Conn
	rc   syscall.RawConn
	buf  *[]byte // from aheadBuffers while r < w
	r, w int
	err  error // what the socket said after the bytes in buf

	received atomic.Uint64 // bytes read from the socket

	left   int32   // bytes of the body of the record being handed out that are to come
	header [5]byte // of that record
	have   int8    // bytes of it so far

	shaken  bool    // the handshake is done
	proves  bool    // it was one that answers a challenge of a certificate authority
	waiting bool    // waits has been told so
	owes    bool    // the kernel may hold back the acknowledgement of the client's last words
	noWait  bool    // a Read that would wait is errWouldWait
	tries   bool    // and so is one that finds nothing on the socket
	held    [7]byte // an alert of crypto/tls about the client's certificate, if held[0] is set

	local net.Addr // that the client has connected to
	waits teller   // told of waiting, during the handshake

	unsent atomic.Pointer[unsent] // what TryWrite could not send; nil before the first one

	fill func(fd uintptr) bool // reads from the socket; made once
	n    int                   // its results
	ferr error

	out gathered
}

func newAhead(nc net.Conn) *ahead {
	a := &ahead{Conn: nc}
	a.initFill()
	return a
}

// AnswersChallenge is called when the handshake is one of a certificate
// authority that looks for the answer to its challenge.
func (a *ahead) AnswersChallenge() { a.proves = true }

// LocalAddr returns the address that the client has connected to.
func (a *ahead) LocalAddr() net.Addr { return a.local }

// Read hands out buffered bytes, up to the end of a record.
func (a *ahead) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if a.r == a.w {
		if err := a.more(); err != nil {
			return 0, err
		}
	}
	if !a.shaken && a.atBoundary() {
		if alert := bareAlert((*a.buf)[a.r:a.w]); alert != nil {
			return 0, alert
		}
	}
	n := a.measure((*a.buf)[a.r:min(a.w, a.r+len(b))])
	copy(b, (*a.buf)[a.r:a.r+n])
	a.r += n
	if a.r == a.w {
		a.release()
	}
	return n, nil
}

// Write writes b. It holds back crypto/tls's alert about the client's
// certificate where it goes out in plain text, which is so before TLS 1.3: the
// error that the handshake is about to return tells what the right one is.
func (a *ahead) Write(b []byte) (int, error) {
	if h := a.unsent.Load(); h != nil {
		return a.hold(h, b)
	}
	if a.shaken || !endsWithBadCertificate(b) {
		return a.out.write(a, b)
	}
	rest := len(b) - alertRecordLen // crypto/tls flushes it together with what came before
	copy(a.held[:], b[rest:])
	if rest > 0 {
		if n, err := a.Conn.Write(b[:rest]); err != nil {
			return n, err
		}
	}
	return len(b), nil
}

// sendHeld sends the alert that was held back, as err has it.
func (a *ahead) sendHeld(err error) {
	if a.held[0] != 0 {
		a.held[6] = alertFor(err)
		a.Conn.Write(a.held[:]) // the connection is over either way
	}
}

// measure returns how many bytes of p belong to the record being handed out,
// and notes them.
func (a *ahead) measure(p []byte) (n int) {
	if a.left == 0 {
		n = copy(a.header[a.have:], p)
		a.have += int8(n)
		if int(a.have) < len(a.header) {
			return n
		}
		a.have = 0
		a.left = int32(a.header[3])<<8 | int32(a.header[4])
		p = p[n:]
	}
	m := min(len(p), int(a.left))
	a.left -= int32(m)
	return n + m
}

// atBoundary reports whether crypto/tls has been given whole records only.
func (a *ahead) atBoundary() bool { return a.left == 0 && a.have == 0 }

// wait returns when Read has something to say. Errors other than a passed
// deadline are left to Read.
func (a *ahead) wait() error {
	if a.r < a.w || a.err != nil || !a.atBoundary() {
		return nil
	}
	err := a.more()
	if err == nil || a.err != nil {
		return nil
	}
	return err
}

// more waits for bytes and reads them. An end or failure of the socket is kept
// for later calls; a passed deadline is not.
func (a *ahead) more() error {
	switch {
	case a.err != nil:
		return a.err
	case a.noWait:
		return errWouldWait{}
	}
	n, err := a.readSocket()
	if n > 0 {
		a.r, a.w = 0, n
		if a.received.Add(uint64(n)) == uint64(n) && !a.shaken {
			a.splitHello()
		}
		return nil
	}
	a.release()
	if err == nil {
		err = io.ErrNoProgress
	}
	if ne, ok := err.(net.Error); !ok || !ne.Timeout() {
		a.err = err
	}
	return err
}

// largestPiece is how large a record may be for which crypto/tls keeps a buffer
// of 1152 bytes; for a larger one it is 2 KiB or more.
const largestPiece = 1152 - 5 - bytes.MinRead

// splitHello makes several records of a large ClientHello that has come as one,
// as one with a post-quantum key share is. TLS allows that (RFC 8446, section
// 5.1), and it changes no message. crypto/tls keeps its buffers for as long as
// the connection lasts, at the size of the largest record and message.
//
// The other buffer, for messages, doubles: pieces of equal size that are a power
// of two in number make it no larger than one record would.
func (a *ahead) splitHello() {
	const handshake, clientHello = 22, 1
	b := (*a.buf)[:a.w]
	if len(b) < 6 || b[0] != handshake || b[1] != 3 || b[5] != clientHello {
		return
	}
	size := int(b[3])<<8 | int(b[4])
	pieces := 1
	for size > pieces*largestPiece {
		pieces *= 2
	}
	more := (pieces - 1) * len(a.header)
	if pieces == 1 || size > maxRecord || len(b) < len(a.header)+size || len(b)+more > len(*a.buf) {
		return
	}
	all := (*a.buf)[:len(b)+more]
	whole := len(a.header) + size
	copy(all[whole+more:], b[whole:])
	each := (size + pieces - 1) / pieces
	for p := pieces - 1; p >= 0; p-- { // from the end, as they move up
		from, to := len(a.header)+min(p*each, size), len(a.header)+min((p+1)*each, size)
		at := from + p*len(a.header)
		copy(all[at:], b[from:to])
		copy(all[at-len(a.header):], []byte{handshake, 3, b[2], byte((to - from) >> 8), byte(to - from)})
	}
	a.w = len(all)
}

// holdsRecord reports whether the next record that carries bytes is in buf as a
// whole.
func (a *ahead) holdsRecord() bool {
	const applicationData = 23
	if a.w-a.r < len(a.header) || !a.atBoundary() {
		return false
	}
	b := (*a.buf)[a.r:a.w]
	return b[0] == applicationData && len(b) >= len(a.header)+int(b[3])<<8+int(b[4])
}

// errWouldWait is the error of a Read that may not wait. crypto/tls goes on
// after a timeout that it takes for temporary.
type errWouldWait struct{}

func (errWouldWait) Error() string   { return "there is nothing to read" }
func (errWouldWait) Timeout() bool   { return true }
func (errWouldWait) Temporary() bool { return true }

// readPlain reads without the poller's help: it holds a buffer while it waits.
func (a *ahead) readPlain() (int, error) {
	a.take()
	a.startWait()
	n, err := a.Conn.Read(*a.buf)
	a.endWait()
	return n, err
}

func (a *ahead) startWait() {
	if a.waits != nil {
		a.waiting = true
		a.waits.Waiting()
	}
}

func (a *ahead) endWait() {
	if a.waiting {
		a.waiting = false
		a.waits.Woken()
	}
}

func (a *ahead) take() {
	if a.buf == nil {
		a.buf = aheadBuffers.Get().(*[]byte)
	}
}

func (a *ahead) release() {
	if a.buf != nil {
		aheadBuffers.Put(a.buf)
		a.buf = nil
	}
	a.r, a.w = 0, 0
}
