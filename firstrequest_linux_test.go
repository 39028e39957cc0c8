package netserver_test

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"netserver"
	"netserver/netservertest"
)

// A client without TCP_NODELAY, as those of most languages are, sends its first
// request only when its Finished was acknowledged. The kernel would take 40 ms
// for that, some forty handshakes.
func TestFirstRequestIsNotHeldBack(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
	r := netservertest.Start(t, s, "ssl")
	shake, request := time.Hour, time.Hour
	for range 10 {
		raw := r.DialRaw(t, "ssl").(*net.TCPConn)
		raw.SetNoDelay(false)
		c := tls.Client(raw, r.ClientTLS())
		begin := time.Now()
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		shaken := time.Now()
		c.Write([]byte("x"))
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		shake, request = min(shake, shaken.Sub(begin)), min(request, time.Since(shaken))
		c.Close()
	}
	if request > 5*shake {
		t.Errorf("the first request took %v, a handshake %v", request, shake)
	}
}
