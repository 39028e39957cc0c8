//go:build unix

package exec_test

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// The record of a client whose socket the program has tells what passed there,
// or that nobody knows; it never says that nothing did.
func TestSocketIsCounted(t *testing.T) {
	for _, proto := range []string{"tcp", "unix"} {
		for _, c := range []struct {
			script  string
			send    int
			in, out uint64
		}{
			{"cat", 100_000, 100_000, 100_000}, {"cat >/dev/null; printf 12345", 7, 7, 5}, {"printf 12345", 0, 0, 5}, {"cat", 0, 0, 0}, {"read x; printf \"$x$x\"", 11, 11, 20},
		} {
			s := serve(t, sh(c.script))
			conn := s.dial(proto)
			go func() {
				io.WriteString(conn, strings.Repeat("x", max(c.send-1, 0)))
				if c.send > 0 {
					io.WriteString(conn, "\n")
				}
				conn.CloseWrite()
			}()
			if b, err := io.ReadAll(conn); err != nil || uint64(len(b)) != c.out {
				t.Fatalf("%s: %d bytes, %v", c.script, len(b), err)
			}
			r := s.record()
			if !strings.Contains(notes(r), "socket=true") {
				t.Fatalf("the program had no socket: %s", notes(r))
			}
			known := proto == "tcp" && runtime.GOOS == "linux"
			if r.Unseen == known || known && (r.In != c.in || r.Out != c.out) {
				t.Errorf("%s: %s: in %d, out %d, unseen %v; want %d and %d", proto, c.script, r.In, r.Out, r.Unseen, c.in, c.out)
			}
			if attrs := fmt.Sprint(r.Attrs()); !known && (!strings.Contains(attrs, "in=-") || !strings.Contains(attrs, "out=-")) {
				t.Errorf("%s: %s", proto, attrs)
			}
		}
	}
}
