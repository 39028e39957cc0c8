package logging_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"sync"
	"testing"

	"netserver"
	"netserver/daemon/internal/logging"
	"netserver/logs"
	"netserver/netservertest"
)

// The command's log has Net::Server's line for each client, before its Handler
// runs, with the addresses of a PROXY header; the engine's has none.
func TestConnects(t *testing.T) {
	var mu sync.Mutex
	var b bytes.Buffer
	log := slog.New(logs.NewLine(lockedWriter{&mu, &b}, logs.Options{Level: slog.LevelInfo}))
	lines := make(chan string, 1)
	h := netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
		mu.Lock()
		defer mu.Unlock()
		lines <- b.String()
		b.Reset()
		return nil
	})
	wrapped := logging.Connects(h, func() *slog.Logger { return log })
	if logging.Connects(wrapped, nil) != wrapped || logging.Connects(nil, nil) != nil || logging.Connects(netserver.HandlerFunc(nil), nil).(netserver.HandlerFunc) != nil {
		t.Error("wrapped what must not be")
	}
	s := &netserver.Server{Handler: wrapped}
	s.Config.Proxy.Mode = netserver.ProxyAccept
	s.Config.Proxy.From = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s.Config.Proxy.FromUnix = true
	r := netservertest.Start(t, s, "tcp", "ssl", "unix")
	for _, tt := range []struct{ proto, header, want string }{
		{"tcp", "", `CONNECT TCP Peer: "\[127\.0\.0\.1\]:\d+" Local: "\[127\.0\.0\.1\]:\d+" client=\d`},
		{"tcp", "PROXY TCP4 192.0.2.1 198.51.100.2 7 443\r\n", `CONNECT TCP Peer: "\[192\.0\.2\.1\]:7" Local: "\[198\.51\.100\.2\]:443" client=\d`},
		{"ssl", "", `CONNECT SSL Peer: "\[127\.0\.0\.1\]:\d+" Local: "\[127\.0\.0\.1\]:\d+" client=\d`},
		{"unix", "", `CONNECT UNIX Socket: ".*unix" client=\d`},
	} {
		var c net.Conn
		if tt.header != "" {
			c = r.DialRaw(t, tt.proto)
			fmt.Fprint(c, tt.header)
		} else {
			c = r.Dial(t, tt.proto)
			if w, ok := c.(interface{ CloseWrite() error }); ok {
				w.CloseWrite()
			}
		}
		if line := <-lines; !regexp.MustCompile(`^\S+ ` + tt.want + "\n$").MatchString(line) {
			t.Errorf("%s: %q", tt.proto, line)
		}
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (w lockedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}
