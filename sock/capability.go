package sock

import (
	"net"
	"time"

	"netserver/port"
)

// The interfaces below are what the listeners of this package can do beside
// net.Listener's methods. Who has a listener of any kind asks for them and not
// for its type.

// A Named listener knows the port that it serves. All listeners of this
// package are Named, and so are those of netserver's Listen.
type Named interface {
	Spec() port.Spec  // with the number that is bound
	Asked() port.Spec // as it was asked for: with 0 or a service's name, perhaps
}

// A Deadliner's Accept fails from a time on; the zero time lifts that.
type Deadliner interface{ SetDeadline(t time.Time) error }

// A Deferrer can leave connections in the kernel until their clients have sent
// something; see StreamListener.DeferAccept.
type Deferrer interface{ DeferAccept(d time.Duration) error }

// A SendTimer has the kernel end clients that take no bytes for so long; 0 is
// never.
type SendTimer interface{ SendTimeout() time.Duration }

// An Unlinker says whether Close removes the file of a UNIX socket.
type Unlinker interface{ SetUnlinkOnClose(unlink bool) }

// SpecOf returns the port of a listener: what it says itself, or what its
// address tells.
func SpecOf(l net.Listener) port.Spec {
	if n, ok := l.(Named); ok {
		return n.Spec()
	}
	return specOf(l.Addr())
}

// CloseAll closes listeners that are not nil. What their Close returns is of no interest: a
// start has failed for another reason.
func CloseAll(ls []net.Listener) {
	for _, l := range ls {
		if l != nil {
			_ = l.Close()
		}
	}
}
