package answer

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// A peer is a connection whose other side has not closed it yet.
type peer struct {
	net.Conn
	said   strings.Builder
	leaves chan struct{} // closed when the other side closes
	closed chan string   // what had been said when it was closed here
	half   bool
}

func (p *peer) Write(b []byte) (int, error)     { return p.said.Write(b) }
func (p *peer) CloseWrite() error               { p.half = true; return nil }
func (p *peer) SetReadDeadline(time.Time) error { return nil }
func (p *peer) Read([]byte) (int, error)        { <-p.leaves; return 0, io.EOF }
func (p *peer) Close() error                    { p.closed <- p.said.String(); return nil }

// A connection is closed for reading only when the other side has closed it, as
// it would be reset otherwise, and a bounded number is waited for.
func TestSeenOff(t *testing.T) {
	a := New()
	var first *peer
	for range places {
		p := &peer{leaves: make(chan struct{}), closed: make(chan string, 2)}
		if first == nil {
			first = p
		}
		a.Give(p, []byte("ok\n"))
		if !p.half {
			t.Fatal("the other side is not told of the end")
		}
		defer close(p.leaves)
	}
	if len(first.closed) > 0 {
		t.Error("closed before the other side has")
	}
	one := &peer{closed: make(chan string, 1)}
	a.Give(one, []byte("ok\n"))
	if len(one.closed) == 0 {
		t.Error("one too many is waited for")
	}
	a.Close()
	if said := <-first.closed; said != "ok\n" {
		t.Errorf("said %q", said)
	}
	late := &peer{closed: make(chan string, 1)}
	a.Give(late, []byte("ok\n"))
	if said := <-late.closed; said != "ok\n" {
		t.Errorf("said %q after the end", said)
	}
}
