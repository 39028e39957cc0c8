package echo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/handler/echo"
)

// serve starts s on ls and returns where its records come.
func serve(t *testing.T, h *echo.Handler, s *netserver.Server, ls ...net.Listener) <-chan netserver.Record {
	t.Helper()
	recs := make(chan netserver.Record, 100)
	s.Handler = h
	s.Log = slog.New(slog.DiscardHandler)
	s.Hooks.Closed = func(_ *netserver.Conn, r netserver.Record) { recs <- r }
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ls...) }()
	t.Cleanup(func() {
		cancel()
		s.Close()
		<-done
	})
	return recs
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func dial(t *testing.T, a net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial(a.Network(), a.String())
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(30 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

// talk sends text, ends its side, and returns all that comes back.
func talk(t *testing.T, a net.Addr, text string) string {
	t.Helper()
	c := dial(t, a)
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("after %q: %v", b, err)
	}
	return string(b)
}

// expect is the conversation in which each line was only echoed.
func expect(name string, lines ...string) string {
	pid := os.Getpid()
	s := fmt.Sprintf("Welcome to \"%s\" (%d)\r\n", name, pid)
	for _, l := range lines {
		s += fmt.Sprintf("%s:%d: You said \"%s\"\r\n", name, pid, l)
	}
	return s
}

func TestZeroHandler(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	serve(t, &echo.Handler{}, new(netserver.Server), l)
	got := talk(t, l.Addr(), "hello\r\nworld\n\nlast")
	if want := expect("netserver", "hello", "world", "", "last"); got != want {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
}

func TestGetAndDumpShowProperties(t *testing.T) {
	l := listen(t, "unix", filepath.Join(t.TempDir(), "s"))
	h := &echo.Handler{Name: "It's", Properties: func() map[string]string {
		return map[string]string{"max_servers": "50", "quoted": `a'b\c`}
	}}
	serve(t, h, new(netserver.Server), l)
	got := talk(t, l.Addr(), "get max_servers\nget nothing\ndump\n")
	want := expect("It's", "get max_servers") + "max_servers: 50\r\n"
	want += strings.SplitAfterN(expect("It's", "get nothing"), "\r\n", 2)[1] + "nothing: \r\n"
	want += strings.SplitAfterN(expect("It's", "dump"), "\r\n", 2)[1]
	want += `$VAR1 = bless( {
                 'server' => {
                               'max_servers' => '50',
                               'quoted' => 'a\'b\\c'
                             }
               }, 'It\'s' );
`
	if got != want {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
}

// farListener makes its clients seem to come from another machine.
type farListener struct{ net.Listener }

type farConn struct{ net.Conn }

func (l farListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return farConn{nc}, nil
}

func (c farConn) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

func (farConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4321}
}

func TestControlIsForLocalClients(t *testing.T) {
	const text = "get secret\ndump\nexit\nget x quit\nstill here\n"
	for _, allow := range []bool{false, true} {
		t.Run(fmt.Sprint(allow), func(t *testing.T) {
			l := listen(t, "tcp", "127.0.0.1:0")
			exited := make(chan struct{}, 1)
			h := &echo.Handler{
				AllowControl: allow,
				Exit:         func() { exited <- struct{}{} },
				Properties:   func() map[string]string { return map[string]string{"secret": "x"} },
			}
			serve(t, h, new(netserver.Server), farListener{l})
			got := talk(t, l.Addr(), text)
			if !allow {
				if want := expect("netserver", "get secret", "dump", "exit", "get x quit", "still here"); got != want {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
				if len(exited) > 0 {
					t.Error("the server was ended by a stranger")
				}
				return
			}
			<-exited
			if !strings.Contains(got, "secret: x\r\n") || !strings.Contains(got, "'peeraddr' => '192.0.2.1'") || strings.Contains(got, "still") {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

func TestQuitIsForEveryone(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	serve(t, &echo.Handler{}, new(netserver.Server), farListener{l})
	if got, want := talk(t, l.Addr(), "exit quit\nmore\n"), expect("netserver", "exit quit"); got != want {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
}

func TestLineTooLong(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	s := new(netserver.Server)
	s.Config.Limits.MaxLine = 1000
	recs := serve(t, &echo.Handler{}, s, l)
	fits := strings.Repeat("x", 999)
	got := talk(t, l.Addr(), fits+"\n"+fits+"xx\nmore\n")
	if want := expect("netserver", fits) + "Line Too Long.\r\n"; got != want {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
	if r := <-recs; !errors.Is(r.Err, netserver.ErrLineTooLong) {
		t.Fatalf("record: %v", r.Err)
	}
}

func TestTimeout(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	recs := serve(t, &echo.Handler{Timeout: time.Second}, new(netserver.Server), l)
	c := dial(t, l.Addr())
	io.WriteString(c, "one\nunfinished")
	got, err := io.ReadAll(c)
	if want := expect("netserver", "one") + "Timed Out.\r\n"; string(got) != want || err != nil {
		t.Fatalf("got\n%s, %v\nwant\n%s", got, err, want)
	}
	if r := <-recs; !errors.Is(r.Err, os.ErrDeadlineExceeded) {
		t.Fatalf("record: %v", r.Err)
	}
}

func TestRaw(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			address := "127.0.0.1:0"
			if network == "unix" {
				address = filepath.Join(t.TempDir(), "s")
			}
			l := listen(t, network, address)
			serve(t, &echo.Handler{Raw: true}, new(netserver.Server), l)
			c := dial(t, l.Addr())
			sent := bytes.Repeat([]byte("quit\nexit\n\x00\xff0123456789"), 1<<18)
			go func() {
				c.Write(sent)
				c.(interface{ CloseWrite() error }).CloseWrite()
			}()
			got, err := io.ReadAll(c)
			if !bytes.Equal(got, sent) || err != nil {
				t.Fatalf("%d of %d bytes came back, %v", len(got), len(sent), err)
			}
		})
	}
}
