package echo

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"netserver"
	"netserver/access"
)

// ErrLoop is the error of a datagram left unanswered because its sender looks
// like a service that would answer the answer.
var ErrLoop = errors.New("not answered: the sender would answer the answer")

// maxDatagram is more than any datagram holds: the largest UDP payload is
// 65,507 bytes, and a UNIX one is bounded by the socket's buffer.
const maxDatagram = 1 << 20

// datagram answers one datagram.
func (h *Handler) datagram(c *netserver.Conn) error {
	if port := c.Peer().Port; answers(port) || port != 0 && port == access.PeerOf(c.LocalAddr()).Port {
		return fmt.Errorf("source port %d: %w", port, ErrLoop)
	}
	out := outputs.Get().(*bytes.Buffer)
	defer release(out)
	const said = "You said \""
	if !h.Raw {
		out.WriteString(said)
	}
	start := out.Len()
	if _, err := out.ReadFrom(io.LimitReader(c, maxDatagram)); err != nil {
		return err
	}
	if !h.Raw {
		if bytes.Contains(out.Bytes()[start:], []byte("dump")) && h.mayControl(c) {
			out.Reset()
			h.dump(out, c)
		} else {
			out.WriteByte('"')
		}
	}
	_, err := c.Write(out.Bytes())
	return err
}

// answers reports whether the UDP service with this port number answers every
// packet, or cannot be a sender at all.
func answers(port uint16) bool {
	switch port {
	case 7, // echo
		13, // daytime
		17, // quote of the day
		19, // character generator
		37: // time
		return true
	}
	return false
}
