//go:build unix

package exec_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	osexec "os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netserver/handler/exec"
	"netserver/netservertest"
)

// The cases that every handler has to pass.
func TestHandlerCases(t *testing.T) {
	for _, pipes := range []bool{false, true} {
		t.Run(fmt.Sprint("pipes=", pipes), func(t *testing.T) {
			netservertest.TestHandler(t, netservertest.HandlerTest{
				New: netservertest.Always(&exec.Handler{Path: "cat", Pipes: pipes, KillGrace: time.Second}),
				Talk: func(_ string, c net.Conn) error {
					if _, err := c.Write([]byte("hello")); err != nil {
						return err
					}
					b := make([]byte, 100)
					n, err := io.ReadAtLeast(c, b, 5)
					if string(b[:n]) != "hello" {
						return fmt.Errorf("%q, %v", b[:n], err)
					}
					return nil
				},
			})
		})
	}
}

// A program that was given the socket knows who its client is.
func TestPeerNameOfTheSocket(t *testing.T) {
	s := serve(t, helper(t, "peername"))
	c := s.dial("tcp")
	got, _ := io.ReadAll(c)
	if want := strings.Repeat("tcp "+c.LocalAddr().String()+"\n", 2); string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := s.run("unix", ""); !strings.HasPrefix(got, "unix ") {
		t.Errorf("%q", got)
	}
}

// No program has a descriptor but its own three and those that the server was
// started with, whatever else is open.
func TestNoDescriptorLeaks(t *testing.T) {
	allowed := handedDown(t)
	for _, pipes := range []bool{false, true} {
		h := sh(`ls -m /proc/$$/fd; exec cat >/dev/null`)
		h.Pipes = pipes
		s := serve(t, h)
		var clients []net.Conn
		for i := range 30 {
			clients = append(clients, s.dial([]string{"tcp", "tls", "unix"}[i%3]))
		}
		for _, c := range clients {
			line, err := bufio.NewReader(c).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			for fd := range strings.SplitSeq(strings.TrimSpace(line), ", ") {
				if !slices.Contains(allowed, fd) {
					t.Fatalf("descriptor %s of %s; there may be %s", fd, line, allowed)
				}
			}
		}
		for _, c := range clients {
			c.Close()
			s.record()
		}
	}
}

// handedDown returns the descriptors of this process that every program it
// starts has too.
func handedDown(t *testing.T) (fds []string) {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	for _, e := range d {
		n, _ := strconv.Atoi(e.Name())
		flags, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0)
		if n <= 2 || err == nil && flags&unix.FD_CLOEXEC == 0 {
			fds = append(fds, e.Name())
		}
	}
	return fds
}

const perlINET = `
package Echo;
use base qw(Net::Server::INET);
sub process_request {
	my $self = shift;
	print "hello from $self->{server}{sockaddr}\r\n";
	while (my $line = <STDIN>) {
		$line =~ s/\r?\n$//;
		last if $line eq 'quit';
		print "you said $line\r\n";
	}
	print "bye\r\n";
}
Echo->run;
`

// A program made for Net::Server::INET runs unchanged.
func TestPerlINET(t *testing.T) {
	netservertest.PerlModule(t, "Net::Server::INET")
	s := serve(t, &exec.Handler{Path: "perl", Args: []string{"-e", perlINET}})
	for _, proto := range []string{"tcp", "tls", "unix"} {
		c := s.dial(proto)
		r := bufio.NewReader(c)
		greeting := "hello from 127.0.0.1\r\n"
		if proto == "unix" {
			greeting = "hello from 0.0.0.0\r\n"
		}
		for _, step := range []struct{ send, want string }{
			{"", greeting}, {"one\r\n", "you said one\r\n"}, {"quit\n", "bye\r\n"},
		} {
			io.WriteString(c, step.send)
			if got, err := r.ReadString('\n'); got != step.want || err != nil {
				t.Fatalf("%s: %q, %v; want %q", proto, got, err, step.want)
			}
		}
		if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
			t.Fatalf("%s: %q, %v", proto, rest, err)
		}
		if r := s.record(); r.Err != nil || !strings.Contains(notes(r), "exit=0") {
			t.Fatalf("%s: %v; %s", proto, r.Err, notes(r))
		}
	}
}

// The commands of the README, with openssl as the client.
func TestOpenSSLClient(t *testing.T) {
	openssl := netservertest.Peer(t, "openssl")
	for _, c := range []struct {
		h        *exec.Handler
		in, want string
	}{
		{&exec.Handler{Path: "cat"}, "some\nlines\n", "some\nlines\n"},
		{sh(`read x; echo "got $x"`), "this\n", "got this\n"},
	} {
		s := serve(t, c.h)
		cmd := osexec.Command(openssl, "s_client", "-quiet", "-connect", s.addr["tls"].String(), "-servername", "localhost")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(in, c.in)
		got := make([]byte, len(c.want))
		if _, err := io.ReadFull(out, got); err != nil || string(got) != c.want {
			t.Errorf("%q, %v", got, err)
		}
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
		s.record()
	}
}
