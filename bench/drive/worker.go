package drive

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"netserver/bench/loopback"
)

const (
	opLimit     = 10 * time.Second // of one operation; all connections have it
	packetLimit = time.Second      // after which a datagram counts as lost
)

var line = []byte("compare sends one line of text\n")

// A worker is one client that does one operation after the other.
type worker struct {
	o   *Options
	cfg *tls.Config
	c   net.Conn // that stays, of kinds that have one
	req []byte
	in  *bytesReader
	buf []byte

	done, bytes, failed, resumed int64
	took                         []time.Duration
	suite                        uint16
	group                        tls.CurveID
	err                          error
}

// clientTLS is the clients' configuration. The certificate's chain is not
// looked at, its signature is.
func (o *Options) clientTLS() *tls.Config {
	cfg := &tls.Config{
		InsecureSkipVerify: true,
		MinVersion:         o.Version, MaxVersion: o.Version,
		CurvePreferences:       []tls.CurveID{o.Group},
		SessionTicketsDisabled: !o.Resume,
		// Of TLS 1.2; that of 1.3 cannot be chosen here.
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
	}
	if o.Version == tls.VersionTLS12 { // where the certificate's curve must be offered too
		cfg.CurvePreferences = append(cfg.CurvePreferences, tls.CurveP256)
	}
	if o.Resume {
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		cfg.ServerName = "localhost"
	}
	return cfg
}

// workers prepares o.Conns clients.
func (o *Options) workers(ctx context.Context) (ws []*worker, err error) {
	for range o.Conns {
		w := &worker{o: o, cfg: o.clientTLS(), buf: make([]byte, max(o.Size, 64<<10)), took: make([]time.Duration, 0, 1<<14)}
		ws = append(ws, w)
		if err := w.prepare(ctx); err != nil {
			return ws, err
		}
	}
	return ws, nil
}

func (w *worker) prepare(ctx context.Context) (err error) {
	switch w.o.Kind {
	case Connect:
		if w.o.Resume {
			return w.connect(ctx) // for the session
		}
	case PingPong, Download, Requests:
		w.c, err = w.o.dial(ctx, netip.Addr{}, w.cfg)
		if err == nil && w.o.Kind == Download {
			_, err = w.c.Write([]byte("x"))
		}
		if w.o.Kind == Requests {
			w.req = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", w.o.Path)
			w.in = &bytesReader{c: w.c}
		}
	case Packets:
		w.c, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(w.o.To))
	}
	return err
}

func closeWorkers(ws []*worker) {
	for _, w := range ws {
		if w.c != nil {
			w.c.Close()
		}
	}
}

// run does operations until ctx is done.
func (w *worker) run(ctx context.Context) {
	if w.c != nil {
		deadline, _ := ctx.Deadline()
		w.c.SetDeadline(deadline.Add(opLimit))
		defer context.AfterFunc(ctx, func() { w.c.SetReadDeadline(time.Unix(1, 0)) })()
	}
	for ctx.Err() == nil {
		begin := time.Now()
		err := w.op(ctx)
		if err != nil {
			if w.c != nil && w.o.Kind != Packets { // it is of no more use
				w.fail(ctx, err)
				return
			}
			w.fail(ctx, err)
			continue
		}
		w.done++
		if w.o.Kind != Download {
			w.took = append(w.took, time.Since(begin))
		}
	}
}

func (w *worker) op(ctx context.Context) error {
	switch w.o.Kind {
	case Connect:
		return w.connect(ctx)
	case PingPong:
		block := w.buf[:w.o.Size]
		if _, err := w.c.Write(block); err != nil {
			return err
		}
		n, err := io.ReadFull(w.c, block)
		w.bytes += int64(n)
		return err
	case Download:
		n, err := w.c.Read(w.buf)
		w.bytes += int64(n)
		return err
	case Packets:
		return w.packet(ctx)
	case Requests:
		return w.request()
	}
	return errors.ErrUnsupported
}

// connect is one connection from its beginning to its end.
func (w *worker) connect(ctx context.Context) error {
	c, err := w.o.dial(ctx, netip.Addr{}, w.cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := echoLine(c, w.buf); err != nil {
		return err
	}
	w.bytes += int64(len(line))
	if t, ok := c.(*tls.Conn); ok {
		st := t.ConnectionState()
		w.suite, w.group = st.CipherSuite, st.CurveID
		if st.DidResume {
			w.resumed++
		}
	}
	return nil
}

func (w *worker) packet(ctx context.Context) error {
	block := w.buf[:w.o.Size]
	if _, err := w.c.Write(block); err != nil {
		return err
	}
	w.c.SetReadDeadline(time.Now().Add(packetLimit))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	n, err := w.c.Read(w.buf)
	w.bytes += int64(n)
	return err
}

// request asks by HTTP and reads the answer, whose length must be told.
func (w *worker) request() error {
	if _, err := w.c.Write(w.req); err != nil {
		return err
	}
	n, err := w.in.response(w.buf)
	w.bytes += int64(n)
	return err
}

// dial connects, and shakes hands if need be, within opLimit.
func (o *Options) dial(ctx context.Context, from netip.Addr, cfg *tls.Config) (net.Conn, error) {
	var c net.Conn
	var err error
	if o.Socket != "" {
		var d net.Dialer
		c, err = d.DialContext(ctx, "unix", o.Socket)
	} else {
		c, err = loopback.Dial(ctx, from, o.To, opLimit)
	}
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(opLimit))
	if !o.TLS {
		return c, nil
	}
	t := tls.Client(c, cfg)
	if err := t.Handshake(); err != nil {
		c.Close()
		return nil, fmt.Errorf("handshake: %w", err)
	}
	return t, nil
}

func echoLine(c net.Conn, buf []byte) error {
	if _, err := c.Write(line); err != nil {
		return err
	}
	buf = buf[:len(line)]
	if _, err := io.ReadFull(c, buf); err != nil {
		return err
	}
	if !bytes.Equal(buf, line) {
		return errOther
	}
	return nil
}

// A bytesReader reads answers of HTTP/1.1 with as little work as possible.
type bytesReader struct{ c net.Conn }

// response reads one answer into buf, which must hold it, and returns its size.
func (r *bytesReader) response(buf []byte) (int, error) {
	n, end, length := 0, -1, -1
	for end < 0 || n < end+length {
		if n == len(buf) {
			return n, errors.New("the answer is too long")
		}
		m, err := r.c.Read(buf[n:])
		n += m
		if err != nil {
			return n, err
		}
		if end < 0 {
			if i := bytes.Index(buf[:n], []byte("\r\n\r\n")); i >= 0 {
				end = i + 4
				if length = contentLength(buf[:end]); length < 0 {
					return n, fmt.Errorf("an answer without a length: %q", buf[:end])
				}
			}
		}
	}
	if !bytes.HasPrefix(buf, []byte("HTTP/1.1 200")) {
		return n, fmt.Errorf("the answer is %q", buf[:min(n, 40)])
	}
	return n, nil
}

// contentLength returns what an answer's head tells, or -1.
func contentLength(head []byte) int {
	for l := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, ok := bytes.Cut(l, []byte(":"))
		if !ok || !bytes.EqualFold(name, []byte("Content-Length")) {
			continue
		}
		n := 0
		for _, d := range bytes.TrimSpace(value) {
			if d < '0' || d > '9' || n > http.DefaultMaxHeaderBytes {
				return -1
			}
			n = n*10 + int(d-'0')
		}
		return n
	}
	return -1
}
