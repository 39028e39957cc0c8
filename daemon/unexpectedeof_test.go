//go:build unix

package daemon_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// What a FIN without close_notify is to a backend and to a program.
func TestUnexpectedEOFOfBackendAndProgram(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client := func(r *running) {
		t.Helper()
		nc, err := net.Dial("tcp", r.addr(0))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		c := tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
		if _, err := c.Write([]byte("hello\n")); err != nil {
			t.Fatal(err)
		}
		nc.(*net.TCPConn).CloseWrite()
	}
	for mode, want := range map[string]error{"end": nil, "reset": syscall.ECONNRESET} {
		args := []string{"--port", "127.0.0.1:0/ssl", "--log_level", "3", "--SSL_unexpected_eof", mode}
		r := start(t, append(args, "--proxy_to", l.Addr().String())...)
		client(r)
		b, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		b.SetDeadline(time.Now().Add(30 * time.Second))
		got, err := io.ReadAll(b)
		if !errors.Is(err, want) || want == nil && string(got) != "hello\n" {
			t.Errorf("%s: the backend read %q, %v", mode, got, err)
		}
		b.Close()
		r.wait("close_notify=missing", 1)
		r.end(syscall.SIGTERM)

		r = start(t, append(args, "--", "sh", "-c", `cat >/dev/null; sleep 0.2; echo ended >&2`)...)
		client(r)
		if mode == "end" {
			r.wait("line=ended", 1)
			r.wait("exit=0", 1)
		} else {
			r.wait("the client ended the connection without close_notify", 1)
			r.wait("signal=SIGTERM", 1)
		}
		r.wait("close_notify=missing", 1)
		r.end(syscall.SIGTERM)
	}
}
