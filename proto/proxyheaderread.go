package proto

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// ErrNoProxyHeader is the error of ReadProxyHeader where the bytes are not a
// PROXY header.
var ErrNoProxyHeader = errors.New("the client began with something else")

// ErrNoProxyByte is in the error of ReadProxyHeader and PeekProxyHeader, beside
// what ended the connection, where nothing had come before; but if that is
// io.EOF.
var ErrNoProxyByte = errors.New("the client left without a word")

// A silent is the error of a connection that ended before anything had come.
type silent struct{ error }

// Is reports that it is ErrNoProxyByte.
func (silent) Is(target error) bool { return target == ErrNoProxyByte }

// Unwrap returns what ended the connection.
func (s silent) Unwrap() error { return s.error }

// ReadProxyHeader reads a PROXY header from nc, and no byte more. It waits up
// to nc's read deadline. It returns an error that wraps ErrNoProxyHeader as
// soon as the bytes cannot be a header; some of them are gone then. An nc that
// ends within the header gives io.ErrUnexpectedEOF, or io.EOF if it ends
// before it.
func ReadProxyHeader(nc net.Conn) (*ProxyHeader, error) {
	head := make([]byte, proxyV2Head)
	n, err := readSignature(nc, head)
	switch {
	case err != nil:
		return nil, err
	case head[0] == proxyV1Sign[0]:
		return readProxyV1(nc, head[:n])
	}
	if _, err := readFull(nc, head[n:]); err != nil {
		return nil, err
	}
	return readProxyV2(nc, head)
}

// readSignature reads up to len(b) bytes, until they have a whole signature:
// that of version 1 alone, or that of version 2 with what follows it for sure.
func readSignature(nc net.Conn, b []byte) (n int, err error) {
	for {
		end := len(b)
		if n < len(proxyV1Sign) {
			end = len(proxyV1Sign)
		}
		m, err := nc.Read(b[n:end])
		n += m
		match := matchProxy(b[:n])
		switch {
		case n > 0 && match == ProxyNone:
			return n, fmt.Errorf("%w: %q", ErrNoProxyHeader, b[:n])
		case match == ProxyFound:
			return n, nil
		case err == io.EOF && n > 0:
			return n, io.ErrUnexpectedEOF
		case err != nil && n == 0 && err != io.EOF && !isTimeout(err):
			return n, silent{err}
		case err != nil:
			return n, err
		}
	}
}

func readProxyV2(nc net.Conn, head []byte) (*ProxyHeader, error) {
	v, err := parseProxyV2Head(head)
	if err != nil {
		return nil, fmt.Errorf("version 2: %w", err)
	}
	b := make([]byte, proxyV2Head+v.length)
	copy(b, head)
	if _, err := readFull(nc, b[proxyV2Head:]); err != nil {
		return nil, err
	}
	h, err := parseProxyV2(v, b)
	if err != nil {
		return nil, fmt.Errorf("version 2: %w", err)
	}
	return h, nil
}

// readProxyV1 reads the rest of a line of which it is given the beginning.
func readProxyV1(nc net.Conn, begun []byte) (*ProxyHeader, error) {
	b := make([]byte, proxyV1Max)
	n := copy(b, begun)
	for bytes.IndexByte(b[:n], '\n') < 0 {
		if n == len(b) {
			return nil, fmt.Errorf("version 1: no end within %d bytes", proxyV1Max)
		}
		// Look first: the line's end is to be the last byte that is taken.
		// Where that cannot be done a byte is read at a time.
		take := 1
		if m, err := peek(nc, b[n:], 1); err == nil {
			take = m
			if i := bytes.IndexByte(b[n:n+m], '\n'); i >= 0 {
				take = i + 1
			}
		} else if !errors.Is(err, errors.ErrUnsupported) {
			return nil, unexpected(err)
		}
		if _, err := readFull(nc, b[n:n+take]); err != nil {
			return nil, err
		}
		n += take
	}
	line, ok := strings.CutSuffix(string(b[:n]), "\r\n")
	if !ok {
		return nil, errors.New("version 1: no CR before the LF")
	}
	h, err := parseProxyV1(line)
	if err != nil {
		return nil, fmt.Errorf("version 1: %w", err)
	}
	return h, nil
}

// readFull fills b, which is not at a header's beginning.
func readFull(nc net.Conn, b []byte) (int, error) {
	n, err := io.ReadFull(nc, b)
	return n, unexpected(err)
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// A ProxyMatch tells whether bytes are a PROXY header.
type ProxyMatch int

// What bytes can be.
const (
	ProxyNone    ProxyMatch = iota // none, or nothing has come
	ProxyPartial                   // the beginning of a signature
	ProxyFound                     // a whole signature
)

func matchProxy(b []byte) ProxyMatch {
	for _, sign := range []string{proxyV1Sign, proxyV2Sign} {
		n := min(len(b), len(sign))
		switch {
		case n == 0 || string(b[:n]) != sign[:n]:
		case n == len(sign):
			return ProxyFound
		default:
			return ProxyPartial
		}
	}
	return ProxyNone
}

// PeekProxyHeader looks whether nc begins with a PROXY header, and takes
// nothing. It waits up to nc's read deadline for enough bytes to tell; when
// that passes it returns the error, and what the bytes so far were. An nc that
// has ended has no header.
//
// nc must come from Peekable.
func PeekProxyHeader(nc net.Conn) (ProxyMatch, error) {
	var b [len(proxyV2Sign)]byte
	for n := 0; ; {
		m, err := peek(nc, b[:], n+1)
		n = max(n, m)
		match := matchProxy(b[:n])
		switch {
		case n > 0 && match != ProxyPartial:
			return match, nil
		case err == io.EOF:
			return ProxyNone, nil
		case err != nil && n == 0 && !isTimeout(err):
			return match, silent{err}
		case err != nil:
			return match, err
		}
	}
}

// Peekable returns nc, if PeekProxyHeader can look into it without taking
// bytes, or else a connection over nc that can.
func Peekable(nc net.Conn) net.Conn {
	if canPeek(nc) {
		return nc
	}
	return &peekable{Conn: nc}
}

// A peekable keeps what was peeked for the reads that follow. It is used by
// one reader at a time.
type peekable struct {
	net.Conn
	seen []byte // short, and nil when it is used up
	err  error  // the end that came after it
}

// peek reads until there are at least n bytes, and copies them to b.
func (p *peekable) peek(b []byte, n int) (int, error) {
	for len(p.seen) < n && p.err == nil {
		buf := make([]byte, n-len(p.seen))
		m, err := p.Conn.Read(buf)
		p.seen = append(p.seen, buf[:m]...)
		if err != nil && !isTimeout(err) {
			p.err = err
		} else if err != nil {
			return copy(b, p.seen), err
		}
	}
	m := copy(b, p.seen)
	if m < n {
		return m, p.err
	}
	return m, nil
}

// Read returns what was peeked, and then what comes.
func (p *peekable) Read(b []byte) (int, error) {
	if len(p.seen) > 0 {
		n := copy(b, p.seen)
		if p.seen = p.seen[n:]; len(p.seen) == 0 {
			p.seen = nil
		}
		return n, nil
	}
	if p.err != nil {
		return 0, p.err
	}
	return p.Conn.Read(b)
}

// CloseWrite is that of the connection below, if it has one.
func (p *peekable) CloseWrite() error {
	if w, ok := p.Conn.(HalfCloser); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// peek copies to b what nc has, at least n bytes of it, and takes none. It
// waits for them up to nc's read deadline; with an error it has copied what
// there was. An nc that has fewer bytes and no more to come may give io.EOF,
// or wait.
func peek(nc net.Conn, b []byte, n int) (int, error) {
	if p, ok := nc.(*peekable); ok {
		return p.peek(b, n)
	}
	if canPeek(nc) {
		return peekSocket(nc, b, n)
	}
	return 0, errors.ErrUnsupported
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
