//go:build unix

package daemon_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"netserver/netservertest"
)

// accepted returns the two ends of a TCP connection: the client, and the
// server's as a file that can be handed over.
func accepted(t *testing.T) (*client, *os.File) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := mustDial(t, l.Addr().String())
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	f, err := nc.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return c, f
}

// systemd hands an accepted client over as descriptor 3, and as standard input
// if its unit says StandardInput=socket.
func TestINETBySystemdAccept(t *testing.T) {
	sh := netservertest.Peer(t, "sh")
	for name, asInput := range map[string]bool{"descriptor 3 alone": false, "standard input too": true} {
		t.Run(name, func(t *testing.T) {
			c, f := accepted(t)
			cmd := exec.Command(sh, "-c", `LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=connection exec "$@"`, "sh", os.Args[0], "INET", "--", "/bin/cat")
			cmd.Env = append(os.Environ(), programVar+"=command")
			cmd.ExtraFiles = []*os.File{f}
			var log bytes.Buffer
			cmd.Stderr = &log
			if asInput {
				cmd.Stdin, cmd.Stdout = f, f
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			f.Close()
			bothWays(t, c)
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v\n%s", err, &log)
			}
		})
	}
}

// bothWays sends a line through a program cat and ends, and sees the end.
func bothWays(t *testing.T, c *client) {
	t.Helper()
	fmt.Fprint(c, "hello\n")
	if got, err := c.r.ReadString('\n'); got != "hello\n" {
		t.Errorf("got %q, %v", got, err)
	}
	c.Conn.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(c.r); len(rest) > 0 || err != nil {
		t.Errorf("at the end: %q, %v", rest, err)
	}
}

// A listening socket is no client, and no other type takes a client.
func TestINETAndListeningSockets(t *testing.T) {
	sh := netservertest.Peer(t, "sh")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	listening, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer listening.Close()
	_, client := accepted(t)
	for _, tc := range []struct {
		f    *os.File
		args []string
		want string
	}{
		{listening, []string{"INET"}, "without a peer"},
		{client, []string{"--port", "127.0.0.1:0"}, `(descriptor 3 "the name"): set Accept=no`},
		{listening, []string{"--port", "127.0.0.1:1"}, "at " + l.Addr().String() + ` (descriptor 3 "the name"), which no port uses`},
		{listening, []string{"--port", l.Addr().String(), "--supervisor", "0"}, "supervisor 0 cannot take"},
	} {
		cmd := exec.Command(sh, append([]string{"-c", `LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES="the name" exec "$@"`, "sh", os.Args[0]}, rootToo(tc.args)...)...)
		cmd.Env = append(os.Environ(), programVar+"=command")
		cmd.ExtraFiles = []*os.File{tc.f}
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), tc.want) {
			t.Errorf("%v: %v\n%s", tc.args, err, out)
		}
	}
}

// inetd makes standard error the client too: the log is not for it.
func TestINETLogIsNotForTheClient(t *testing.T) {
	c, f := accepted(t)
	cmd := exec.Command(os.Args[0], "INET", "--log_level", "4", "--", "/bin/cat")
	cmd.Env = append(os.Environ(), programVar+"=command")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = f, f, f
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	bothWays(t, c)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestINETBySocatWithProgram(t *testing.T) {
	socat := netservertest.Peer(t, "socat")
	p := freePort(t)
	addr := net.JoinHostPort("127.0.0.1", p)
	cmd := exec.Command(socat, "TCP-LISTEN:"+p+",bind=127.0.0.1,reuseaddr", "EXEC:"+os.Args[0]+" INET -- /bin/cat,nofork")
	cmd.Env = append(os.Environ(), programVar+"=command")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	var c *client
	netservertest.Eventually(t, "socat listens", func() (ok bool) {
		var err error
		c, err = dial(addr)
		return err == nil
	})
	defer c.Close()
	bothWays(t, c)
}
