package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"netserver"
	"netserver/internal/foreign"
)

// BindTransparent is for the field Bind of a Backend or Handler whose process
// may connect from addresses of others (IP_TRANSPARENT): on Linux, with
// CAP_NET_RAW or CAP_NET_ADMIN.
func BindTransparent(from netip.Addr, rc syscall.RawConn) error { return foreign.Bind(from, rc) }

// stepBind is how errors name the step of Bind.
const stepBind = "transparent"

// dialer returns what connects to targets for c; c is nil for a health check,
// which comes from this machine.
func (b *Backend) dialer(c *netserver.Conn, limit time.Duration) net.Dialer {
	d := net.Dialer{Timeout: limit}
	if b.Bind == nil || c == nil {
		return d
	}
	d.ControlContext = func(_ context.Context, network, _ string, rc syscall.RawConn) error {
		return b.bindTo(c.RemoteAddr(), network, rc)
	}
	return d
}

// bindTo binds a socket for a target to the client's address.
func (b *Backend) bindTo(client net.Addr, network string, rc syscall.RawConn) error {
	a, ok := client.(*net.TCPAddr)
	if !ok {
		return &headerError{errors.New("a client of a UNIX socket has no address to connect from")}
	}
	from := a.AddrPort().Addr().Unmap().WithZone("")
	switch {
	case network == "unix":
		return &familyError{"the target is a UNIX socket, which sees no addresses"}
	case from.Is4() != strings.HasSuffix(network, "4"):
		return &familyError{fmt.Sprintf("the client's address %v is of another family than the target's", from)}
	}
	if err := b.Bind(from, rc); err != nil {
		return &headerError{err}
	}
	return nil
}

// A familyError is why a client cannot be connected to a target from its own
// address. It is no fault of the target, and another may do.
type familyError struct{ text string }

func (e *familyError) Error() string { return e.text }

// isBindError reports whether a connection failed before it was begun, for its
// client's address.
func isBindError(err error) bool {
	var f *familyError
	return isHeaderError(err) || errors.As(err, &f)
}
