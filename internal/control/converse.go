package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// converseEvery is the least time between two requests of one conversation:
// whoever asks faster waits.
const converseEvery = 4 * time.Millisecond

// Converse answers the requests that come by one connection, one after the
// other, until its end, ctx's end, or a client that does not read. handle is
// called for each of them; its error is the answer. A line that is no request
// is answered too; one that is too long ends the conversation, with an error.
func Converse(ctx context.Context, c net.Conn, handle func(context.Context, *Request, *Answer) error) error {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	lines := bufio.NewReaderSize(c, MaxRequest+1)
	a := &Answer{c: c, ctx: ctx}
	for {
		began := time.Now()
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("a request of more than %d bytes", MaxRequest)
		case err == io.EOF || errors.Is(err, net.ErrClosed) || ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		r, err := ParseRequest(line)
		if err == nil && (r.Wait || r.WhenOthersReady) {
			err = errNotHere
		}
		if err == nil {
			err = converseOnce(ctx, r, a, handle)
		}
		if err != nil {
			err = a.fail(err)
		} else {
			err = a.write(frame{End: true})
		}
		if err != nil {
			return nil // it is gone, or does not read
		}
		if d := converseEvery - time.Since(began); d > 0 {
			time.Sleep(d)
		}
	}
}

func converseOnce(ctx context.Context, r *Request, a *Answer, handle func(context.Context, *Request, *Answer) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, AnswerTime, errors.New("it took too long"))
	defer cancel()
	return handle(ctx, r, a)
}

// A Conversation is the other end of some connections that Converse answers. It
// is safe for concurrent use: as many requests run at once as there are
// connections.
type Conversation struct {
	free chan net.Conn
	lost chan struct{}
	once sync.Once
}

// NewConversation makes one of connections.
func NewConversation(conns ...net.Conn) *Conversation {
	t := &Conversation{free: make(chan net.Conn, len(conns)), lost: make(chan struct{})}
	for _, c := range conns {
		t.free <- c
	}
	return t
}

// Lost is closed when one of the connections has ended: the server is gone.
func (t *Conversation) Lost() <-chan struct{} { return t.lost }

// ErrLost is the error of a request to a server that is gone.
var ErrLost = errors.New("the server has ended")

// Do sends r and calls each with every part of the answer. It waits for a free
// connection at most until ctx ends; an answer that has begun is read to its
// end. The server's error is a *Failed.
func (t *Conversation) Do(ctx context.Context, r *Request, each func(part string, data json.RawMessage) error) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var c net.Conn
	select {
	case c = <-t.free:
	case <-t.lost:
		return ErrLost
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	var own error // of each
	c.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err = c.Write(append(b, '\n')); err == nil {
		err = readAnswer(context.Background(), c, func(part string, data json.RawMessage) error {
			if own == nil {
				own = each(part, data)
			}
			return nil
		})
	}
	var failed *Failed
	if err != nil && !errors.As(err, &failed) {
		c.Close()
		t.once.Do(func() { close(t.lost) })
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	t.free <- c
	if err != nil {
		return err
	}
	return own
}
