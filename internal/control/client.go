package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"time"
)

const (
	dialTime = 5 * time.Second
	maxFrame = 16 << 20 // of an answer
)

// A Failed is the server's error for a request that it refused or could not
// carry out.
type Failed struct{ Texts []string }

// Error returns the texts, a line each.
func (f *Failed) Error() string { return strings.Join(f.Texts, "\n") }

// ErrCutShort is wrapped by the error of an incomplete answer: the server
// ended meanwhile.
var ErrCutShort = errors.New("the connection ended before the answer did")

// Do sends r to the server listening on path and calls each with every part of
// the answer, until its end or an error of each. An error of the server is a
// *Failed.
func Do(ctx context.Context, path string, r *Request, each func(part string, data json.RawMessage) error) error {
	d := net.Dialer{Timeout: dialTime}
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return explainDial(path, err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	// A server that refuses the client may have closed the connection already;
	// its answer can still be read.
	c.SetWriteDeadline(time.Now().Add(dialTime))
	_, werr := c.Write(append(b, '\n'))
	err = readAnswer(ctx, c, each)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, ErrCutShort) && werr != nil {
		return fmt.Errorf("%s: %w", path, werr)
	}
	return err
}

func explainDial(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no server: there is no socket %s", path)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no server: nobody listens on %s", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("this user may not use the socket %s: see control_owner and control_mode", path)
	}
	return fmt.Errorf("%s: %w", path, err)
}

func readAnswer(ctx context.Context, c net.Conn, each func(string, json.RawMessage) error) error {
	lines := bufio.NewScanner(c)
	lines.Buffer(nil, maxFrame)
	for {
		c.SetReadDeadline(time.Now().Add(AnswerTime + writeTime))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !lines.Scan() {
			break
		}
		f, err := readFrame(lines.Bytes())
		if err != nil {
			return fmt.Errorf("the answer cannot be read: %w", plain(err))
		}
		switch {
		case f.End:
			return nil
		case len(f.Errors) > 0:
			return &Failed{f.Errors}
		}
		if err := each(f.Part, f.Data); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrCutShort, err)
	}
	return ErrCutShort
}

// readFrame reads a frame. One with data is taken apart without reading that,
// which whoever needs it does: the server is believed.
func readFrame(b []byte) (f frame, err error) {
	if rest, ok := bytes.CutPrefix(b, []byte(partBefore)); ok {
		part, data, ok := bytes.Cut(rest, []byte(dataBefore))
		if data, closed := bytes.CutSuffix(data, []byte("}")); ok && closed && bytes.IndexByte(part, '"') < 0 {
			return frame{Part: string(part), Data: data}, nil
		}
	}
	return f, json.Unmarshal(b, &f)
}
