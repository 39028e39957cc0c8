package echo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"netserver"
)

const (
	defaultName    = "netserver"
	defaultTimeout = 30 * time.Second
)

// A Handler echoes. The zero Handler is Net::Server's default echo server. Its
// fields must not change while it serves; it may serve any number of clients
// at once.
type Handler struct {
	// Raw returns bytes and datagrams unchanged, without greeting or commands
	// (RFC 862). The fields below are then ignored.
	Raw bool
	// Name replaces Net::Server's class name in `Welcome to "NAME" (PID)`.
	// Default "netserver".
	Name string
	// Timeout bounds the time for one line, from the greeting or the previous
	// line end to the line end. Then the client gets "Timed Out." and is
	// closed. Default 30 s; negative means no limit.
	Timeout time.Duration
	// AllowControl lets every client use exit, get and dump. By default only
	// clients from loopback addresses and UNIX sockets may. Connections
	// forwarded by a program on this machine look local.
	AllowControl bool
	// Exit is called by the line "exit" and ends the server. It must not wait
	// for the client. If nil, "exit" ends only the client.
	Exit func()
	// Properties returns what get and dump show besides the client's own
	// addresses. It must not include secrets. It may be nil, and may be called
	// by several clients at once.
	Properties func() map[string]string
}

func (h *Handler) name() string {
	if h.Name == "" {
		return defaultName
	}
	return h.Name
}

func (h *Handler) timeout() time.Duration {
	switch {
	case h.Timeout == 0:
		return defaultTimeout
	case h.Timeout < 0:
		return 0
	}
	return h.Timeout
}

// Serve echoes until the client ends, sends quit, or is too slow.
func (h *Handler) Serve(ctx context.Context, c *netserver.Conn) error {
	switch {
	case c.Datagram():
		return h.datagram(c)
	case h.Raw:
		return raw(c)
	}
	return h.lines(c)
}

// lines is Net::Server's process_request.
func (h *Handler) lines(c *netserver.Conn) error {
	if err := h.Greet(c); err != nil {
		return err
	}
	for {
		if d := h.timeout(); d > 0 {
			if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
				return err
			}
		}
		line, err := c.ReadLine()
		if err != nil {
			return h.readFailed(c, err)
		}
		if end, err := h.Answer(c, c, line); end || err != nil {
			return err
		}
	}
}

// Greet writes to w what a client is told first. It and Answer are for who reads
// the client's lines in another way than Serve.
func (h *Handler) Greet(w io.Writer) error {
	_, err := fmt.Fprintf(w, "Welcome to \"%s\" (%d)\r\n", h.name(), os.Getpid())
	return err
}

// LineTime returns the time for one line; 0 is for ever.
func (h *Handler) LineTime() time.Duration { return h.timeout() }

// ReadFailed is Greet for the error of a client's line: it returns the one for
// the client's record.
func (h *Handler) ReadFailed(w io.Writer, err error) error { return h.readFailed(w, err) }

// readFailed tells the client why it is closed, where that helps, and returns
// the error for its record.
func (h *Handler) readFailed(c io.Writer, err error) error {
	switch {
	case errors.Is(err, netserver.ErrLineTooLong):
		c.Write([]byte("Line Too Long.\r\n"))
	case errors.Is(err, os.ErrDeadlineExceeded):
		if _, werr := c.Write([]byte("Timed Out.\r\n")); werr != nil {
			return werr
		}
		return fmt.Errorf("no line within %v: %w", h.timeout(), err)
	}
	return err
}

// Answer writes to w, in one Write, the answer to a line of c, and carries out
// its command. It returns true if the client is done.
func (h *Handler) Answer(w io.Writer, c *netserver.Conn, line []byte) (end bool, err error) {
	line = bytes.TrimRight(line, "\r\n")
	out := outputs.Get().(*bytes.Buffer)
	defer release(out)
	out.WriteString(h.name())
	out.WriteByte(':')
	out.Write(strconv.AppendInt(out.AvailableBuffer(), int64(os.Getpid()), 10))
	out.WriteString(": You said \"")
	out.Write(line)
	out.WriteString("\"\r\n")
	cmd, name := parse(line)
	switch {
	case cmd == cmdQuit:
		end = true
	case cmd != cmdNone && !h.mayControl(c):
		cmd = cmdNone
	case cmd == cmdExit:
		end = true
	case cmd == cmdGet:
		fmt.Fprintf(out, "%s: %s\r\n", name, h.properties(c)[name])
	case cmd == cmdDump:
		h.dump(out, c)
	}
	if _, err := w.Write(out.Bytes()); err != nil {
		return true, err
	}
	if cmd == cmdExit && h.Exit != nil {
		c.Logger().Warn("a client ends the server: it sent exit", "peer", c.Peer().String())
		h.Exit()
	}
	return end, nil
}

// outputs is a pool of buffers for answers. An idle client holds none.
var outputs = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func release(b *bytes.Buffer) {
	if b.Cap() > 16<<10 {
		return // one long line must not keep its memory for ever
	}
	b.Reset()
	outputs.Put(b)
}

// isLocal reports whether the client is on this machine, judging by its
// address.
func isLocal(c *netserver.Conn) bool {
	if h := c.ProxyHeader(); h != nil && !h.Local {
		return false // the header is a claim; a stranger must not end the server by it
	}
	if ip := c.Peer().IP; ip.IsValid() {
		return ip.IsLoopback()
	}
	_, ok := c.LocalAddr().(*net.UnixAddr)
	return ok
}
