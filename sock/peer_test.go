//go:build unix

package sock

import (
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// socat takes an answer only from the address that it asked, so these show
// that the answers' source is right, in both ways a client can be made.
func TestSocat(t *testing.T) {
	needPeer(t, "socat")
	networks(t, func(t *testing.T, network string, l net.Listener) {
		var wg sync.WaitGroup
		wg.Go(func() { copyAll(l) })
		defer wg.Wait()
		defer l.Close()
		at := "127.0.0.2:" + portOf(l)
		own := ",bind=" + filepath.Join(t.TempDir(), "c")
		for _, address := range map[string][]string{
			"tcp":      {"TCP4:" + at},
			"udp":      {"UDP4:" + at, "UDP4-SENDTO:" + at},
			"unix":     {"UNIX-CONNECT:" + portOf(l)},
			"unixgram": {"UNIX-CONNECT:" + portOf(l) + ",type=2" + own, "UNIX-SENDTO:" + portOf(l) + own + "2"},
		}[network] {
			cmd := exec.Command("socat", "-t", "0.3", "-T", "10", "-", address)
			cmd.Stdin = strings.NewReader("hello")
			out, err := cmd.CombinedOutput()
			if err != nil || string(out) != "hello" {
				t.Errorf("%s: %q, %v", address, out, err)
			}
		}
	})
}

// copyAll echoes every client of l.
func copyAll(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(c, c)
		c.Close()
	}
}
