package echo_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"netserver/handler/echo"
	"netserver/port"
)

func dialTLS(t *testing.T, a net.Addr) *tls.Conn {
	t.Helper()
	c, err := tls.Dial(a.Network(), a.String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(30 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

func TestOverTLS(t *testing.T) {
	p := port.Spec{Host: "127.0.0.1", Port: "0", Proto: "ssl", IPv: "4"} // makes its own certificate
	t.Run("lines", func(t *testing.T) {
		a, _ := servePort(t, &echo.Handler{}, p)
		c := dialTLS(t, a)
		io.WriteString(c, "hello\r\nlast")
		c.CloseWrite()
		got, err := io.ReadAll(c)
		if want := expect("netserver", "hello", "last"); string(got) != want || err != nil {
			t.Errorf("got\n%s, %v\nwant\n%s", got, err, want)
		}
	})
	t.Run("raw", func(t *testing.T) {
		a, _ := servePort(t, &echo.Handler{Raw: true}, p)
		c := dialTLS(t, a)
		sent := bytes.Repeat([]byte("quit\nexit\n\x00\xff0123456789"), 1<<18)
		go func() {
			c.Write(sent)
			c.CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if !bytes.Equal(got, sent) || err != nil {
			t.Errorf("%d of %d bytes came back, %v", len(got), len(sent), err)
		}
	})
}
