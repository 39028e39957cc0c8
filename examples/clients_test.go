package examples_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"netserver/netservertest"
)

// What one client says, those of every kind of port hear, also hundreds that
// never say a word; at the end of the server all are told.
func TestChat(t *testing.T) {
	at := free(t, 2)
	a := netservertest.CA(t)
	dir, err := os.MkdirTemp("", "ns")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "chat")
	p := run(t, build(t, "chat"), "-port", at[0]+"/ssl", "-port", at[1]+"/tcp", "-port", socket+"|unix", "-cert", bothFile(t, a))
	p.dial(t, at[1]).Close() // until it listens

	secure, err := tls.Dial("tcp", at[0], &tls.Config{RootCAs: a.Pool(), ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	local, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	clients := []net.Conn{secure, local}
	for range 200 {
		clients = append(clients, p.dial(t, at[1]))
	}
	var in []*bufio.Reader
	for _, c := range clients {
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
		in = append(in, bufio.NewReader(c))
	}
	// All are in the room when each has said something that the first heard.
	for _, c := range clients[1:] {
		fmt.Fprintln(c, "here")
	}
	for heard := 0; heard < len(clients[1:]); {
		line, err := in[0].ReadString('\n')
		if err != nil {
			t.Fatal(line, err)
		}
		if _, said, _ := cut(line); said == "here" {
			heard++
		}
	}
	fmt.Fprintln(secure, "hello")
	for i := range clients[1:] {
		for {
			line, err := in[i+1].ReadString('\n')
			if err != nil {
				t.Fatalf("client %d: %v", i+1, err)
			}
			if _, said, _ := cut(line); said == "hello" {
				break
			}
		}
	}
	if runtime.GOOS == "windows" {
		return
	}
	p.cmd.Process.Signal(os.Interrupt)
	for i := range clients {
		line, err := "", error(nil)
		for err == nil && line != "* the server closes\r\n" {
			line, err = in[i].ReadString('\n')
		}
		if err != nil {
			t.Errorf("client %d at the end: %q, %v", i, line, err)
		}
	}
	<-p.ended
}

// A client that says nothing is told so twice, the second time for good.
func TestSilentInChat(t *testing.T) {
	at := free(t, 1)
	p := run(t, build(t, "chat"), "-port", at[0]+"/tcp", "-patience", "50ms")
	p.dial(t, at[0]).Close() // until it listens
	c := p.dial(t, at[0])
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	b, err := io.ReadAll(c)
	if s := string(b); err != nil || !strings.Contains(s, "Welcome, you are number") || !strings.Contains(s, "You have been upgraded.\r\n") || !strings.HasSuffix(s, "*BYE*\r\n") {
		t.Errorf("%q, %v", b, err)
	}
}

func cut(line string) (who, said string, ok bool) {
	var n int
	_, err := fmt.Sscanf(line, "%d: %s\n", &n, &said)
	return fmt.Sprint(n), said, err == nil
}

// Go's own resolver asks over UDP and TCP.
func TestDNS(t *testing.T) {
	at := free(t, 1)[0]
	p := run(t, build(t, "dns"), "-port", at+"/udp", "-port", at+"/tcp", "-host", "www.example.org=192.0.2.1", "-host", "WWW.example.org.=2001:db8::1", "-host", "www.example.org=192.0.2.2")
	p.dial(t, at).Close() // until it listens
	for _, network := range []string{"udp", "tcp"} {
		r := &net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, at)
		}}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		addrs, err := r.LookupHost(ctx, "www.EXAMPLE.org.")
		slices.Sort(addrs)
		if want := []string{"192.0.2.1", "192.0.2.2", "2001:db8::1"}; err != nil || !slices.Equal(addrs, want) {
			t.Errorf("%s: %v, %v", network, addrs, err)
		}
		var e *net.DNSError
		if _, err := r.LookupHost(ctx, "no.example.org."); !errors.As(err, &e) || !e.IsNotFound {
			t.Errorf("%s: a name that is not there: %v", network, err)
		}
	}
	c, err := net.Dial("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	for _, bad := range []string{"short", "\x00\x07\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x3fx", "\x00\x07\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c"} {
		c.Write([]byte(bad))
	}
	b := make([]byte, 512)
	for range 2 {
		if n, err := c.Read(b); err != nil || n != 12 || b[1] != 7 || b[3] != 1 {
			t.Errorf("a malformed question: % x, %v", b[:n], err)
		}
	}
}
