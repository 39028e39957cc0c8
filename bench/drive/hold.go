package drive

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"time"
)

// openers is how many of the held connections are opened at a time: fewer than
// a backlog.
const openers = 32

// source returns an address of one of 250 /24 networks of this machine, so that
// no limit by source decides.
func source(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 32, byte(i % 250), byte(1 + i/250%250)})
}

// hold opens the connections to hold, each with a line there and back. It
// returns those that are open also with an error.
func (o *Options) hold(ctx context.Context) ([]net.Conn, error) {
	var (
		mu    sync.Mutex
		conns []net.Conn
		bad   error
		all   sync.WaitGroup
	)
	for n := range openers {
		all.Go(func() {
			cfg := o.clientTLS()
			buf := make([]byte, len(line))
			for i := n; i < o.Held && ctx.Err() == nil; i += openers {
				c, err := o.holdOne(ctx, source(i), cfg, buf)
				mu.Lock()
				if err != nil && bad == nil {
					bad = err
				}
				if err == nil {
					conns = append(conns, c)
				}
				stop := bad != nil
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	all.Wait()
	if bad == nil {
		bad = ctx.Err()
	}
	return conns, bad
}

func (o *Options) holdOne(ctx context.Context, from netip.Addr, cfg *tls.Config, buf []byte) (net.Conn, error) {
	c, err := o.dial(ctx, from, cfg)
	if err != nil {
		return nil, err
	}
	if err := echoLine(c, buf); err != nil {
		c.Close()
		return nil, err
	}
	c.SetDeadline(time.Time{})
	return c, nil
}

func closeAll(conns []net.Conn) {
	for _, c := range conns {
		c.Close()
	}
}
