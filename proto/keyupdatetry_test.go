package proto

import (
	"crypto/tls"
	"io"
	"runtime"
	"strings"
	"testing"

	"netserver/tlsparams"
)

// A KeyUpdate is nothing for TryRead, whole or in parts, and what comes before it
// is not lost.
func TestKeyUpdateIsNothingToRead(t *testing.T) {
	for _, size := range []int{1, 7, 1000} {
		server, client := ends(t)
		var keys strings.Builder
		srv, tc := greet(t, transport(t, tlsparams.Params{}), server, client,
			&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, KeyLogWriter: &keys})
		io.WriteString(tc, "before")
		b := make([]byte, 100)
		if n, err := srv.Read(b); string(b[:n]) != "before" || err != nil {
			t.Fatalf("%q, %v", b[:n], err)
		}
		for rest := keyUpdate(t, keys.String(), 1); len(rest) > 0; {
			n := min(size, len(rest))
			client.Write(rest[:n])
			rest = rest[n:]
			for want := srv.Received() + uint64(n); srv.Received() < want; runtime.Gosched() {
				if n, err := srv.TryRead(b); n != 0 || err != nil {
					t.Fatalf("%q, %v", b[:n], err)
				}
			}
		}
		if srv.Unread() || !srv.ahead.atBoundary() || srv.ahead.buf != nil {
			t.Error("something is left to read")
		}
	}
}
