package serving

import (
	"bytes"
	"context"
	"io"
	"math"
	"os"

	"netserver"
	"netserver/handler/echo"
	"netserver/handler/events"
)

// An eventEcho is the echo of type Multiplex: its clients are served one at a
// time, and those who wait have no goroutine. A datagram waits for nothing.
type eventEcho struct {
	*events.Handler
	echo *echo.Handler
}

// eventEchoHandler makes it of an echo.
func eventEchoHandler(h *echo.Handler) netserver.Handler {
	e := &eventEcho{echo: h}
	e.Handler = &events.Handler{MaxSessions: -1, MaxInput: math.MaxInt} // input bounds its lines
	if h.Raw {
		e.Input = func(c *events.Client, in []byte) (int, error) { return c.Write(in) }
		return e
	}
	e.Open, e.Input, e.EOF, e.Timeout = e.open, e.input, e.eof, e.timeout
	return e
}

// Serve serves one client.
func (e *eventEcho) Serve(ctx context.Context, c *netserver.Conn) error {
	if c.Datagram() {
		return e.echo.Serve(ctx, c)
	}
	return e.Handler.Serve(ctx, c)
}

func (e *eventEcho) open(c *events.Client) error {
	c.SetTimeout(e.echo.LineTime())
	return e.echo.Greet(c)
}

// input answers the lines that are whole.
func (e *eventEcho) input(c *events.Client, in []byte) (used int, err error) {
	most := c.Conn().MaxLine()
	for {
		at := bytes.IndexByte(in[used:min(len(in), used+most)], '\n')
		switch {
		case at < 0 && len(in)-used >= most:
			return used, e.echo.ReadFailed(c, netserver.ErrLineTooLong)
		case at < 0:
			return used, nil
		}
		line := in[used : used+at+1]
		used += at + 1
		if err := e.answer(c, line); err != nil {
			return used, err
		}
		c.SetTimeout(e.echo.LineTime())
	}
}

func (e *eventEcho) answer(c *events.Client, line []byte) error {
	end, err := e.echo.Answer(c, c.Conn(), line)
	if err == nil && end {
		err = io.EOF
	}
	return err
}

// eof answers a last line without an end.
func (e *eventEcho) eof(c *events.Client, rest []byte) error {
	if len(rest) == 0 {
		return nil
	}
	return e.answer(c, rest)
}

func (e *eventEcho) timeout(c *events.Client) error {
	return e.echo.ReadFailed(c, os.ErrDeadlineExceeded)
}
