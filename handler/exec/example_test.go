//go:build unix

package exec_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"

	"netserver"
	"netserver/handler/exec"
)

// Each client talks to a program of its own, by the program's standard input
// and output.
func Example() {
	s := &netserver.Server{Handler: &exec.Handler{Path: "tr", Args: []string{"a-z", "A-Z"}}}
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
	// HELLO
}

// A client's record tells how its program ended.
func ExampleExitError() {
	ended := make(chan error, 1)
	s := &netserver.Server{
		Handler: &exec.Handler{Path: "sh", Args: []string{"-c", "exit 3"}},
		Hooks:   netserver.Hooks{Closed: func(_ *netserver.Conn, r netserver.Record) { ended <- r.Err }},
	}
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
	var exit *exec.ExitError
	if errors.As(<-ended, &exit) {
		fmt.Println(exit)
	}
	// Output:
	// program exited with status 3
}

// A variable is set, or those of the server are passed on; what is set for each
// client cannot be given.
func ExampleCheckEnv() {
	fmt.Println(exec.CheckEnv("MODE=fast"))
	fmt.Println(exec.CheckEnv("APP_*"))
	fmt.Println(exec.CheckEnv("REMOTE_ADDR=192.0.2.1"))
	// Output:
	// <nil>
	// <nil>
	// REMOTE_ADDR is set for each client and cannot be given
}
