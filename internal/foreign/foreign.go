package foreign

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"netserver/internal/childproc"
)

// A Source binds sockets to foreign addresses: by itself, or where it has a
// Link, with the help of the process at the other end. The zero Source is for a
// process that has the capability. Its methods may be called concurrently.
type Source struct {
	mu   sync.Mutex
	link *childproc.Link
}

// Use has the Source ask the process at the other end, which runs Serve. It is
// called before Bind.
func (s *Source) Use(l *childproc.Link) { s.link = l }

// Bind makes a TCP socket that is not connected yet one that connects from the
// address, with a port that the system chooses. The address's family is the
// socket's. rc is that of a net.Dialer's Control function.
func (s *Source) Bind(from netip.Addr, rc syscall.RawConn) error {
	if s.link == nil {
		return Bind(from, rc)
	}
	f, err := s.ask(from)
	if err != nil {
		return err
	}
	defer f.Close()
	return replace(rc, f)
}

// Why says why this process cannot do it, nil if it can or leaves it to another.
func (s *Source) Why() error {
	if s.link != nil {
		return nil
	}
	return Why()
}

// maxMessage is the longest message, an address or an error.
const maxMessage = 256

// ask has the other process make a socket.
func (s *Source) ask(from netip.Addr) (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.link.Send(from.AsSlice()); err != nil {
		return nil, err
	}
	b, files, err := s.link.Receive(maxMessage)
	if err != nil {
		return nil, err
	}
	if len(files) == 1 {
		return files[0], nil
	}
	for _, f := range files {
		f.Close()
	}
	return nil, errors.New(string(b))
}

// Serve makes sockets for the process at the other end until it ends or sends
// what is no address. It holds no more than one at a time.
func Serve(l *childproc.Link) error {
	l.RefuseFiles()
	for {
		b, _, err := l.Receive(16)
		if err != nil {
			return err
		}
		from, ok := netip.AddrFromSlice(b)
		if !ok {
			return fmt.Errorf("foreign: %d bytes are no address", len(b))
		}
		if err := answer(l, from); err != nil {
			return err
		}
	}
}

func answer(l *childproc.Link, from netip.Addr) error {
	f, err := open(from)
	if err != nil {
		text := err.Error()
		return l.Send([]byte(text[:min(len(text), maxMessage)]))
	}
	defer f.Close()
	return l.Send(nil, f)
}

// check refuses addresses that no client can have.
func check(from netip.Addr) error {
	if !from.IsValid() || from.IsUnspecified() || from.IsMulticast() || from.Is4In6() || from.Zone() != "" || from == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return fmt.Errorf("%v is not an address that a client has", from)
	}
	return nil
}
