package honest

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"netserver/bench/loopback"
)

// MaxConns is how many connections Closed and Stream may use.
const MaxConns = 20000

// A Rate is what a server did as fast as it could.
type Rate struct {
	Done    int64 // clients answered, or bytes echoed
	Failed  int64
	Elapsed time.Duration
}

// PerSecond returns what was done in a second.
func (r Rate) PerSecond() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Done) / r.Elapsed.Seconds()
}

// Closed runs conns clients, each of which comes again as soon as it is done,
// until o.Duration is over or o.Count clients were answered. o.Rate does not
// count.
func Closed(ctx context.Context, o Options, conns int) (Rate, error) {
	if err := checkConns(conns); err != nil {
		return Rate{}, err
	}
	limit := int64(o.Count)
	if limit == 0 {
		limit = MaxClients
	}
	if err := o.fill(); err != nil {
		return Rate{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Duration)
	defer cancel()
	var r Rate
	var begun, done, failed atomic.Int64
	begin := time.Now()
	var wg sync.WaitGroup
	for range conns {
		wg.Go(func() {
			for ctx.Err() == nil && begun.Add(1) <= limit {
				one, cancel := context.WithTimeout(ctx, o.Timeout)
				err := Once(one, o.From, o.To, o.TLS)
				cancel()
				switch {
				case err == nil:
					done.Add(1)
				case !loopback.Over(ctx):
					failed.Add(1)
					pause(ctx)
				}
			}
		})
	}
	wg.Wait()
	r.Done, r.Failed, r.Elapsed = done.Load(), failed.Load(), time.Since(begin)
	return r, nil
}

// pause keeps a client whose server is gone from spinning.
func pause(ctx context.Context) {
	select {
	case <-time.After(time.Millisecond):
	case <-ctx.Done():
	}
}

// Stream sends blocks of size bytes over conns connections as fast as the
// server gives them back, for o.Duration, and counts the bytes that came back.
func Stream(ctx context.Context, o Options, conns, size int) (Rate, error) {
	if err := checkConns(conns); err != nil {
		return Rate{}, err
	}
	if size < 1 || size > 1<<20 {
		return Rate{}, fmt.Errorf("size %d: must be from 1 to %d bytes", size, 1<<20)
	}
	if err := o.fill(); err != nil {
		return Rate{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Duration)
	defer cancel()
	var done, failed atomic.Int64
	begin := time.Now()
	var wg sync.WaitGroup
	for range conns {
		wg.Go(func() {
			if err := o.stream(ctx, size, &done); err != nil && !loopback.Over(ctx) {
				failed.Add(1)
			}
		})
	}
	wg.Wait()
	return Rate{Done: done.Load(), Failed: failed.Load(), Elapsed: time.Since(begin)}, nil
}

func (o Options) stream(ctx context.Context, size int, done *atomic.Int64) error {
	tc, err := loopback.Dial(ctx, o.From, o.To, o.Timeout)
	if err != nil {
		return err
	}
	defer tc.Close()
	stop := context.AfterFunc(ctx, func() { tc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var c net.Conn = tc
	if o.TLS {
		t := tls.Client(tc, TLSConfig())
		if err := t.HandshakeContext(ctx); err != nil {
			return err
		}
		c = t
	}
	wrote := make(chan error, 1)
	go writeBlocks(ctx, c, size, wrote)
	_, err = io.Copy(counter{done}, struct{ io.Reader }{c})
	tc.SetDeadline(time.Unix(1, 0))
	if werr := <-wrote; err == nil {
		err = werr
	}
	return err
}

func writeBlocks(ctx context.Context, c net.Conn, size int, wrote chan<- error) {
	block := make([]byte, size)
	for ctx.Err() == nil {
		if _, err := c.Write(block); err != nil {
			wrote <- err
			return
		}
	}
	wrote <- nil
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}

func checkConns(n int) error {
	if n < 1 || n > MaxConns {
		return fmt.Errorf("connections %d: must be from 1 to %d", n, MaxConns)
	}
	return nil
}
