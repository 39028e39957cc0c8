package bare

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os/exec"
	"sync"
	"time"
)

// TLS returns l with TLS, as one writes it by hand.
func TLS(l net.Listener, certFile, keyFile string) (net.Listener, error) {
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}}), nil
}

// Loop serves the clients of l until it is closed, each on a goroutine. They
// are closed at once if serve is nil; else serve closes them.
func Loop(l net.Listener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of descriptors, mostly
			time.Sleep(5 * time.Millisecond)
		case serve == nil:
			c.Close()
		default:
			go serve(c)
		}
	}
}

// Echo gives bytes back until the client ends.
func Echo(c net.Conn) {
	defer c.Close()
	io.Copy(c, c)
}

// Backend is Echo for what stands behind proxies: between plain sockets io.Copy
// uses splice, which holds a pipe for every connection, idle ones too, and costs
// more than it saves for small blocks.
func Backend(c net.Conn) {
	defer c.Close()
	io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
}

// Source sends zeros without end from the client's first byte on.
func Source(c net.Conn) {
	defer c.Close()
	block := make([]byte, 64<<10)
	if _, err := c.Read(block[:1]); err != nil {
		return
	}
	block[0] = 0
	for {
		if _, err := c.Write(block); err != nil {
			return
		}
	}
}

// Proxy returns what joins a client to the TCP address to.
func Proxy(to string) func(net.Conn) {
	return func(c net.Conn) {
		defer c.Close()
		b, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer b.Close()
		var up sync.WaitGroup
		up.Go(func() { copyHalf(b, c) })
		copyHalf(c, b)
		up.Wait()
	}
}

// copyHalf copies one direction and hands its end on.
func copyHalf(to, from net.Conn) {
	io.Copy(to, from)
	if c, ok := to.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
}

// Program gives each client to the program, as its input and output.
func Program(name string) func(net.Conn) {
	return func(c net.Conn) {
		defer c.Close()
		cmd := exec.Command(name)
		cmd.Stdin, cmd.Stdout = c, c
		if tc, ok := c.(*net.TCPConn); ok { // no pipes and goroutines then
			f, err := tc.File()
			if err != nil {
				return
			}
			defer f.Close()
			cmd.Stdin, cmd.Stdout = f, f
		}
		cmd.Run()
	}
}

// Packets gives the datagrams of c back until it is closed.
func Packets(c *net.UDPConn) {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		c.WriteToUDPAddrPort(buf[:n], from)
	}
}

// HTTP serves the files of a directory until l is closed.
func HTTP(l net.Listener, dir string) {
	http.Serve(l, http.FileServer(http.Dir(dir)))
}
