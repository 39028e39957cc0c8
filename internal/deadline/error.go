package deadline

import (
	"errors"
	"net"
	"os"
)

// What ends a client. The engine exports them under the same names, and says
// which setting each belongs to.
var (
	ErrIdle                = errors.New("idle for too long")
	ErrMaxLife             = errors.New("connected for too long")
	ErrWriteStalled        = errors.New("client took no bytes for too long")
	ErrFirstRequestTimeout = errors.New("no request in time")
	ErrTooSlow             = errors.New("too slow")
	ErrDraining            = errors.New("the server is draining")
)

// IsTimeout reports whether err is an expired deadline.
func IsTimeout(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
