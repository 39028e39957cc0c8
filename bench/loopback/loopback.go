package loopback

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Target reads ADDRESS:PORT. It refuses names, so that no look-up decides
// where load goes, and every address that is not a loopback one.
func Target(s string) (netip.AddrPort, error) {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("target %q: write ADDRESS:PORT with a loopback address, as 127.0.0.1:443", s)
	}
	if err := Check(ap.Addr()); err != nil {
		return netip.AddrPort{}, fmt.Errorf("target %q: %w", s, err)
	}
	if ap.Port() == 0 {
		return netip.AddrPort{}, fmt.Errorf("target %q: port 0 is no port", s)
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}

// Source reads the address to connect from; only loopback ones are taken.
func Source(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("source %q: write a loopback address, as 127.0.0.3", s)
	}
	if err := Check(a); err != nil {
		return netip.Addr{}, fmt.Errorf("source %q: %w", s, err)
	}
	return a.Unmap(), nil
}

// Check returns an error unless a is a loopback address.
func Check(a netip.Addr) error {
	if !a.Unmap().IsLoopback() {
		return fmt.Errorf("%s is not a loopback address; load goes to this machine only", a)
	}
	return nil
}

// Dial connects from the address from to the target to, both loopback.
func Dial(ctx context.Context, from netip.Addr, to netip.AddrPort, timeout time.Duration) (*net.TCPConn, error) {
	if err := Check(to.Addr()); err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: timeout, KeepAlive: -1, Control: control}
	if from.IsValid() {
		if err := Check(from); err != nil {
			return nil, err
		}
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	c, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// Over reports whether ctx is done, or will be at once: connecting may fail by
// its deadline a moment before ctx knows.
func Over(ctx context.Context) bool {
	t, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(t)
}

// FreePort returns a TCP port of 127.0.0.1 that nobody listens on now.
func FreePort() (uint16, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort().Port(), nil
}
