//go:build unix

package exec_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"

	"netserver"
)

// cat returns a megabyte unchanged, over every protocol, and its end follows
// the client's.
func TestCatReturnsAMegabyte(t *testing.T) {
	data := make([]byte, 1<<20)
	rand.Read(data)
	everyStream(t, func(t *testing.T, proto string, pipes bool) {
		h := sh("exec cat")
		h.Pipes = pipes
		s := serve(t, h)
		c := s.dial(proto)
		go func() {
			c.Write(data)
			c.CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		r := s.record()
		if r.Err != nil || !strings.Contains(notes(r), "exit=0") {
			t.Fatalf("record: %v; %s", r.Err, notes(r))
		}
		if socket := strings.Contains(notes(r), "socket=true"); socket != (proto != "tls" && !pipes) {
			t.Fatalf("socket handed over: %v", socket)
		}
		if (proto == "tls" || pipes) && (r.In != 1<<20 || r.Out != 1<<20) {
			t.Fatalf("counted %d in, %d out", r.In, r.Out)
		}
	})
}

func TestDialogue(t *testing.T) {
	everyStream(t, func(t *testing.T, proto string, pipes bool) {
		h := sh(`read x; echo "got $x"`)
		h.Pipes = pipes
		s := serve(t, h)
		c := s.dial(proto)
		// The client's side stays open: the program's exit is the end.
		fmt.Fprintln(c, "hello; $(reboot) `x`")
		got, err := io.ReadAll(c)
		if err != nil || string(got) != "got hello; $(reboot) `x`\n" {
			t.Fatalf("%q, %v", got, err)
		}
		if r := s.record(); r.Err != nil {
			t.Fatal(r.Err)
		}
	})
}

// A program that closes its output, but still reads, gives the client its end
// at once. With a socket for both it cannot: that is so with inetd too.
func TestOutputEndsBeforeTheProgram(t *testing.T) {
	s := serve(t, sh(`echo bye; exec >&- 2>&-; cat >/dev/null; exit 7`))
	c := s.dial("tls")
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "bye\n" {
		t.Fatalf("%q, %v", got, err)
	}
	io.WriteString(c, "still sending")
	c.CloseWrite()
	if r := s.record(); !strings.Contains(notes(r), "exit=7") {
		t.Fatalf("record: %v; %s", r.Err, notes(r))
	}
}

// A program that closes its input does not end the client.
func TestInputEndsBeforeTheProgram(t *testing.T) {
	s := serve(t, sh(`read x; exec <&-; echo closed; sleep 0.2; echo done`))
	c := s.dial("tls")
	go io.Copy(c, io.LimitReader(zeros{}, 4<<20)) // more than anything buffers
	fmt.Fprintln(c)
	got, err := io.ReadAll(c)
	if string(got) != "closed\ndone\n" {
		t.Fatalf("%q, %v", got, err)
	}
}

// A program that exits with input unread ends the client too, though the client
// goes on, and what it wrote arrives.
func TestUnreadInputHoldsNobody(t *testing.T) {
	everyStream(t, func(t *testing.T, proto string, pipes bool) {
		h := sh(`read x; echo enough`)
		h.Pipes = pipes
		s := serve(t, h)
		c := s.dial(proto)
		if _, err := c.Write(bytes.Repeat([]byte("more\n"), 1000)); err != nil {
			t.Fatal(err)
		}
		if got, err := bufio.NewReader(c).ReadString('\n'); got != "enough\n" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		if r := s.record(); r.Err != nil || !strings.Contains(notes(r), "exit=0") {
			t.Fatalf("record: %v; %s", r.Err, notes(r))
		}
	})
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = '\n'
	}
	return len(b), nil
}

// What a hook has peeked at reaches the program.
func TestPeekedBytesAreNotLost(t *testing.T) {
	for _, proto := range []string{"tcp", "unix", "tls"} {
		s := serve(t, sh("exec cat"), func(s *netserver.Server) {
			s.Hooks.Allow = func(_ context.Context, c *netserver.Conn) error {
				_, err := c.Peek(2)
				return err
			}
		})
		if got := s.run(proto, "hello"); got != "hello" {
			t.Errorf("%s: %q", proto, got)
		}
	}
}

// What the program has written when it exits is delivered, however late the
// client takes it, and though nobody waits for what the program left running.
func TestSlowReaderGetsEverything(t *testing.T) {
	for _, proto := range []string{"tls", "tcp"} {
		h := helper(t, "fill")
		h.WaitDelay, h.Pipes = -1, true
		s := serve(t, h)
		c := s.dial(proto)
		var wrote int64
		var pid int
		eventually(t, "the program exits", func() bool {
			_, after, _ := strings.Cut(s.log.String(), `line="wrote `)
			_, err := fmt.Sscan(after, &wrote, &pid)
			return err == nil && syscall.Kill(pid, 0) == syscall.ESRCH
		})
		if n, err := io.Copy(io.Discard, c); n != wrote || err != nil {
			t.Errorf("%s: got %d bytes of %d, %v", proto, n, wrote, err)
		}
		r := s.record()
		killGroup(t, r)
		if r.Err != nil {
			t.Error(r.Err)
		}
	}
}

func TestTwoHundredClients(t *testing.T) {
	s := serve(t, sh(`read x; echo "got $x"`))
	var all sync.WaitGroup
	for i := range 200 {
		proto := []string{"tcp", "tls", "unix"}[i%3]
		c := s.dial(proto)
		all.Go(func() {
			fmt.Fprintln(c, i)
			got, err := io.ReadAll(c)
			if want := fmt.Sprintf("got %d\n", i); string(got) != want || err != nil {
				t.Errorf("%s: got %q, %v; want %q", proto, got, err, want)
			}
			c.Close()
		})
	}
	all.Wait()
	for range 200 {
		if r := s.record(); r.Err != nil {
			t.Error(r.Err)
		}
	}
}
