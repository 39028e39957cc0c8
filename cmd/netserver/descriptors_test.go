//go:build unix

package main_test

import (
	"crypto/tls"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"netserver/netservertest"
)

// withDescriptors starts the command with at most n descriptors.
func withDescriptors(t *testing.T, n int, args ...string) *server {
	t.Helper()
	netservertest.Peer(t, "sh")
	cmd := exec.Command("sh", append([]string{"-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, n), binary}, args...)...)
	cmd.Env = serverEnvironment()
	return startCmd(t, cmd)
}

// A server out of descriptors goes on: those it has are served, newcomers wait
// in the backlog, the log says so once a second and port, and when clients
// leave the waiting ones come in.
func TestDescriptorsExhausted(t *testing.T) {
	const limit, want = 40, 70
	s := withDescriptors(t, limit, "--max_connections", "-1", "--host", "127.0.0.1", "--port", "0", "--port", "0/ssl")
	first := bystand(t, dialTLS(t, s.addr(1)))
	var clients []*speaker
	for range want {
		clients = append(clients, newSpeaker(t, dial(t, "tcp", s.addr(0))))
	}
	s.awaitLog(`cannot accept; clients wait in the backlog: the process is out of descriptors \(raise its limit, ulimit -n, or set max_connections\) port=\S+/tcp`)
	first.goesOn("while others wait")
	in, out := split(clients)
	if len(in) > limit || len(out) < want-limit {
		t.Errorf("%d clients are in, %d wait", len(in), len(out))
	}
	// The log has a line a second for a port, not one for each failure. (Two
	// may bear the same time, as a line is a little younger than its reason.)
	perSecond := make(map[string]int)
	for _, m := range s.awaitLogs(`(?m)^(\S+ )cannot accept.*( port=\S+)`, 4) {
		perSecond[m[1]+m[2]]++
	}
	for second, n := range perSecond {
		if n > 2 {
			t.Errorf("%d times in a second: %s", n, second)
		}
	}
	for round := 0; len(out) > 0; round++ {
		if round > want {
			t.Fatalf("%d clients never came in", len(out))
		}
		for _, c := range in {
			c.Close()
		}
		out[0].hears("Welcome to") // one that has waited
		in, out = split(out)
	}
	s.awaitLog(`accepting again port=\S+/tcp`)
	first.goesOn("after that")
	bystand(t, dialTLS(t, s.addr(1))).goesOn("a new one")
	s.stop()
}

// split parts clients into those that were greeted and those that wait.
func split(clients []*speaker) (in, out []*speaker) {
	for _, c := range clients {
		if strings.HasPrefix(c.heard.String(), "Welcome") {
			in = append(in, c)
		} else {
			out = append(out, c)
		}
	}
	return in, out
}

// Without a descriptor to spare no program can be started: its client sees the
// end, the log says why, and when others have left it works again.
func TestDescriptorsExhaustedForPrograms(t *testing.T) {
	netservertest.Peer(t, "cat")
	s := withDescriptors(t, 28, "--max_connections", "-1", "--host", "127.0.0.1", "--port", "0/ssl", "--", "cat")
	exhausted := func() bool { return strings.Contains(s.log.String(), "too many open files") }
	var clients []*speaker
	for !exhausted() {
		if len(clients) == 28 {
			t.Fatal("the server never ran out of descriptors")
		}
		c := tls.Client(dial(t, "tcp", s.addr(0)), &tls.Config{InsecureSkipVerify: true})
		go c.Write([]byte("x")) // this may be one that waits for ever
		sp := newSpeaker(t, c)
		clients = append(clients, sp)
		for sp.heard.String() == "" && !exhausted() {
			select {
			case <-sp.ended:
				s.awaitLog("too many open files") // why else
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	for _, c := range clients {
		c.Close()
	}
	for end := time.Now().Add(patience); ; {
		sp := newSpeaker(t, dialTLS(t, s.addr(0)))
		sp.Write([]byte("again"))
		sp.CloseWrite()
		if sp.ends() == "again" {
			break
		} else if time.Now().After(end) {
			t.Fatal("no program can be started although all clients have left")
		}
	}
	s.stop()
}
