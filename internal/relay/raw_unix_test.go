//go:build unix

package relay_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"netserver/internal/relay"
	"netserver/netservertest"
)

// TestRawReader: it has a buffer only while there is something to read, and
// tells of the end, of a deadline and of a reset as a Read does.
func TestRawReader(t *testing.T) {
	for _, kind := range []string{"tcp", "unix"} {
		t.Run(kind, func(t *testing.T) {
			srv, peer := pair(t, kind)
			rc := relay.RawOf(srv)
			if rc == nil {
				t.Fatal("no raw connection")
			}
			buf := make([]byte, 3)
			taken, released := 0, 0
			r := relay.NewRawReader(func() []byte { taken++; return buf }, func() { released++ })

			srv.SetReadDeadline(time.Now().Add(time.Millisecond))
			if n, err := r.Read(rc, srv); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || taken != released {
				t.Fatalf("%d, %v, %d buffers taken, %d given back", n, err, taken, released)
			}
			srv.SetReadDeadline(time.Time{})
			io.WriteString(peer, "abcde")
			if n, err := r.Read(rc, srv); n != 3 || err != nil || string(buf) != "abc" || taken != released+1 {
				t.Fatalf("%d, %v, %q, %d buffers taken, %d given back", n, err, buf, taken, released)
			}
			r.Read(rc, srv)
			peer.Close()
			if n, err := r.Read(rc, srv); n != 0 || err != io.EOF {
				t.Errorf("%d, %v", n, err)
			}
			srv.Close()
			if _, err := r.Read(rc, srv); !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		})
	}
	t.Run("reset", func(t *testing.T) {
		srv, peer := pair(t, "tcp")
		reset(t, peer)
		_, err := relay.NewRawReader(func() []byte { return make([]byte, 1) }, func() {}).Read(relay.RawOf(srv), srv)
		var op *net.OpError
		if !isReset(err) || !errors.As(err, &op) || op.Op != "read" {
			t.Error(err)
		}
	})
}

// TestRawOf: only plain stream sockets are read raw.
func TestRawOf(t *testing.T) {
	srv, _ := pair(t, "pipe")
	if relay.RawOf(srv) != nil {
		t.Error("a pipe has a raw connection")
	}
	tcp, _ := pair(t, "tcp")
	if relay.RawOf(struct{ net.Conn }{tcp}) != nil {
		t.Error("a wrapped connection would be read around its wrapper")
	}
}

// TestHasInput tells, without waiting, whether there is something to read.
func TestHasInput(t *testing.T) {
	srv, peer := pair(t, "tcp")
	if relay.HasInput(srv) {
		t.Error("nothing has come")
	}
	io.WriteString(peer, "x")
	netservertest.Eventually(t, "input", func() bool { return relay.HasInput(srv) })
}
