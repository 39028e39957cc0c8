package proxy

import (
	"io"
	"net"
	"testing"

	"netserver/netservertest"
)

// Linux counts a FIN among the bytes received, so that an end which the peer
// has said differs from one that a reset made.
func TestSentNoFIN(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(*net.TCPConn)
		none bool
	}{
		"FIN":             {func(c *net.TCPConn) { c.CloseWrite() }, false},
		"FIN, then reset": {func(c *net.TCPConn) { c.CloseWrite(); c.SetLinger(0); c.Close() }, false},
		"reset":           {func(c *net.TCPConn) { c.SetLinger(0); c.Close() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			must(err)
			defer l.Close()
			peer, err := net.Dial("tcp", l.Addr().String())
			must(err)
			defer peer.Close()
			c, err := l.Accept()
			must(err)
			defer c.Close()
			_, err = io.WriteString(peer, "hello")
			must(err)
			_, err = io.ReadFull(c, make([]byte, 5))
			must(err)
			tc.end(peer.(*net.TCPConn))
			c.Read(make([]byte, 1)) // returns when the end is there
			if name != "FIN" {
				netservertest.Eventually(t, "the reset", func() bool { return isClosed(c) })
			}
			if got := sentNoFIN(c, 5); got != tc.none {
				t.Errorf("got %v, want %v", got, tc.none)
			}
			if sentNoFIN(c, 4) {
				t.Error("it is known although a byte was read before")
			}
		})
	}
}
