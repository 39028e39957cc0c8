package echo_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"

	"netserver"
	"netserver/handler/echo"
)

// RFC 862's echo: every byte comes back.
func Example() {
	s := &netserver.Server{Handler: &echo.Handler{Raw: true}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go s.Serve(context.Background(), l)
	defer s.Close()

	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintln(c, "hello")
	c.(*net.TCPConn).CloseWrite()
	io.Copy(os.Stdout, c)
	// Output:
	// hello
}

// Net::Server's echo answers lines, and shows clients of this machine the
// server's properties.
func ExampleHandler() {
	s := &netserver.Server{Handler: &echo.Handler{
		Properties: func() map[string]string { return map[string]string{"max_servers": "50"} },
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go s.Serve(context.Background(), l)
	defer s.Close()

	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "get max_servers\nquit\n")
	in := bufio.NewScanner(c)
	in.Scan() // the welcome, with the process's id
	in.Scan() // what was said
	in.Scan()
	fmt.Println(in.Text())
	// Output:
	// max_servers: 50
}
